"""CSV and TSV of metrics, and tables that are none."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from parsers import read
from tests.parsers.runs import kinds, lines, points, run_of


def test_keras_csv_logger(tmp_path: Path) -> None:
    run = run_of(tmp_path, "epoch,accuracy,loss,val_accuracy,val_loss\n0,0.5,2.0,0.4,2.1\n1,0.6,nan,0.5,inf\n", "log.csv")
    assert points(run, "loss")[0] == (0, 2.0) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "eval_loss") == [(0, 2.1), (1, math.inf)] and points(run, "accuracy") == [(0, 0.5), (1, 0.6)]
    assert run.readers == ("generic_csv",) and lines(run, "loss") == [2, 3]


def test_tabs_and_a_repeated_header(tmp_path: Path) -> None:
    run = run_of(tmp_path, "Step\tTraining Loss\n10\t1.5\n20\t1.4\nStep\tTraining Loss\n10\t1.3\n", "x.tsv")
    assert points(run, "loss") == [(10, 1.5), (20, 1.4), (10, 1.3)] and kinds(run) == [k.RUN_START] and run.segments == 2


@pytest.mark.parametrize("text", ["name,age\nA,3\n", "epoch,name\n1,x\n", "1,2,3\n4,5,6\n", "step\n1\n", ",,\n", "loss,b\n1,2\n"])
def test_tables_of_something_else(tmp_path: Path, text: str) -> None:
    assert "generic_csv" not in run_of(tmp_path, text, "x.csv").readers


def test_torn_and_ragged_rows(tmp_path: Path) -> None:
    run = run_of(tmp_path, 'step,loss,lr\n1,2.0\n2,1.9,1e-4,7,8\n3,"1.8\n4,1.', "x.csv")
    assert points(run, "loss")[:2] == [(1, 2.0), (2, 1.9)] and run.failures == ()


def test_compressed(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "metrics_all.csv.gz"
    path.write_bytes(gzip.compress(b"step,loss\n1,2.0\n"))
    assert points(read([path], strict=True), "loss") == [(1, 2.0)]
