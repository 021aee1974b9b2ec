"""fairseq: values in strings, a key that is missing, overflow notes, validation, the simple format."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of

INNER = (
    '2023-01-05 10:00:{:02d} | INFO | train_inner | {{"epoch": 1, "update": 0.1, "loss": "{}", "wps": "54321", "num_updates": "{}", '
    '"lr": "2.5e-06", {}"loss_scale": "128", "wall": "150"}}\n'
)
LOG = (
    INNER.format(0, "12.345", 200, '"gnorm": "3.456", ')
    + "2023-01-05 10:00:01 | INFO | fairseq.trainer | NOTE: gradient overflow detected, ignoring gradient, setting loss scale to: 64.0\n"
    + INNER.format(2, "11.0", 400, "")
    + '2023-01-05 10:00:03 | INFO | valid | {"epoch": 1, "valid_loss": "6.681", "valid_wps": "1", "valid_num_updates": "400"}\n'
    + '2023-01-05 10:00:04 | INFO | train | {"epoch": 1, "train_loss": "9.0", "train_num_updates": "400"}\n'
)


def test_steps_and_names(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss") == [(200, 12.345), (400, 11.0)]
    assert points(run, "grad_norm") == [(200, 3.456)]
    assert points(run, "throughput_tokens") == [(200, 54321.0), (400, 54321.0)]
    assert points(run, "eval_loss") == [(400, 6.681)]
    assert points(run, "loss_scale") == [(200, 128.0), (400, 128.0)]


def test_the_epoch_s_mean_is_no_curve(tmp_path: Path) -> None:
    assert all(value != 9.0 for track in run_of(tmp_path, LOG).tracks for value in track.values)


def test_an_overflow_is_a_point_and_an_event(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "overflow") == [(201, 128.0)]
    assert kinds(run) == [k.OVERFLOW] and run.events[0].data == {"scale_from": 128.0, "scale_to": 64.0}


def test_hydra_prefix_and_simple_format(tmp_path: Path) -> None:
    log = (
        '[2022-03-28 18:18:15,310][train_inner][INFO] - {"epoch": 1, "loss": "9.427", "num_updates": "200", "gnorm": "1.459"}\n'
        "2023-01-05 10:00:00 | INFO | train_inner | epoch 001:    200 / 5000 loss=8.0, ppl=3.4, num_updates=400, gnorm=2.0, loss_scale=128\n"
    )
    run = run_of(tmp_path, log)
    assert points(run, "loss") == [(200, 9.427), (400, 8.0)] and points(run, "grad_norm")[1] == (400, 2.0)


def test_the_scaler_gives_up(tmp_path: Path) -> None:
    run = run_of(tmp_path, "FloatingPointError: Minimum loss scale reached (0.0001). Your loss is probably exploding.\n")
    assert k.SCALE_MINIMUM in kinds(run)


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert lines(run_of(tmp_path, LOG), "loss") == [1, 3]
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
