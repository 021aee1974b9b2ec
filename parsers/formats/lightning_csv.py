"""Lightning's `CSVLogger`: `lightning_logs/version_<n>/metrics.csv`.

Written by `lightning/fabric/loggers/csv_logs.py`; the header is the union of all names, a row a log call, other cells empty:

    epoch,step,train_loss_epoch,train_loss_step,val_loss
    0,1,,0.08521445095539093,
    0,3,,,0.06921946257352829

`step` is the trainer's global step when the call was made, counted from 0. Several rows share a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds
from parsers.columns import header, table, values
from parsers.model import Event, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.values import number

_WITHOUT: Final = frozenset({"step"})


def _matches(path: Path, first: bytes) -> bool:
    if "metrics.csv" not in path.name:
        return False
    names = header(first)
    return "step" in names and len(names) > 1


@file_reader(
    "lightning_csv",
    title="Lightning CSVLogger (metrics.csv)",
    example="epoch,step,train_loss_step,val_loss",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """Rows with their step; training and evaluation apart."""
    for line, cells in table(path):
        if not cells:
            yield Event(kinds.RUN_START, SourceRef(str(path), line))
            continue
        at = number(cells.get("step", ""))
        step = int(at) if at is not None and abs(at) < 1e15 else None
        train, held_out = values(cells, _WITHOUT)
        if len(held_out) and all(name == "epoch" for name, _ in train):
            train, held_out = (), held_out + train
        if any(name != "epoch" for name, _ in train):
            yield Row(line, train, step, "train")
        if held_out:
            yield Row(line, held_out, step, "eval")
