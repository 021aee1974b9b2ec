"""The last resort: what it takes, and above all what it leaves alone."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of


@pytest.mark.parametrize(
    ("line", "step", "loss"),
    [
        ("step: 16 loss: 4.8503 grad_norm: 0.6420 lr: 3.000e-03", 16, 4.8503),
        ("step 100 loss=0.52 lr 1e-4", 100, 0.52),
        ("[2024-05-01 12:00:00] INFO trainer: Iteration 1,200/10,000 | Loss: 2.5e-1 | LR: 1e-5", 1200, 0.25),
        ("Epoch [2/5], Step [100/600], Loss: 0.5123", 700, 0.5123),
        ("Epoch: [0][  10/5005]\tTime  0.5 ( 1.2)\tLoss 6.9e+00 (7.0e+00)\tAcc@1   0.00 (  0.10)", 10, 6.9),
        ("Finish training epoch 3. loss: 0.0696", 3, 0.0696),
        ("global_step=500, epoch=2, train_loss=tensor(0.25, device='cuda:0')", 500, 0.25),
        ("epoch 1 batch 20 loss is 1.5", 20, 1.5),
    ],
)
def test_records(tmp_path: Path, line: str, step: int, loss: float) -> None:
    run = run_of(tmp_path, line + "\n")
    assert points(run, "loss") == [(step, loss)] and run.readers == ("generic_text",)


@pytest.mark.parametrize(
    "line",
    [
        "loss_scale: 65536 at step 10",
        "Saving best checkpoint at step 100 with loss 0.5",
        "New best: epoch 3 val_loss 0.5",
        "python train.py --steps 100 --loss 1",
        "{'loss': 0.5, 'step': 3} and more",
        "using loss weight: 0.5, steps: 100",
        "step 10: the loss function returned 3 values",
        "the loss at step 100 was fine",
        "loss.num_chunks: 8, step 10",
        '  File "/x/train.py", line 100, in step: loss = 3',
        "Steps:  40%|████      | 200/500 [01:00<01:30,  3.31it/s] loss: 0.5",
    ],
)
def test_what_is_no_record(tmp_path: Path, line: str) -> None:
    assert [t for t in run_of(tmp_path, line + "\n").tracks if t.reader == "generic_text"] == []


def test_samples_in_brackets_are_no_step(tmp_path: Path) -> None:
    log = "".join(f"Train Epoch: 1 [{i * 640}/60000 ({i}%)]\tLoss: 0.{i}\n" for i in range(1, 4))
    run = run_of(tmp_path, log + "Test set: Average loss: 0.0553, Accuracy: 9820/10000 (98%)\n")
    assert points(run, "loss") == [(1, 0.1), (2, 0.2), (3, 0.3)] and run.step_source == "count"
    assert [v for _, v in points(run, "eval_loss")] == [0.0553]


def test_training_and_validation_on_one_line(tmp_path: Path) -> None:
    run = run_of(tmp_path, "Epoch 3 | train_loss: 0.5 | val_loss: 0.6 | val_acc: 0.9\n")
    assert (
        points(run, "loss") == [(3, 0.5)]
        and points(run, "eval_loss") == [(3, 0.6)]
        and points(run, "eval_accuracy") == [(3, 0.9)]
    )


def test_nan_and_a_bare_loss(tmp_path: Path) -> None:
    run = run_of(tmp_path, "loss: 0.5\nloss: nan\n")
    assert points(run, "loss")[0][1] == 0.5 and math.isnan(points(run, "loss")[1][1]) and lines(run, "loss") == [1, 2]


def test_the_step_falls_back_with_each_epoch(tmp_path: Path) -> None:
    log = "".join(f"epoch {e} step {s} loss {e}.{s}\n" for e in (1, 2) for s in (10, 20, 30))
    assert [step for step, _ in points(run_of(tmp_path, log), "loss")] == [10, 20, 30, 40, 50, 60]


def test_it_steps_back_for_a_reader_that_is_sure_wherever_its_lines_stand(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    own, sure = "step 1 loss 0.5\n", "iter 1: loss 0.9, time 1.0ms, mfu 1.00%\n"
    for log in (own + sure, sure + own):
        run = run_of(tmp_path, log)
        assert run.readers == ("nanogpt",) and points(run, "loss") == [(1, 0.9)]
        assert_any_chunking_is_the_same(monkeypatch, tmp_path, log)


def test_step_reports_without_a_loss_do_not_silence_it(tmp_path: Path) -> None:
    log = (
        "[2023-01-01 00:00:00,000] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, lr=[0.001], mom=[(0.9, 0.999)]\n"
    )
    assert points(run_of(tmp_path, log + "step 10 loss 0.5\n"), "loss") == [(10, 0.5)]


def test_long_lines_and_odd_numbers_never_raise(tmp_path: Path) -> None:
    log = "loss " + "x" * 5000 + "\n" + "step " + "9" * 400 + " loss: 1\n" + "loss: 1e999 step 1\n" + "loss " * 180 + "\n"
    assert run_of(tmp_path, log).failures == () and kinds(run_of(tmp_path, log)) == []


def test_what_a_logger_wrote_behind_a_bar_is_read(tmp_path: Path) -> None:
    log = "".join(
        f"\rSteps:  {i}%|▎   | {i}/99 [00:00<00:01, 105.59it/s, loss=5.6{i}, lr=0.003]"
        + (f" 11/24/2026 07:34:03 - INFO - train - step={i} train_loss=5.6{i}715 grad_norm=0.{i} lr=3.000e-03\n" if i % 2 else "")
        for i in range(1, 10)
    )
    run = run_of(tmp_path, log)
    assert points(run, "grad_norm") == [(i, i / 10) for i in (1, 3, 5, 7, 9)]
    assert points(run, "loss") == [(i, float(f"5.6{i}")) for i in range(1, 10)]


def test_a_bar_alone_is_no_line_of_a_logger(tmp_path: Path) -> None:
    run = run_of(tmp_path, "Epoch 1 step 3 loss: 0.5:  40%|██  | 2/5 [00:01<00:02,  1.31it/s]\n")
    assert "generic_text" not in run.readers


def test_an_actor_and_a_critic_stay_two_series(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = "".join(
        f"(Actor pid=101) step {i} loss={2.5 - i / 10:.2f}\n(Critic pid=102) step {i} loss={0.9 / i if i < 6 else math.nan}\n"
        for i in range(1, 8)
    )
    run = run_of(tmp_path, text)
    assert points(run, "loss") == [(i, pytest.approx(2.5 - i / 10)) for i in range(1, 8)]
    critic = run.series("Critic/loss")
    assert critic is not None and list(critic.steps) == [1, 2, 3, 4, 5, 6, 7] and math.isnan(critic.values[5])
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, text)
