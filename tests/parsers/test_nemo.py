"""NeMo 2: the plain progress line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = (
    "Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_batch_size: 128 | global_step: 9 | reduced_train_loss: 9.876 | "
    "train_step_timing in s: 1.234\n"
    "Training epoch 0, iteration 19/99 | lr: 1.5e-05 | global_step: 19 | reduced_train_loss: nan | val_loss: 9.5\n"
)


def test_values(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (9, 9.876) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "step_time") == [(9, 1.234)] and points(run, "eval_loss") == [(19, 9.5)]
    assert run.planned_steps == 100 and lines(run, "lr") == [1, 2]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
