"""MaxText: step lines and both forms of evaluation lines."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from tests.parsers.runs import assert_any_chunking_is_the_same, lines, points, run_of

LOG = """\
completed step: 12, seconds: 1.234, TFLOP/s/device: 201.500, Tokens/s/device: 10240.000, total_weights: 65536, loss: 9.876
completed step: 13, seconds: 1.200, TFLOP/s/device: 201.500, Tokens/s/device: 10240.000, total_weights: 65536, loss: nan, lm_loss: nan
Completed eval after train step 13, loss=9.500, perplexity=13359.7
average loss after step=14: eval_loss=9.400, total_weights=65536
"""


def test_values(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (12, 9.876) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "step_time") == [(12, 1.234), (13, 1.2)] and points(run, "throughput_tokens")[0] == (12, 10240.0)
    found = [p for t in run.all_series("eval_loss") for p in zip(t.steps, t.values, strict=True)]
    assert sorted(found) == [(13, 9.5), (14, 9.4)] and lines(run, "loss") == [1, 2]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
