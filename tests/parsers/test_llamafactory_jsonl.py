"""LLaMA-Factory's trainer_log.jsonl: both generations of keys, nulls, a torn last line."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = """\
{"current_steps": 10, "total_steps": 30, "loss": 1.5, "lr": 9.8e-05, "epoch": 0.1, "percentage": 33.3, "elapsed_time": "0:00:10", "throughput": 1234.5, "total_tokens": 76800}
{"current_steps": 20, "total_steps": 30, "loss": 0.0, "eval_loss": null, "reward": null, "lr": 9e-05, "epoch": 0.2, "percentage": 66.6}
{"current_steps": 20, "total_steps": 30, "loss": null, "eval_loss": 1.25, "learning_rate": null, "epoch": 0.2, "percentage": 66.6}
"""


def test_metrics_steps_and_plan(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG, "trainer_log.jsonl")
    assert points(run, "loss") == [(10, 1.5), (20, 0.0)] and lines(run, "loss") == [1, 2]
    assert points(run, "lr") == [(10, 9.8e-05), (20, 9e-05)]
    assert points(run, "eval_loss") == [(20, 1.25)]
    assert points(run, "throughput_tokens") == [(10, 1234.5)]
    assert run.planned_steps == 30 and run.readers == ("llamafactory_jsonl",)


def test_a_torn_line_is_a_problem_with_its_number(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG + '{"current_steps": 30, "total_ste')
    assert [(p.ref.line, p.reader) for p in run.problems] == [(4, "llamafactory_jsonl")]


def test_bare_nan(tmp_path: Path) -> None:
    run = run_of(tmp_path, '{"current_steps": 10, "total_steps": 30, "loss": NaN, "lr": Infinity}\n')
    assert math.isnan(points(run, "loss")[0][1]) and points(run, "lr") == [(10, math.inf)]


def test_before_0_9_1_the_rate_has_its_long_name(tmp_path: Path) -> None:
    assert points(run_of(tmp_path, '{"current_steps": 5, "total_steps": 9, "loss": 1.0, "learning_rate": 1e-5}\n'), "lr") == [
        (5, 1e-5)
    ]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
