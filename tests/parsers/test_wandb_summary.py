"""wandb-summary.json: the last values, bare and quoted NaN."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import read
from tests.parsers.runs import points, run_of


def test_the_signature_in_one_file(tmp_path: Path) -> None:
    text = '{"train/loss": 0.0, "train/grad_norm": NaN, "eval/loss": "Infinity", "train/global_step": 4, "_step": 3, "_wandb": {"runtime": 9}}'
    run = run_of(tmp_path, text, "wandb-summary.json")
    assert points(run, "loss") == [(4, 0.0)] and math.isnan(points(run, "grad_norm")[0][1])
    assert points(run, "eval_loss") == [(4, math.inf)] and run.readers == ("wandb_summary",)


def test_it_ranks_behind_a_log(tmp_path: Path) -> None:
    (tmp_path / "wandb-summary.json").write_text('{"train/loss": 1.0, "_step": 3}')
    (tmp_path / "output.log").write_text("iter 3: loss 1.0, time 1.0ms, mfu 1.00%\n")
    run = read([tmp_path / "wandb-summary.json", tmp_path / "output.log"], strict=True)
    series = run.series("loss")
    assert series and series.reader == "nanogpt"


@pytest.mark.parametrize("text", ["{", "{}", '{"_step": 1e400}'])
def test_broken_files(tmp_path: Path, text: str) -> None:
    assert run_of(tmp_path, text, "wandb-summary.json").tracks == ()
