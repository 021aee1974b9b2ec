"""verl: one long line a step, two engines, NumPy's scalars, negative values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of

LOG = (
    "step:0 - val/test_score/logic:0.125\n"
    "(TaskRunner pid=123) step:1 - actor/pg_loss:-0.375 - actor/grad_norm:np.float64(0.35) - actor/lr:1e-06 - critic/vf_loss:0.5 - "
    "critic/grad_norm:nan - critic/score/mean:-3.000 - timing_s/step:31.2 - perf/max_memory_allocated_gb:40.0\n"
)


def test_engines_stay_apart(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "actor/pg_loss") == [(1, -0.375)] and points(run, "actor/grad_norm") == [(1, 0.35)]
    assert math.isnan(points(run, "critic/grad_norm")[0][1])
    assert {t.metric: t.engine for t in run.tracks if "grad_norm" in t.metric} == {
        "actor/grad_norm": "actor", "critic/grad_norm": "critic",
    }  # fmt: skip
    assert points(run, "critic/score/mean") == [(1, -3.0)]
    assert run.series("loss") is None


def test_clock_memory_and_validation(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "step_time") == [(1, 31.2)] and points(run, "memory_gpu") == [(1, 40.0)]
    assert points(run, "val/test_score/logic") == [(0, 0.125)] and kinds(run) == [] and lines(run, "step_time") == [2]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
