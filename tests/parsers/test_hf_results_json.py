"""The Trainer's result files: a summary, an evaluation, the end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import kinds, lines, points, run_of


def test_all_results(tmp_path: Path) -> None:
    text = '{\n    "epoch": 3.0,\n    "eval_loss": NaN,\n    "train_loss": 0.0,\n    "train_runtime": 1234.5\n}\n'
    run = run_of(tmp_path, text, "all_results.json")
    assert math.isnan(points(run, "eval_loss")[0][1]) and lines(run, "eval_loss") == [3]
    assert kinds(run) == [k.RUN_END] and run.events[0].ref.line == 5 and run.events[0].data["train_loss"] == 0.0
    assert run.series("loss") is None


@pytest.mark.parametrize("text", ["{", "{}", '{"a": {"b": 1}}'])
def test_broken_files(tmp_path: Path, text: str) -> None:
    assert run_of(tmp_path, text, "all_results.json").failures == ()
