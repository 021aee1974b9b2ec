"""Where a run goes bad: the first record whose loss is zero for good, or NaN, or whose gradient norm is NaN."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass

from parsers.model import Run, Series


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
        if list(steps[:1]) and all(a <= b for a, b in zip(steps, steps[1:], strict=False)):
            index = bisect_left(steps, self.step)
        else:
            index = next((i for i, step in enumerate(steps) if step >= self.step), len(steps))
        return index if index < len(steps) else None


def first_bad(series: Series) -> int | None:
    """First index that is NaN or infinite, or where exact zeros begin that last at least two records."""
    values = series.values
    for index, value in enumerate(values):
        if not math.isfinite(value):
            return index
        if value == 0.0 and series.metric.endswith("loss") and (index + 1 == len(values) or values[index + 1] == 0.0):
            if index + 1 < len(values) or len(values) == 1:
                return index
    return None


def onset(run: Run) -> Onset | None:
    """The earliest bad record of loss or grad_norm, by step; None where neither goes bad."""
    found: list[Onset] = []
    for metric in ("loss", "grad_norm"):
        series = run.series(metric)
        index = first_bad(series) if series else None
        if series is not None and index is not None:
            found.append(Onset(series, index))
    return min(found, key=lambda bad: bad.step, default=None)
