"""Ultralytics' results.csv: epochs, padded headers, the sum of the losses."""

from __future__ import annotations

import math
from pathlib import Path

from tests.parsers.runs import lines, points, run_of


def test_values(tmp_path: Path) -> None:
    text = (
        "                  epoch,         train/box_loss,         train/cls_loss,       metrics/mAP50(B),           val/box_loss,   lr/pg0\n"
        "                      1,                 1.5000,                 3.5000,                 0.0148,                 1.6702,   0.0001\n"
        "                      2,                    nan,                 3.0000,                 0.0200,                 1.5000,   0.0002\n"
    )
    run = run_of(tmp_path, text, "results.csv")
    assert points(run, "loss")[0] == (1, 5.0) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "eval_loss") == [(1, 1.6702), (2, 1.5)] and points(run, "lr") == [(1, 1e-4), (2, 2e-4)]
    assert run.readers == ("ultralytics_csv",) and lines(run, "loss") == [2, 3]
