"""DeepSpeed's CSV monitor: one file a tag, x counted in samples.

Written by `deepspeed/monitor/csv_monitor.py` (0.6.6 on) to `<output_path>/<job>/Train_Samples_<tag>.csv`, appended, with a
new header at every start:

    step,train_loss          step,lr
    0,0.1316995620727539     4,0.001
    4,nan                    8,0.001

x is `global_samples` whatever the header says. The loss is written before the count grows (x = 0, B, 2B …), learning
rate and loss scale after it (B, 2B …), so the loss of step n stands at (n − 1)·B. The batch B is not in the file: the
distance that every x is a multiple of is taken for it, and the step is x / B (+ 1 for the loss). From 0.18.3 on the loss is
written by the pipeline engine only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds
from parsers.columns import header, table
from parsers.lazy import Lazy
from parsers.model import Event, Fact, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.values import number

_NAME = Lazy(r"Train_(?:Samples|Eigenvalues)_(?P<tag>\w+)\.csv(?:\.(?:gz|zst|xz|bz2))?")
_BEFORE: Final = ("train_loss", "eval_loss")
_Point = tuple[int, int, float]


def _matches(path: Path, first: bytes) -> bool:
    if not _NAME.fullmatch(path.name):
        return False
    names = header(first)
    return len(names) == 2 and names[0] == "step"


@file_reader(
    "deepspeed_csv",
    title="DeepSpeed CSV monitor (Train_Samples_….csv)",
    example="step,train_loss",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """The rows of a tag, x turned into steps; a start where the header is repeated."""
    found = _NAME.fullmatch(path.name)
    tag = found["tag"] if found else path.stem
    points = list(_points(path))
    batch = math.gcd(*(x for _, x, _ in points if x > 0)) or 1
    if batch > 1:
        line = next(line for line, x, _ in points if x > 0)
        yield Fact("run:train_batch_size", batch, SourceRef(str(path), line), weight=0)
    for line, x, value in points:
        if x < 0:
            yield Event(kinds.RUN_START, SourceRef(str(path), line), data={"framework": "deepspeed"})
        else:
            yield Row(line, ((tag, value),), x // batch + (tag in _BEFORE), "eval" if tag.startswith("eval") else "train")


def _points(path: Path) -> Iterator[_Point]:
    """(line, samples, value); samples −1 stand for a repeated header."""
    for line, cells in table(path):
        if not cells:
            yield line, -1, math.nan
            continue
        texts = list(cells.values())
        x, value = number(texts[0]), number(texts[1]) if len(texts) > 1 else None
        if x is not None and value is not None and 0 <= x < 1e15:
            yield line, int(x), value
