"""LeRobot: short names, a step that is rounded from 1,000 on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LINE = "INFO 2025-07-11 08:20:13 ts/train.py:232 step:{} smpl:576 ep:2 epch:0.50 loss:{} grdn:4.482 lr:1.8e-06 updt_s:0.302\n"


def test_values_and_rounded_steps(tmp_path: Path) -> None:
    steps = ["600", "800", "1K", "1K", "1K", "2K"]
    run = run_of(tmp_path, "".join(LINE.format(step, 1.0) for step in steps))
    assert [step for step, _ in points(run, "loss")] == [600, 800, 1000, 1200, 1400, 1600]
    assert points(run, "grad_norm")[0] == (600, 4.482) and points(run, "lr")[0] == (600, 1.8e-06)
    assert lines(run, "loss")[-1] == 6


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LINE.format(9, 1.0) * 3)
