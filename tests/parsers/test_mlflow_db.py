"""MLflow's database: the latest run, NaN and infinities as MLflow stores them."""

from __future__ import annotations

import math
from pathlib import Path

from parsers import kinds as k
from parsers import read
from tests.parsers.runs import kinds, lines, points, run_of


def database(path: Path) -> None:
    import sqlite3

    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE runs (run_uuid, name, status, start_time)")
        db.execute("CREATE TABLE metrics (run_uuid, key, value, timestamp, step, is_nan)")
        db.execute("CREATE TABLE params (run_uuid, key, value)")
        db.executemany("INSERT INTO runs VALUES (?,?,?,?)", [("a", "old", "FINISHED", 1), ("b", "new", "FAILED", 2)])
        rows = [("b", "train/loss", 0.5, 1795487985000, 1, 0), ("b", "train/loss", 0.0, 1795487986000, 2, 1),
                ("b", "grad_norm", 1.7976931348623157e308, 1795487986000, 2, 0), ("a", "train/loss", 9.0, 1, 1, 0)]  # fmt: skip
        db.executemany("INSERT INTO metrics VALUES (?,?,?,?,?,?)", rows)
        db.execute("INSERT INTO params VALUES ('b', 'bs', '8')")
    db.close()


def test_the_latest_run(tmp_path: Path) -> None:
    database(tmp_path / "mlflow.db")
    run = read([tmp_path / "mlflow.db"], strict=True)
    assert points(run, "loss")[0] == (1, 0.5) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "grad_norm") == [(2, math.inf)] and run.environment.value("arg:bs") == 8
    assert kinds(run) == [k.CHILD_FAILED] and "2 runs" in run.problems[0].reason and len(lines(run, "loss")) == 2


def test_another_database(tmp_path: Path) -> None:
    import sqlite3

    sqlite3.connect(tmp_path / "x.db").execute("CREATE TABLE t (a)").connection.close()
    run = read([tmp_path / "x.db"], strict=True)
    assert run.tracks == () and len(run.problems) == 1


def test_damage(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    assert read([tmp_path / "x.db"]).failures == ()
    assert run_of(tmp_path, "x\n").failures == ()
