"""DeepSpeed's CSV monitor: samples become steps, the loss is one batch behind, headers repeat."""

from __future__ import annotations

import math
from pathlib import Path

from parsers import kinds as k
from tests.parsers.runs import kinds, lines, points, run_of


def test_loss_and_rate_of_a_step_meet(tmp_path: Path) -> None:
    loss = run_of(tmp_path, "step,train_loss\n0,0.13\n4,nan\n8,nan\n", "Train_Samples_train_loss.csv")
    rate = run_of(tmp_path, "step,lr\n4,0.001\n8,0.001\n12,0.001\n", "Train_Samples_lr.csv")
    assert [s for s, _ in points(loss, "loss")] == [s for s, _ in points(rate, "lr")] == [1, 2, 3]
    assert points(loss, "loss")[0] == (1, 0.13) and math.isnan(points(loss, "loss")[1][1])
    assert rate.environment.value("run:train_batch_size") == 4


def test_a_restart(tmp_path: Path) -> None:
    run = run_of(tmp_path, "step,lr\n4,0.1\n8,0.1\nstep,lr\n4,0.2\n", "Train_Samples_lr.csv")
    assert points(run, "lr") == [(1, 0.1), (2, 0.1), (1, 0.2)] and run.segments == 2 and kinds(run) == [k.RUN_START]
    assert lines(run, "lr") == [2, 3, 5]
