"""torchtitan: colours, thousands commas, an unknown mfu, validation, the plan."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from parsers import read
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of
from tests.samples import FOLDER

STEP = (
    "[rank0]:[titan] 2026-05-24 20:12:{:02d},106 - root - INFO - \x1b[31mstep: {:2d}  \x1b[32mloss: {}  \x1b[38;2;180;60;0mgrad_norm: "
    "24.2500  \x1b[38;2;54;234;195mmemory: 156.33GiB(87.65%)  \x1b[34mtps: 11,047  \x1b[36mtflops: 35.65  \x1b[35mmfu: N/A\x1b[39m\n"
)
LOG = (
    "[rank0]:[titan] 2026-05-24 20:12:00,000 - root - INFO - Trainer is initialized with local batch size 8, global batch size 64, "
    "sequence length 128, total steps 10 (warmup 2)\n"
    "[rank0]:[titan] 2026-05-24 20:12:00,100 - root - INFO - Training starts at step 1\n"
    + STEP.format(1, 1, "12.39827") + STEP.format(2, 2, "nan")
    + "[rank0]:[titan] 2026-05-24 20:12:09,000 - root - INFO - validate step:  2  loss:  7.1234  memory: 1.00GiB(1.00%)  tps: 7,531\n"
    "[rank0]:[titan] 2026-05-24 20:12:09,500 - root - INFO - Training completed\n"
)  # fmt: skip


def test_values_under_the_contract_s_names(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (1, 12.39827)
    assert math.isnan(points(run, "loss")[1][1])
    assert points(run, "grad_norm") == [(1, 24.25), (2, 24.25)]
    assert points(run, "throughput_tokens") == [(1, 11047.0), (2, 11047.0)]
    assert points(run, "memory_gpu")[0] == (1, 156.33)
    assert run.series("mfu") is None
    assert lines(run, "loss") == [3, 4]


def test_validation_plan_start_and_end(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "eval_loss") == [(2, 7.1234)]
    assert run.planned_steps == 10
    assert kinds(run) == [k.RUN_START, k.RUN_END]


def test_the_clock_of_a_line_is_read(tmp_path: Path) -> None:
    series = run_of(tmp_path, LOG).series("loss")
    assert series and series.times[1] - series.times[0] == pytest.approx(1.0)


def test_older_layouts(tmp_path: Path) -> None:
    run = run_of(tmp_path, "step: 10  loss:  8.1234  memory: 10.12GiB(12.80%)  wps: 7,531  mfu: 58.21%\n")
    assert points(run, "loss") == [(10, 8.1234)] and points(run, "mfu") == [(10, 58.21)]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)


def test_a_real_run_is_read_whole() -> None:
    run = read([FOLDER / "torchtitan" / "healthy-cpu" / "run.log"])
    assert points(run, "loss")[0] == (1, 8.11397) and points(run, "loss")[-1] == (40, 3.04996)
    assert [len(points(run, name)) for name in ("loss", "grad_norm", "throughput_tokens", "memory_gpu")] == [40] * 4
    assert run.environment.value("run:planned_steps") == 40 and k.RUN_END in kinds(run)
    assert not run.problems
