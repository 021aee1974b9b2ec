"""LeRobot: one line of short names a logging step.

Printed by `lerobot/scripts/train.py` (`MetricsTracker`):

    INFO 2025-07-11 08:20:13 ts/train.py:232 step:9 smpl:576 ep:2 epch:0.00 loss:1.051 grdn:4.482 lr:1.8e-06 updt_s:0.302
    INFO 2025-07-11 09:20:13 ts/train.py:232 step:1K smpl:64K ep:220 epch:1.50 loss:0.090 …

From 1,000 steps on the step is rounded to thousands: then it is counted on by the distance between the lines before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Record, Row
from parsers.pairs import numbers
from parsers.registry import text_reader

_LINE = Lazy(r"step:(?P<step>\d{1,15})(?P<big>[KMB])? smpl:\S+ ep:\S+ (?P<rest>epch:.*)")
_ITEM = Lazy(r"(?P<name>\w{1,40}):(?P<value>[-+.\w]{1,40})")
_STAMP = Lazy(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
_CONVERT: Final = {"grdn": ("grad_norm", 1.0), "updt_s": ("update_time", 1.0), "epch": ("epoch", 1.0)}
_BIG: Final = {"K": 10**3, "M": 10**6, "B": 10**9}


@text_reader(
    "lerobot",
    title="LeRobot",
    hints=(" smpl:",),
    example="INFO 2025-07-11 08:20:13 ts/train.py:232 step:9 smpl:576 ep:2 epch:0.00 loss:1.051 grdn:4.482 lr:1.8e-06 updt_s:0.3",
)
class LeRobot:
    """Reads metric lines."""

    hungry = False

    def __init__(self) -> None:
        self._step = 0
        self._distance = 1

    def feed(self, line: Line) -> Iterable[Record]:
        """The row of a line."""
        found = _LINE.search(line.text)
        if not found:
            return
        shown, size = int(found["step"]), _BIG.get(found["big"] or "", 1)
        if size == 1:
            self._distance = shown - self._step if shown > self._step else self._distance
            self._step = shown
        else:
            counted = self._step + self._distance
            self._step = counted if abs(counted - shown * size) <= size else shown * size
        at = _STAMP.search(line.text[:80])
        values = numbers(((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"])), _CONVERT)
        yield Row(line.no, values, self._step, "train", line.rank, stamp(at[0]) if at else line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
