"""ms-swift's logging.jsonl: the inverted speed key, every generation of the step."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of


def one(extra: str) -> str:
    return '{"loss": 1.2345, "grad_norm": 0.51, "learning_rate": 9.8e-05, "epoch": 0.1, "memory(GiB)": 31.02, ' + extra + "}\n"


def test_a_rate_and_its_inverse_are_both_seconds(tmp_path: Path) -> None:
    old = run_of(tmp_path, one('"global_step/max_steps": "10/100", "train_speed(iter/s)": 0.25'), "logging.jsonl")
    new = run_of(tmp_path, one('"global_step/max_steps": "10/100", "train_speed(s/it)": 4.0'), "logging.jsonl")
    assert points(old, "step_time") == points(new, "step_time") == [(10, 4.0)]
    assert points(old, "memory_gpu") == [(10, 31.02)] and old.planned_steps == 100


@pytest.mark.parametrize("step", ['"global_step": 10', '"steps[global_step/max_steps]": "10/60"', '"iteration": "10/1000"'])
def test_every_generation_of_the_step(tmp_path: Path, step: str) -> None:
    run = run_of(tmp_path, one(step), "logging.jsonl")
    assert points(run, "loss") == [(10, 1.2345)] and lines(run, "loss") == [1]


def test_evaluation_and_end(tmp_path: Path) -> None:
    log = one('"global_step/max_steps": "10/10"') + '{"eval_loss": 4.4, "epoch": 0.1, "global_step/max_steps": "10/10"}\n'
    run = run_of(tmp_path, log + '{"last_model_checkpoint": "/out/checkpoint-10", "best_metric": 4.4}\n', "logging.jsonl")
    assert points(run, "eval_loss") == [(10, 4.4)] and kinds(run) == [k.RUN_END]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, one('"global_step/max_steps": "10/10"') * 2)
