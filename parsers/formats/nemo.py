"""NeMo 2: the plain progress line of `ProgressPrinter`.

Printed by `nemo/lightning/pytorch/callbacks/progress_printer.py`:

    Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_batch_size: 128 | global_step: 9 | reduced_train_loss: 9.876
        | train_step_timing in s: 1.234 | consumed_samples: 1280 | val_loss: 9.5
    [NeMo W 2024-05-01 12:00:00 nemo_logging:349] …

Values are means over the interval with four significant digits. `global_step` counts from 0. NeMo 1 draws Lightning's bar.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row
from parsers.pairs import numbers, split
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, plan_of, planned, rows_of
from parsers.said import Rows

_HEAD = Lazy(r"Training epoch (?P<epoch>\d{1,9}), iteration (?P<at>\d{1,15})/(?P<of>\d{1,15}) \| (?P<rest>.*)")
_CONVERT: Final = {"train_step_timing in s": ("step_time", 1.0), "global_step": ("", 1.0)}


def _parse(line: Line) -> Iterator[Row]:
    """A training row, and one of what was validated."""
    found = _HEAD.search(line.text)
    if not found:
        return
    values = dict(numbers(split(found["rest"], "|"), _CONVERT))
    shown = values.pop("", None)
    step = int(shown) if shown is not None and 0 <= shown < 1e15 else int(found["at"])
    train = tuple(pair for pair in values.items() if not pair[0].startswith("val"))
    yield Row(line.no, (*train, ("@total", float(found["of"]))), step, "train", line.rank, line.time)
    if len(train) < len(values):
        yield Row(line.no, tuple(p for p in values.items() if p not in train), step, "eval", line.rank, line.time)


@text_reader(
    "nemo",
    title="NeMo 2",
    hints=("Training epoch ",),
    example="Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_batch_size: 128 | global_step: 9 | "
    "reduced_train_loss: 9.876 | train_step_timing in s: 1.234",
    parse=_parse,
    silent=("generic_text",),
)
class Nemo(RegularReader):
    """Reads progress lines."""

    def __init__(self) -> None:
        self._of = math.nan

    def feed(self, line: Line) -> Iterable[Record]:
        """A training row, and one of what was validated."""
        for shown in _parse(line):
            row, of = plan_of(shown)
            if of is not None and of != self._of:
                self._of = of
                yield Fact("run:planned_steps", int(of) + 1, line.ref)
            yield row

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one plan."""
        return planned([rows for part in parts for rows in rows_of(part, self.file_rank)], self._of)
