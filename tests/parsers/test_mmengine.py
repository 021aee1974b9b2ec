"""mmengine and mmcv: steps over epochs, MB to GiB, validation."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = """\
05/01 10:00:00 - mmengine - INFO - Epoch(train)  [1][ 50/100]  lr: 1.0000e-02  eta: 1:02:03  time: 0.1234  data_time: 0.0056  \
memory: 10240  grad_norm: 0.5120  loss: 1.2345  loss_cls: 1.0000
05/01 10:00:10 - mmengine - INFO - Epoch(train)  [1][100/100]  lr: 1.0000e-02  eta: 1:02:03  time: 0.1  memory: 10240  loss: nan
05/01 10:00:20 - mmengine - INFO - Epoch(val) [1][50/50]    accuracy/top1: 70.1000  data_time: 0.01  time: 0.02
05/01 10:00:30 - mmengine - INFO - Epoch(train)  [2][ 50/100]  lr: 1.0000e-03  eta: 1:02:03  time: 0.1  memory: 10240  loss: 1.0
"""


def test_the_step_goes_on_over_epochs(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert [step for step, _ in points(run, "loss")] == [50, 100, 150]
    assert math.isnan(points(run, "loss")[1][1])
    assert points(run, "memory_gpu")[0] == (50, 10.0) and points(run, "step_time")[0] == (50, 0.1234)
    assert points(run, "grad_norm") == [(50, 0.512)]
    assert points(run, "eval_accuracy") == [(100, 70.1)]


def test_by_iterations(tmp_path: Path) -> None:
    run = run_of(tmp_path, "05/01 10:00:00 - mmengine - INFO - Iter(train) [ 10/500]  lr: 2.0000e-05  time: 1.0  loss: 2.5\n")
    assert points(run, "loss") == [(10, 2.5)] and run.planned_steps == 500


def test_mmcv(tmp_path: Path) -> None:
    log = "2021-05-01 10:00:00,123 - mmdet - INFO - Epoch [2][50/7330]\tlr: 1.978e-03, eta: 1:02:03, time: 0.5, memory: 2048, loss: 1.2\n"
    run = run_of(tmp_path, log)
    assert points(run, "loss") == [(7380, 1.2)] and points(run, "memory_gpu") == [(7380, 2.0)]
    assert lines(run, "loss") == [1]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
