"""nanoGPT and its children, each in its own manner."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, points, run_of


def test_nanogpt(tmp_path: Path) -> None:
    log = "step 0: train loss 10.9, val loss 10.8\niter 0: loss 10.9, time 52.1ms, mfu -100.00%\niter 10: loss nan, time 40.00ms, mfu 41.20%\n"
    run = run_of(tmp_path, log)
    assert points(run, "loss")[0] == (0, 10.9) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "eval_loss") == [(0, 10.8)]
    assert points(run, "step_time") == [(0, 52.1 * 1e-3), (10, 40.0 * 1e-3)]
    assert points(run, "mfu") == [(10, 41.2)]


def test_modded_nanogpt_restarts_are_segments(tmp_path: Path) -> None:
    once = (
        "step:0/250 val_loss:10.8258 train_time:0ms step_avg:nanms\n"
        "step:125/250 val_loss:4.48721 train_time:67.200s step_avg:537.60ms\n"
        "step:250/250 train_time:134400ms step_avg:537.60ms\n"
    )
    run = run_of(tmp_path, once * 2)
    assert points(run, "eval_loss") == [(0, 10.8258), (125, 4.48721)] * 2
    assert run.planned_steps == 250 and run.segments == 2
    assert points(run, "step_avg")[0] == (125, 537.60 * 1e-3)
    assert kinds(run) == [k.RUN_START, k.RUN_START]


def test_forks_with_a_training_loss(tmp_path: Path) -> None:
    run = run_of(tmp_path, "step:20/1000, tokens seen:1.25M, avg_train_loss:nan time:182/1147s step_avg:1147ms\n")
    assert points(run, "loss")[0][0] == 20 and math.isnan(points(run, "loss")[0][1])


def test_short_lines(tmp_path: Path) -> None:
    run = run_of(tmp_path, "s:0 tel:10.968871\ns:0 trl:10.965596\ns:1 trl:10.81\n")
    assert points(run, "loss") == [(0, 10.965596), (1, 10.81)] and points(run, "eval_loss") == [(0, 10.968871)]


def test_llm_c_and_build_nanogpt(tmp_path: Path) -> None:
    log = (
        "step    1/18865 | loss 10.9 (+nanz)| norm 15.3 (+nanz)| lr 8.57e-07 | 3500 ms | 50% bf16 MFU | 150000 tok/s\n"
        "val loss 3.294180\n"
        "step     2 | loss: 9.523163 | lr 1.0000e-04 | norm: 1.2345 | dt: 300.00ms | tok/sec: 1500000.00\n"
    )
    run = run_of(tmp_path, log)
    assert points(run, "loss") == [(1, 10.9), (2, 9.523163)]
    assert points(run, "grad_norm") == [(1, 15.3), (2, 1.2345)]
    assert points(run, "step_time") == [(1, 3.5), (2, pytest.approx(0.3))]
    assert points(run, "lr") == [(1, 8.57e-07), (2, 1e-4)]
    assert [value for _, value in points(run, "eval_loss")] == [3.29418]


def test_litgpt(tmp_path: Path) -> None:
    log = (
        "iter 83594: loss 1.9491, time: 6235.95ms, speed: 1771 toks/s/device\n"
        "Epoch 1 | iter 84000 step 90000 | loss train: 1.234, val: 1.5 | iter time: 123.45 ms (step)\n"
    )
    run = run_of(tmp_path, log)
    assert points(run, "loss") == [(83594, 1.9491), (90000, 1.234)] and points(run, "eval_loss") == [(90000, 1.5)]


def test_a_verl_line_is_not_taken(tmp_path: Path) -> None:
    assert "nanogpt" not in run_of(tmp_path, "step:1 - actor/pg_loss:0.1 - train_loss:2\n").readers


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = "step:125/250 val_loss:4.4 train_time:67.2s step_avg:537.60ms\niter 0: loss 10.9, time 52.1ms, mfu 1.00%\n" * 3
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, log)
