"""OLMo: a head and its metric lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = """\
2024-03-01 12:00:00.123 host:0 olmo.train:967 INFO [step=1/1907]
    train/CrossEntropyLoss=11.23
    optim/total_grad_norm=1.234
    throughput/device/tokens_per_second=12,345
    System/Peak GPU Memory (MB)=2,048
2024-03-01 12:00:01.123 host:0 olmo.train:967 INFO [step=2/1907,epoch=0]
    train/CrossEntropyLoss=nan
other line
    train/CrossEntropyLoss=5
"""


def test_values(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (1, 11.23) and math.isnan(points(run, "loss")[1][1]) and len(points(run, "loss")) == 2
    assert points(run, "grad_norm") == [(1, 1.234)] and points(run, "throughput_tokens") == [(1, 12345.0)]
    assert points(run, "memory_gpu") == [(1, 2.0)] and run.planned_steps == 1907 and lines(run, "loss") == [2, 7]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
