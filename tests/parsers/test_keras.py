"""Keras: the full bar of each epoch, the unfinished one, verbose=2, evaluations."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, points, run_of

LOG = (
    "Epoch 1/3\n"
    " 50/100 [=====>......] - ETA: 0s - loss: 0.9000 - accuracy: 0.50" + "\x08" * 60 + "\r"
    + "100/100 [==============================] - 1s 5ms/step - loss: 0.5000 - accuracy: 0.9100 - val_loss: 0.4500\n"
    "Epoch 2/3\n"
    "100/100 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.9100 - loss: nan - val_loss: nan\n"
    "Epoch 3/3\n"
    " 10/100 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.1 - loss: 0.7\r"
    " 20/100 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.2 - loss: 0.6\n"
    "Batch 20: Invalid loss, terminating training\n"
)  # fmt: skip


def test_steps_are_batches(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    got = points(run, "loss")
    assert [step for step, _ in got] == [100, 200, 220] and got[0][1] == 0.5 and math.isnan(got[1][1]) and got[2][1] == 0.6
    assert points(run, "eval_loss")[0] == (100, 0.45) and points(run, "accuracy")[0] == (100, 0.91)
    assert kinds(run) == [k.NAN_REPORT] and run.planned_steps == 300


def test_verbose_2_and_an_evaluation(tmp_path: Path) -> None:
    log = (
        "Epoch 1/2\n100/100 - 1s - loss: 0.3123 - accuracy: 0.9100 - 1s/epoch - 5ms/step\n"
        "10/10 [==============================] - 0s 3ms/step - loss: 0.2000\n"
    )
    run = run_of(tmp_path, log)
    assert points(run, "loss") == [(100, 0.3123)] and points(run, "eval_loss") == [(100, 0.2)]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
