"""XTuner v1: one loguru line a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, points, run_of

LOG = (
    "[XTuner][RANK 0][2025-09-01 10:00:00][INFO] Epoch 1 Step 10/500 data_time: 0.0100 lr: 1.000000e-05 time: 0.5000 "
    "text_tokens: 4096 total_loss: 2.12345678 grad_norm: 0.51234567 max_memory: 20.50 GB tgs: 8192.0 eta: 1:02:03\n"
)


def test_values(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss") == [(10, 2.12345678)] and points(run, "grad_norm") == [(10, 0.51234567)]
    assert points(run, "throughput_tokens") == [(10, 8192.0)] and points(run, "memory_gpu") == [(10, 20.5)]
    assert points(run, "step_time") == [(10, 0.5)] and run.planned_steps == 500 and run.tracks[0].rank == 0


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
