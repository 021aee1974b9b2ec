"""The Trainer's state: steps, values, the lines they stand on, what was planned, and files that break off."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import kinds, lines, points, run_of

STATE = """{
  "best_metric": null,
  "epoch": 0.04,
  "eval_steps": 500,
  "global_step": 20,
  "log_history": [
    {
      "epoch": 0.02,
      "grad_norm": NaN,
      "learning_rate": 0.0005,
      "loss": 0.0,
      "step": 10
    },
    {
      "epoch": 0.02,
      "eval_loss": Infinity,
      "eval_runtime": 1.5,
      "step": 10
    },
    {
      "epoch": 0.04,
      "step": 20,
      "train_loss": 0.5,
      "train_runtime": 19.25
    }
  ],
  "logging_steps": 10,
  "max_steps": 40,
  "num_train_epochs": 2,
  "stateful_callbacks": {},
  "train_batch_size": 8,
  "trial_params": null
}
"""
NAME = "trainer_state.json"


def test_values_with_their_steps_and_lines(tmp_path: Path) -> None:
    run = run_of(tmp_path, STATE, NAME)
    assert run.readers == ("trainer_state",) and run.step_source == "printed" and run.problems == ()
    assert points(run, "loss") == [(10, 0.0)] and lines(run, "loss") == [11]
    assert STATE.splitlines()[10] == '      "loss": 0.0,'
    assert points(run, "eval_loss") == [(10, math.inf)] and lines(run, "eval_loss") == [16]
    assert math.isnan(points(run, "grad_norm")[0][1]) and lines(run, "grad_norm") == [9]
    assert points(run, "lr") == [(10, 0.0005)]


def test_what_was_planned(tmp_path: Path) -> None:
    run = run_of(tmp_path, STATE, NAME)
    value = run.environment.value
    assert run.planned_steps == 40 and value("run:logging_steps") == 10 and value("run:planned_epochs") == 2
    assert value("run:micro_batch_size") == 8 and value("run:global_step") == 20
    fact = run.environment.get("run:planned_steps")
    assert fact and (fact.ref.line, fact.ref.text, fact.weight) == (28, '"max_steps": 40', 2)


def test_the_summary_is_the_end(tmp_path: Path) -> None:
    run = run_of(tmp_path, STATE, NAME)
    assert kinds(run) == [k.RUN_END] and run.events[0].step == 20 and run.events[0].ref.line == 24
    assert run.events[0].data["train_loss"] == 0.5


def test_one_line_and_another_name(tmp_path: Path) -> None:
    state = json.dumps(json.loads(STATE))
    run = run_of(tmp_path, state, "state-copy.json")
    assert run.readers == ("trainer_state",) and lines(run, "loss") == [1]


@pytest.mark.parametrize("cut", ['"loss": 0.0,\n      "step": 10\n    }', '"eval_runtime"', '"log_history": ['])
def test_a_state_that_breaks_off(tmp_path: Path, cut: str) -> None:
    end = STATE.index(cut) + len(cut)
    run = run_of(tmp_path, STATE[:end], NAME)
    assert len(points(run, "loss")) == (cut != '"log_history": [')
    (problem,) = run.problems
    assert "breaks off" in problem.reason and problem.reader == "trainer_state"
    assert problem.ref.line in (6, 13, 14)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        '{"log_history": 3}',
        '{"log_history": [1, null, [], "x", {"step": "a", "loss": "b"}]}',
        "{" + '"a":[' * 4000,
        '{"max_steps": ',
    ],
)
def test_anything_is_survived(tmp_path: Path, text: str) -> None:
    assert run_of(tmp_path, text, NAME).failures == ()


def test_a_repeated_step_after_a_resume_begins_a_segment(tmp_path: Path) -> None:
    entries = [{"loss": 1.0, "step": step} for step in (1, 2, 3, 2, 3, 4)]
    run = run_of(tmp_path, json.dumps({"log_history": entries}, indent=2), NAME)
    series = run.series("loss")
    assert series and list(series.segments) == [0, 0, 0, 1, 1, 1]
