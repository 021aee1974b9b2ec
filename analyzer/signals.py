"""Shapes of a series, on plain sequences of floats: streaks, robust bands, levels. No I/O, no policy."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import NamedTuple


class Streak(NamedTuple):
    """A run of consecutive indices `[start, stop)`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many points it has."""
        return self.stop - self.start


def streaks(values: Sequence[float], holds: Callable[[float], bool]) -> Iterator[Streak]:
    """Maximal runs of consecutive values for which `holds`."""
    start: int | None = None
    for index, value in enumerate(values):
        if holds(value):
            if start is None:
                start = index
        elif start is not None:
            yield Streak(start, index)
            start = None
    if start is not None:
        yield Streak(start, len(values))


def finite(values: Sequence[float]) -> list[float]:
    """The values that are neither NaN nor infinite, in order."""
    return [value for value in values if math.isfinite(value)]


def mad(values: Sequence[float], centre: float | None = None) -> float:
    """Median absolute deviation times 1.4826: a standard deviation that outliers cannot move. 0 when empty."""
    if not values:
        return 0.0
    middle = median(values) if centre is None else centre
    return 1.4826 * median(abs(value - middle) for value in values)


def rolling_median(values: Sequence[float], width: int) -> list[float]:
    """Median of the `width` values before each index (fewer at the beginning; the value itself at index 0)."""
    window: list[float] = []
    out: list[float] = []
    for index, value in enumerate(values):
        if not window:
            out.append(value)
        else:
            middle = len(window) // 2
            out.append(window[middle] if len(window) % 2 else (window[middle - 1] + window[middle]) / 2)
        if math.isfinite(value):
            insort(window, value)
        if index >= width and math.isfinite(values[index - width]):
            window.pop(bisect_left(window, values[index - width]))
    return out
