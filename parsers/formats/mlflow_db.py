"""MLflow's database `mlflow.db` (SQLite): the latest run in it.

Written by `mlflow/store/tracking/sqlalchemy_store.py`: `runs` (run_uuid, name, status, start_time), `metrics` (run_uuid, key,
value, timestamp, step, is_nan), `params` (run_uuid, key, value). NaN is stored as 0 with `is_nan`, infinities as ±1.797e308.

A database holds many runs and a diagnosis is of one: the run that started last is read, the others are named as a
Problem. A "line" of this reader is the row's place in the run. The file is opened read-only and unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from parsers import kinds
from parsers.columns import is_eval
from parsers.model import Event, Fact, Problem, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.values import scalar

if TYPE_CHECKING:
    import sqlite3

MAX_ROWS: Final = 5_000_000
_LARGEST: Final = 1.79e308
_METRICS: Final = (
    "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY step, timestamp, key LIMIT ?"
)


@file_reader(
    "mlflow_db",
    title="MLflow database (mlflow.db)",
    example="mlflow.db",
    matches=lambda path, first: first.startswith(b"SQLite format 3\0") and path.name.endswith((".db", ".sqlite", ".sqlite3")),
    is_binary=True,
)
def read(path: Path) -> Iterator[Record]:
    """Rows, parameters and the end of the run that started last."""
    import sqlite3

    connection = sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1", uri=True)
    try:
        yield from _latest(connection, SourceRef(str(path), 0))
    except sqlite3.Error as error:
        yield Problem(SourceRef(str(path), 0), "mlflow_db", f"no database of MLflow, or damaged ({error})")
    finally:
        connection.close()


def _latest(connection: sqlite3.Connection, ref: SourceRef) -> Iterator[Record]:
    runs = connection.execute("SELECT run_uuid, name, status FROM runs ORDER BY start_time DESC, run_uuid LIMIT 1000").fetchall()
    if not runs:
        return
    run, name, status = runs[0]
    if len(runs) > 1:
        yield Problem(ref, "mlflow_db", f"{len(runs)} runs in one database: only the latest ({name or run}) was read")
    for key, value in connection.execute("SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", (run,)):
        yield Fact(f"arg:{key}", scalar(str(value)[:300]), SourceRef(ref.file, 0, f"{key} = {value}"[:300]), weight=2)
    rows = connection.execute(_METRICS, (run, MAX_ROWS))
    for number, (key, value, time, step, is_nan) in enumerate(rows, 1):
        if isinstance(value, int | float) and isinstance(step, int):
            kind = "eval" if is_eval(str(key)) else "train"
            shown = math.nan if is_nan else _infinite(float(value))
            at = time / 1000 if isinstance(time, int) else None
            yield Row(number, ((str(key), shown),), step, "eval" if kind == "eval" else "train", None, at)
    quoted = SourceRef(ref.file, 0, f"run {name or run}: {status}")
    if status == "FINISHED":
        yield Event(kinds.RUN_END, quoted)
    elif status == "FAILED":
        yield Event(kinds.CHILD_FAILED, quoted, data={"launcher": "mlflow"})


def _infinite(value: float) -> float:
    return math.copysign(math.inf, value) if abs(value) > _LARGEST else value
