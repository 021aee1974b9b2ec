"""LeRobot: one line of short names a logging step.

Printed by `lerobot/scripts/train.py` (`MetricsTracker`):

    INFO 2025-07-11 08:20:13 ts/train.py:232 step:9 smpl:576 ep:2 epch:0.00 loss:1.051 grdn:4.482 lr:1.8e-06 updt_s:0.302
    INFO 2025-07-11 09:20:13 ts/train.py:232 step:1K smpl:64K ep:220 epch:1.50 loss:0.090 …

From 1,000 steps on the step is rounded to thousands: then it is counted on by the distance between the lines before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Row
from parsers.pairs import numbers
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, recounted, rows_of
from parsers.said import Rows

_LINE = Lazy(r"step:(?P<step>\d{1,15})(?P<big>[KMB])? smpl:\S+ ep:\S+ (?P<rest>epch:.*)")
_ITEM = Lazy(r"(?P<name>\w{1,40}):(?P<value>[-+.\w]{1,40})")
_STAMP = Lazy(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_CONVERT: Final = {"grdn": ("grad_norm", 1.0), "updt_s": ("update_time", 1.0), "epch": ("epoch", 1.0)}
_BIG: Final = {"K": 10**3, "M": 10**6, "B": 10**9}


def _parse(line: Line) -> Iterator[Row]:
    """The row of a line with the step as it is printed; with its size where it is rounded."""
    found = _LINE.search(line.text)
    if not found:
        return
    at = _STAMP.search(line.text[:80])
    values = numbers(((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"])), _CONVERT)
    size = _BIG.get(found["big"] or "", 1)
    rounded = (("@size", float(size)),) if size > 1 else ()
    yield Row(line.no, values + rounded, int(found["step"]), "train", line.rank, stamp(at[0]) if at else line.time)


@text_reader(
    "lerobot",
    title="LeRobot",
    hints=(" smpl:",),
    example="INFO 2025-07-11 08:20:13 ts/train.py:232 step:9 smpl:576 ep:2 epch:0.00 loss:1.051 grdn:4.482 lr:1.8e-06 updt_s:0.3",
    parse=_parse,
    silent=("generic_text",),
)
class LeRobot(RegularReader):
    """Reads metric lines."""

    def __init__(self) -> None:
        self._step = 0
        self._distance = 1

    def feed(self, line: Line) -> Iterable[Row]:
        """The row of a line."""
        for row in _parse(line):
            size = dict(row.values).get("@size")
            values = tuple(pair for pair in row.values if pair[0] != "@size")
            yield row._replace(step=self._count(row.step, size), values=values)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines."""
        return recounted([rows for part in parts for rows in rows_of(part, self.file_rank)], self._count, "@size")

    def _count(self, step: int | None, unit: float | None) -> int:
        """The step of a line that shows it in this unit, if in any."""
        shown, size = step or 0, int(unit or 1)
        if size == 1:
            self._distance = shown - self._step if shown > self._step else self._distance
            self._step = shown
        else:
            counted = self._step + self._distance
            self._step = counted if abs(counted - shown * size) <= size else shown * size
        return self._step
