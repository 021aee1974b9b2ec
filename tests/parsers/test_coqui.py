"""Coqui: metric lines below a head; the environment block is not one."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of

LOG = (
    " > Training Environment:\n | > Num. of GPUs: 1\n | > Torch seed: 1\n"
    "\x1b[1m > TRAINING (2026-02-11 01:08:02) \x1b[0m\n\n"
    "\x1b[1m   --> TIME: 2026-02-11 01:08:46 -- STEP: 150/24940 -- GLOBAL_STEP: 150\x1b[0m\n"
    "     | > loss_mel_ce: 4.714635848999023  (4.657325814565025)\n"
    "     | > loss: 0.05637720599770546  (0.05573831414182981)\n"
    "     | > current_lr: 5e-06 \n"
    "     | > step_time: 0.054  (0.05132284800211588)\n\n"
    "  \x1b[1m--> EVAL PERFORMANCE\x1b[0m\n"
    "     | > avg_loss:\x1b[92m 2.75422106896128 \x1b[0m(-2.1270983971300574)\n"
)


def test_values(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss") == [(150, 0.05637720599770546)] and points(run, "lr") == [(150, 5e-06)]
    assert points(run, "eval_loss") == [(150, 2.75422106896128)] and points(run, "step_time") == [(150, 0.054)]
    assert run.series("Num. of GPUs") is None and kinds(run) == [k.RUN_START] and lines(run, "loss") == [8]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
