"""OpenRLHF: several models in one dict."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, points, run_of

LOG = (
    "(PPOTrainer pid=99) INFO 05-01 12:00:00 ppo_trainer.py:547] ✨ Global step 10: {'policy_loss': 0.01, 'actor_lr': 5e-07, "
    "'critic_loss': nan, 'reward': 0.5, 'timing/step_total': 12.5}\n"
)


def test_engines(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "policy_loss") == [(10, 0.01)] and math.isnan(points(run, "critic_loss")[0][1])
    assert {t.name: t.engine for t in run.tracks}["critic_loss"] == "critic"
    assert points(run, "reward") == [(10, 0.5)] and points(run, "step_time") == [(10, 12.5)]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
