"""The value axis of a panel: robust against outliers, logarithmic where that serves, honest about what it leaves out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analyzer.model import Curve

CORE: Final = 0.02
"""Share of the points at either end that may lie outside the core of a curve."""
FAR: Final = 3.0
"""How many core widths a point must lie beyond the core before the axis is cut."""
LOG_RATIO: Final = 60.0
"""From this ratio of the core's ends on, a linear axis shows little but a corner."""
ALWAYS_LOG: Final = ("loss_scale",)
NEVER_LOG: Final = ("lr", "accuracy", "eval_accuracy", "epoch")


@dataclass(frozen=True, slots=True)
class Scale:
    """`low` and `high` in the values' own unit (also when logarithmic); points outside are counted in `beyond`."""

    low: float
    high: float
    is_log: bool
    beyond: int
    extreme: float

    @property
    def is_cut(self) -> bool:
        """Whether the axis ends before the largest (or smallest) value."""
        return self.beyond > 0

    def share(self, value: float) -> float:
        """Where a finite value stands between the ends: 0 at the bottom, 1 at the top, held inside."""
        low, high, at = (_log(v, self.low) if self.is_log else v for v in (self.low, self.high, value))
        return max(0.0, min(1.0, (at - low) / (high - low))) if high > low else 0.5

    def holds(self, value: float) -> bool:
        """Whether a finite value is inside the axis."""
        return self.low <= value <= self.high


def _log(value: float, least: float) -> float:
    return math.log10(value) if value > 0 else math.log10(least)


def scale(curves: Sequence[Curve]) -> Scale:
    """The axis that fits all these curves."""
    finite = sorted(value for curve in curves for value in curve.values if math.isfinite(value))
    if not finite:
        return Scale(0.0, 1.0, False, 0, 0.0)
    metric = curves[0].metric
    at = math.floor(len(finite) * CORE)
    bottom, top = finite[at], finite[-1 - at]
    is_log = finite[0] > 0 and metric not in NEVER_LOG and (metric in ALWAYS_LOG or top / bottom > LOG_RATIO)
    low, high = _log_ends(finite, bottom, top) if is_log else _ends(finite, bottom, top)
    beyond = [value for value in finite if not low <= value <= high]
    extreme = max(beyond, key=lambda value: abs(value - (bottom + top) / 2), default=0.0)
    return Scale(low, high, is_log, len(beyond), extreme)


def _ends(finite: Sequence[float], bottom: float, top: float) -> tuple[float, float]:
    width = top - bottom
    if not math.isfinite(width):
        return max(finite[0], -1e300), min(finite[-1], 1e300)
    low = bottom - width / 2 if finite[0] < bottom - FAR * width else finite[0]
    high = top + width / 2 if finite[-1] > top + FAR * width else finite[-1]
    if width == 0.0:
        low, high = finite[0], finite[-1]
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return low - margin, high + margin


def _log_ends(finite: Sequence[float], bottom: float, top: float) -> tuple[float, float]:
    low, high, first, last = (math.log10(value) for value in (bottom, top, finite[0], finite[-1]))
    width = high - low
    low = first if first >= low - FAR * width else low - width / 2
    high = last if last <= high + FAR * width else high + width / 2
    margin = (high - low) * 0.06 or 0.3
    return 10.0 ** max(-300.0, low - margin), 10.0 ** min(300.0, high + margin)
