"""Lightning: the bar with its postfix over epochs, and what the Trainer says."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, points, run_of

BAR = "Epoch {e}: {p:3d}%|████      | {i}/4 [00:01<00:02,  1.31it/s, v_num=0, train_loss_step={v}]\r"
LOG = (
    "GPU available: True (cuda), used: True\n"
    + "".join(BAR.format(e=0, p=25 * i, i=i, v=f"{1 - i / 10:.3f}") for i in range(1, 5))
    + "Epoch 0: 100%|████| 4/4 [00:01<00:00,  1.31it/s, v_num=0, train_loss_step=0.600, val_loss=0.456]\n"
    + "".join(BAR.format(e=1, p=25 * i, i=i, v="nan.0") for i in range(1, 3))
    + "\r        \x1b[A\nMonitored metric val_loss = nan is not finite. Previous best value was 0.456. Signaling Trainer to stop.\n"
    + "Epoch 1:  50%|█████     | 2/4 [00:01<00:00, 370.03it/s, v_num=0, train_loss_step=nan.0]`Trainer.fit` stopped: `max_epochs=2` reached.\n"
)


def test_the_step_goes_on_over_epochs_and_redraws_count_once(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert [step for step, _ in points(run, "loss")] == [1, 2, 3, 4, 5, 6]
    assert points(run, "loss")[0] == (1, 0.9) and math.isnan(points(run, "loss")[-1][1])
    assert points(run, "eval_loss") == [(4, 0.456)]
    assert "tqdm_postfix" not in run.readers


def test_marks(tmp_path: Path) -> None:
    assert kinds(run_of(tmp_path, LOG)) == [k.RUN_START, k.NAN_REPORT, k.RUN_END]


def test_nemo_1(tmp_path: Path) -> None:
    log = (
        "Epoch 0: :   6%|▌ | 32040/500150 [6:28:43<94:39:17,  1.37it/s, loss=2.6, v_num=95nc, reduced_train_loss=2.590, "
        "global_step=3.2e+4, consumed_samples=2.56e+7]\n"
    )
    run = run_of(tmp_path, log)
    found = {track.name: (track.steps[0], track.values[0]) for track in run.tracks}
    assert found["reduced_train_loss"] == (32040, 2.59) and found["loss"] == (32040, 2.6)


def test_restored(tmp_path: Path) -> None:
    run = run_of(tmp_path, "Restoring states from the checkpoint path at /ckpt/last.ckpt\n")
    assert kinds(run) == [k.RESUME] and run.events[0].data["checkpoint"] == "/ckpt/last.ckpt"


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
