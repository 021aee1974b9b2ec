"""Lightning's metrics.csv: one row a log call, other cells empty."""

from __future__ import annotations

import math
from pathlib import Path

from tests.parsers.runs import lines, points, run_of


def test_rows(tmp_path: Path) -> None:
    text = "epoch,lr-AdamW,step,train_loss_step,val_loss\n0,,1,0.085,\n0,1e-3,1,,\n0,,3,,0.069\n0,,3,nan,\n"
    run = run_of(tmp_path, text, "metrics.csv")
    assert points(run, "loss")[0] == (1, 0.085) and math.isnan(points(run, "loss")[1][1]) and lines(run, "loss") == [2, 5]
    assert points(run, "eval_loss") == [(3, 0.069)] and points(run, "lr") == [(1, 1e-3)]
    assert run.readers == ("lightning_csv",)
