"""Ultralytics YOLO: `results.csv` in the run's folder, a row an epoch.

Written by `ultralytics/engine/trainer.py` (`save_metrics`) and before it by YOLOv5; older headers are padded with blanks:

    epoch,time,train/box_loss,train/cls_loss,train/dfl_loss,metrics/mAP50(B),val/box_loss,val/cls_loss,lr/pg0
    1,21.7,1.8153,3.8702,1.5001,0.0148,1.6702,3.1245,0.000189

The step axis is epochs. The parts of the loss are logged, not their sum: what is called `loss` here adds up the
`train/…_loss` columns as the trainer does. `metrics/…` is measured on validation data.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds
from parsers.columns import header, table, values
from parsers.model import Event, Record, Row, SourceRef
from parsers.pairs import Numbers
from parsers.registry import file_reader
from parsers.values import number

_WITHOUT: Final = frozenset({"epoch", "time"})


def _matches(path: Path, first: bytes) -> bool:
    names = header(first) if path.name.startswith("results") or b"/box_loss" in first else ()
    return bool(names) and names[0] == "epoch" and any(name.startswith("train/") and "loss" in name for name in names)


@file_reader(
    "ultralytics_csv",
    title="Ultralytics YOLO (results.csv)",
    example="epoch,time,train/box_loss,train/cls_loss,metrics/mAP50(B),val/box_loss,lr/pg0",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """A training and an evaluation row an epoch."""
    for line, cells in table(path):
        if not cells:
            yield Event(kinds.RUN_START, SourceRef(str(path), line))
            continue
        epoch = number(cells.get("epoch", ""))
        step = int(epoch) if epoch is not None and abs(epoch) < 1e15 else None
        train, held_out = values(cells, _WITHOUT)
        measured = tuple(pair for pair in train if pair[0].startswith("metrics/"))
        train = tuple(pair for pair in train if pair not in measured)
        if train:
            yield Row(line, _with_sum("loss", "train/", train), step, "train")
        if held_out or measured:
            yield Row(line, _with_sum("val/loss", "val/", held_out) + measured, step, "eval")


def _with_sum(name: str, prefix: str, pairs: Numbers) -> Numbers:
    parts = [value for key, value in pairs if key.startswith(prefix) and key.endswith("_loss")]
    if not parts or any(key in (name, f"{prefix}loss") for key, _ in pairs):
        return pairs
    return ((name, sum(parts)), *pairs)
