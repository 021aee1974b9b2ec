r"""Any other CSV or TSV of metrics: a header with a column that counts, and numbers below it.

    epoch,accuracy,loss,val_accuracy,val_loss          Keras `CSVLogger`: epochs from 0
    step,loss,lr
    Step\tTraining Loss                                tab-separated

The first column of `step`, `global_step`, `iteration`, `iter`, `update`, `batch`, `epoch` counts. A file without such a
column, or without one that is a metric known here, is not claimed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds, metrics
from parsers.columns import header, table, values
from parsers.model import Event, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.values import number

_STEPS: Final = ("step", "global_step", "trainer/global_step", "iteration", "iter", "update", "batch", "_step", "epoch")
_SUFFIXES: Final = (".csv", ".tsv", ".txt", ".log", "")
_TELLING: Final = ("loss", "acc", "reward", "ppl", "perplexity", "grad")


def _between(first: bytes) -> str:
    return "\t" if b"\t" in first.partition(b"\n")[0] else ","


def _matches(path: Path, first: bytes) -> bool:
    line = first.partition(b"\n")[0]
    if not (b"," in line or b"\t" in line):
        return False
    if Path(path.name.removesuffix(".gz").removesuffix(".zst")).suffix.lower() not in _SUFFIXES:
        return False
    names = header(first, _between(first))
    if not _step_column(names) or len(names) > 500 or any(len(name) > 80 for name in names):
        return False
    return any(metrics.canonical(name) in metrics.UNITS or any(word in name.lower() for word in _TELLING) for name in names)


def _step_column(names: tuple[str, ...]) -> str:
    lowered = {name.lower(): name for name in reversed(names)}
    return next((lowered[key] for key in _STEPS if key in lowered), "")


@file_reader(
    "generic_csv",
    title="CSV and TSV of metrics with a step column",
    example="step,loss,lr",
    matches=_matches,
    is_fallback=True,
)
def read(path: Path) -> Iterator[Record]:
    """Rows with their step; training and evaluation apart."""
    with path.open("rb") as file:
        between = _between(file.read(4096)) if path.suffix not in (".gz", ".zst", ".xz", ".bz2") else ","
    for line, cells in table(path, between):
        column = _step_column(tuple(cells))
        if not cells:
            yield Event(kinds.RUN_START, SourceRef(str(path), line))
            continue
        at = number(cells[column]) if column else None
        step = int(at) if at is not None and abs(at) < 1e15 else None
        train, held_out = values(cells, frozenset({column} - {"epoch"}))
        if any(name != "epoch" for name, _ in train):
            yield Row(line, train, step, "train")
        if held_out:
            yield Row(line, held_out, step, "eval")
