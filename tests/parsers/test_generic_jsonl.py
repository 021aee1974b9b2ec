"""JSON lines of any loop: NaN, groups, mmengine's scalars; a fallback."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of


def test_values_and_groups(tmp_path: Path) -> None:
    log = '{"step": 100, "train": {"loss": 1.23}, "lr": 1e-4, "val_loss": 2.0}\n{"step": 200, "train": {"loss": NaN}, "lr": 0}\n'
    run = run_of(tmp_path, log, "metrics.jsonl")
    assert points(run, "loss")[0] == (100, 1.23) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "lr") == [(100, 1e-4), (200, 0.0)] and points(run, "eval_loss") == [(100, 2.0)]
    assert lines(run, "loss") == [1, 2]


def test_mmcv_counts_within_the_epoch(tmp_path: Path) -> None:
    log = "".join(f'{{"mode": "train", "epoch": {e}, "iter": {i}, "lr": 0.1, "loss": 1.5}}\n' for e in (1, 2) for i in (50, 100))
    log += '{"mode": "val", "epoch": 2, "iter": 100, "lr": 0.1, "loss": 1.4}\n'
    run = run_of(tmp_path, log)
    assert [step for step, _ in points(run, "loss")] == [50, 100, 150, 200] and [v for _, v in points(run, "eval_loss")] == [1.4]


@pytest.mark.parametrize(
    "line", ['{"step": 1, "text": "loss"}', '{"loss": 1.0}', 'x {"step": 1, "loss": 2}', '{"step": 1, "loss": ', "{" * 500]
)
def test_what_is_no_record(tmp_path: Path, line: str) -> None:
    assert run_of(tmp_path, line + ' "step": "iter": "epoch":\n' if line.startswith("{{") else line + "\n").tracks == ()


def test_it_steps_back_for_a_reader_that_is_sure(tmp_path: Path) -> None:
    log = '{"step": 1, "loss": 2.0}\n{"current_steps": 10, "total_steps": 30, "loss": 1.5, "lr": 9.8e-05}\n'
    assert run_of(tmp_path, log).readers == ("llamafactory_jsonl",)


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, '{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
