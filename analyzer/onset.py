"""Where a run goes bad: the first record whose loss is zero for good, or NaN, or whose gradient norm is NaN.

An exact 0 is read in the light of what stands before it: a loss that has crept down to a few units of its last printed
digit becomes 0 by rounding, one that falls from 4 to 0 between two records was never computed.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from analyzer.median import median
from analyzer.remembered import remembered
from analyzer.signals import are_finite, current, finite, noise, resolution
from parsers.model import Run, Series

ROUNDED: Final = 0.005
"""A loss below this prints as 0 with the four decimals of the Trainer soon after: fifty units of the last digit."""
LAST_DIGITS: Final = 10
"""Units of the last printed digit within which a zero is the next thing to be printed, for coarser prints."""

COARSE: Final = 0.1
"""No print is so coarse that a larger loss becomes 0 by it."""


@dataclass(frozen=True, slots=True)
class Onset:
    """The first bad record: its place in `series`."""

    series: Series
    index: int

    @property
    def step(self) -> int:
        """The global step of the first bad record."""
        return self.series.steps[self.index]

    def index_in(self, other: Series) -> int | None:
        """The record of another series at the same step or the next one, None past its end."""
        if other is self.series:
            return self.index
        steps = other.steps
        if other.segments and other.segments[-1] == 0:
            index = bisect_left(steps, self.step)
        else:
            index = next((i for i, step in enumerate(steps) if step >= self.step), len(steps))
        return index if index < len(steps) else None


def is_rounded_zero(values: Sequence[float], index: int) -> bool:
    """Whether the exact zero at `index` is a small loss that its print rounds away."""
    before = [v for v in values[max(0, index - 12) : index] if v != 0.0 and math.isfinite(v)][-5:]
    if not before:
        return False
    level = median(before)
    return abs(level) <= ROUNDED or abs(level) <= min(LAST_DIGITS * resolution(values), COARSE)


def first_bad(series: Series) -> int | None:
    """First index that is NaN or infinite, or where exact zeros begin that last at least two records.

    Zeros count in losses only, and only where they are no rounded print of a small loss.
    """
    values = series.values
    if 0.0 not in values and are_finite(values):
        return None
    for index, value in enumerate(values):
        if not math.isfinite(value):
            return index
        if value == 0.0 and series.metric.endswith("loss") and _stays(values, index) and not is_rounded_zero(values, index):
            return index
    return None


def _stays(values: Sequence[float], index: int) -> bool:
    return values[index + 1] == 0.0 if index + 1 < len(values) else len(values) == 1


def onset(run: Run) -> Onset | None:
    """The earliest bad record of loss or grad_norm, by step; None where neither goes bad."""
    found: list[Onset] = []
    for metric in ("loss", "grad_norm"):
        series = run.series(metric)
        index = first_bad(series) if series else None
        if series is not None and index is not None:
            found.append(Onset(series, index))
    return min(found, key=lambda bad: bad.step, default=None)


def judged(run: Run, series: Series) -> tuple[list[int], list[float]]:
    """(what `sound` says of a series of a run, the values there), worked out once a run; neither is to be changed."""
    return remembered(run, f"sound {id(series)}", lambda: _judged(series))


def _judged(series: Series) -> tuple[list[int], list[float]]:
    kept, values = sound(series), series.values
    return kept, values.tolist() if len(kept) == len(values) else [values[i] for i in kept]


def noise_of(run: Run, series: Series) -> float:
    """The noise of the values that can be judged by their level."""
    return remembered(run, f"noise {id(series)}", lambda: noise(judged(run, series)[1]))


def sound(series: Series) -> list[int]:
    """Indices of the history that counts and can be judged by its level: finite, and before it goes bad for good."""
    values, bad = series.values, first_bad(series)
    chosen = current(series)
    if bad is not None:
        good = finite(values[bad:])
        if len(good) < len(values) / 2 or not any(good):  # it does not come back: what follows is no level
            return [i for i in chosen if i < bad and math.isfinite(values[i])]
        return [i for i in chosen if math.isfinite(values[i]) and values[i] != 0.0]
    return list(chosen)
