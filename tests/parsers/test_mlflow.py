"""MLflow's file store: metrics, parameters, status."""

from __future__ import annotations

import math
from pathlib import Path

from parsers import kinds as k
from parsers import read
from tests.parsers.runs import kinds, lines, points, run_of


def test_a_run(tmp_path: Path) -> None:
    root = tmp_path / "mlruns" / "1" / "abc"
    (root / "metrics" / "train").mkdir(parents=True)
    (root / "params").mkdir()
    (root / "metrics" / "train" / "loss").write_text("1795487985000 0.5 10\n1795487986000 nan 20\n")
    (root / "metrics" / "eval_loss").write_text("1795487985000 0.7 10\n")
    (root / "params" / "learning_rate").write_text("2e-05")
    (root / "meta.yaml").write_text("artifact_uri: x\nlifecycle_stage: active\nrun_id: abc\nstatus: 4\n")
    run = read([path for path in sorted(root.rglob("*")) if path.is_file()], strict=True)
    assert points(run, "loss")[0] == (10, 0.5) and math.isnan(points(run, "loss")[1][1]) and lines(run, "loss") == [1, 2]
    assert points(run, "eval_loss") == [(10, 0.7)] and run.environment.value("arg:learning_rate") == 2e-05
    assert kinds(run) == [k.CHILD_FAILED] and run.events[0].ref.text == "status: 4"
    series = run.series("loss")
    assert series and series.times[0] == 1795487985.0


def test_a_torn_line_is_a_problem(tmp_path: Path) -> None:
    run = run_of(tmp_path, "1795487985000 0.5 10\n17954879", "metrics/loss")
    assert points(run, "loss") == [(10, 0.5)] and run.problems[0].ref.line == 2
