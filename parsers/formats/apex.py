"""NVIDIA apex amp: steps skipped for overflow.

Printed by `apex/amp/handle.py` to stdout, once for each loss scaler, with two blanks after the full stop:

    Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0

As with DeepSpeed, every skipped step becomes a row with the metric `overflow`; apex does not print the scale it tried.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.registry import text_reader
from parsers.regular import RegularReader
from parsers.values import number

_SKIP = Lazy(r"Gradient overflow\.\s+Skipping step, (?:loss scaler (?P<scaler>\d+) )?reducing loss scale to (?P<to>[\d.eE+-]+)")


def _parse(line: Line) -> Iterator[Row]:
    """A row for each skip on the line."""
    for found in _SKIP.finditer(line.text):
        scale = number(found["to"])
        values = (("overflow", math.nan), ("loss_scale", math.nan if scale is None else scale))
        scaler = found["scaler"] or "0"
        yield Row(line.no, values, None, "train", line.rank, line.time, "" if scaler == "0" else scaler)


@text_reader(
    "apex",
    title="apex amp (skipped steps)",
    hints=("reducing loss scale to",),
    example="Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0",
    parse=_parse,
    silent=("generic_text",),
)
class Apex(RegularReader):
    """Reads each skip; a second loss scaler is another engine."""

    def feed(self, line: Line) -> Iterable[Row]:
        """A row for each skip on the line."""
        return _parse(line)
