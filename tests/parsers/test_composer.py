"""Composer: a head and its metric lines, in-epoch batches, evaluations, token durations."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = (
    "[batch=10/4800]:\n"
    "\t Train time/batch: 9\n"
    "\t Train loss/train/total: 10.8123\n"
    "\t Train l2_norm/grad/global: 1.2500\n"
    "\t Train lr-DecoupledAdamW/group0: 0.0000\n"
    "[batch=20/4800]:\n"
    "\t Train loss/train/total: nan\n"
    "[Eval batch=40/40] Eval on eval data:\n"
    "\t Eval metrics/eval/LanguageCrossEntropy: 10.7654\n"
    "Something else: 1\n"
    "\t Train loss/train/total: 1.0\n"
)


def test_each_metric_has_its_own_line(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (10, 10.8123) and math.isnan(points(run, "loss")[1][1])
    assert lines(run, "loss") == [3, 7] and points(run, "grad_norm") == [(10, 1.25)]
    assert points(run, "eval_loss") == [(20, 10.7654)] and run.planned_steps == 4800


def test_a_rate_that_four_decimals_hide_is_not_zero(tmp_path: Path) -> None:
    assert run_of(tmp_path, LOG).series("lr") is None


def test_batches_of_an_epoch(tmp_path: Path) -> None:
    run = run_of(tmp_path, "[epoch=2][batch=10/100]:\n\t Train loss/train/total: 1.5\n")
    assert points(run, "loss") == [(110, 1.5)]


def test_a_duration_in_tokens(tmp_path: Path) -> None:
    log = "[token=2048/1000000]:\n\t Train time/batch: 7\n\t Train loss/train/total: 2.5\n"
    assert points(run_of(tmp_path, log), "loss") == [(7, 2.5)]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)


def test_the_file_logger_counts_finished_batches(tmp_path: Path) -> None:
    text = (
        '[hyperparameter]: composer_version: "0.32.1" \n'
        "[metric][batch=0]: time/batch: 0 \n[metric][batch=0]: loss/train/total: 2.3582 \n[metric][batch=1]: lr-SGD/group0: 0.1000 \n"
        "[stderr]: [batch=1/120]:\n[stderr]: \t Train loss/train/total: 2.3582\n"
        "[metric][batch=1]: loss/train/total: 2.2664 \n[metric][batch=30]: metrics/eval/CrossEntropy: 1.4056 \n"
    )
    run = run_of(tmp_path, text)
    assert points(run, "loss") == [(0, 2.3582), (1, 2.2664)]
    assert points(run, "lr") == [(1, 0.1)] and points(run, "eval_loss") == [(30, 1.4056)]
    assert run.environment.value("package:mosaicml") == "0.32.1"
