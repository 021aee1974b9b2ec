"""Bars with metrics: postfix and description, redraws, epochs, a fallback."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, points, run_of


def test_postfix(tmp_path: Path) -> None:
    log = "".join(f"Steps: {i:3d}%|██  | {i}/100 [00:01<01:30,  3.31it/s, loss={1 / i:.4f}, lr=1e-5]\r" for i in (1, 2, 2, 3))
    run = run_of(tmp_path, log + "\n")
    assert points(run, "loss") == [(1, 1.0), (2, 0.5), (3, 0.3333)] and points(run, "lr") == [(1, 1e-5), (2, 1e-5), (3, 1e-5)]


def test_the_last_redraw_of_a_count_holds_its_values(tmp_path: Path) -> None:
    bar = "Steps:   1%|██  | 2/100 [00:01<01:30,  3.31it/s, loss={}]\r"
    assert points(run_of(tmp_path, bar.format("0.9") + bar.format("0.5")), "loss") == [(2, 0.5)]


def test_description_and_epochs(tmp_path: Path) -> None:
    log = "".join(f"Epoch {e}/2 loss: 0.{e}{i}: {i * 50}%|██  | {i}/2 [00:01<00:02,  1.31it/s]\r" for e in (1, 2) for i in (1, 2))
    assert points(run_of(tmp_path, log), "loss") == [(1, 0.11), (2, 0.12), (3, 0.21), (4, 0.22)]


def test_openrlhf_s_bar(tmp_path: Path) -> None:
    log = "Train step of epoch [0]:  40%|████  | 2/5 [00:01<00:02,  1.31s/it, gpt_loss=1.23, loss_mean=1.2, lr=1e-5]\n"
    assert points(run_of(tmp_path, log), "loss") == [(2, 1.23)]


def test_an_evaluation_s_bar_counts_when_it_is_full(tmp_path: Path) -> None:
    log = "".join(f"Validation: {i}%|██  | {i}/2 [00:01<00:02,  1.31it/s, loss=0.{i}]\r" for i in (1, 2))
    run = run_of(tmp_path, log)
    assert [v for _, v in points(run, "eval_loss")] == [0.2] and run.series("loss") is None


def test_it_steps_back_for_a_reader_that_is_sure(tmp_path: Path) -> None:
    log = "Steps:   1%|█ | 1/9 [00:01<01:30,  3.31it/s, loss=0.9]\niter 1: loss 0.9, time 1.0ms, mfu 1.00%\n"
    run = run_of(tmp_path, log)
    assert {t.reader for t in run.tracks} == {"nanogpt"} and "tqdm_postfix" not in run.readers


def test_bars_without_metrics_are_silent(tmp_path: Path) -> None:
    assert run_of(tmp_path, "Map: 100%|██| 10/10 [00:01<00:00, 9.9 examples/s, num_proc=8]\n").tracks == ()


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    log = "".join(f"Steps: {i:3d}%|██  | {i}/100 [00:01<01:30,  3.31it/s, loss={1 / i:.4f}]\r" for i in range(1, 30))
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, log)
