"""What the loss scaler did, out of overflow lines, `skipped=` counters and printed scales: skipped steps and the scale's way."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from analyzer.signals import are_finite
from parsers import metrics
from parsers.model import Run, Series

SEARCH_START: Final = 5
"""Steps from the first one within which a stretch of skips is the search for the first scale."""


class Skip(NamedTuple):
    """One skipped step: `point` is its index in `series`; `scale` is the attempted one, NaN where it was not printed."""

    step: int
    scale: float
    series: Series
    point: int
    keeps_scale: bool = False
    """Whether hysteresis took it: the scale stays."""


class Stretch(NamedTuple):
    """Skips of consecutive steps."""

    skips: tuple[Skip, ...]
    is_search: bool

    @property
    def length(self) -> int:
        """How many steps were skipped in a row."""
        return len(self.skips)

    @property
    def is_exact(self) -> bool:
        """Whether the steps are known one by one; else they stand between two step reports, perhaps apart."""
        return all(a.step != b.step for a, b in zip(self.skips, self.skips[1:], strict=False))


def skips(run: Run) -> list[Skip]:
    """Every skipped step that a line told of, in order; copies by other ranks left out."""
    series = run.series(metrics.OVERFLOW) or run.series(metrics.HYSTERESIS)
    if series is None:
        return []
    kept = {line for track in run.all_series(metrics.HYSTERESIS) if track.file == series.file for line in track.lines}
    is_scale = series.metric == metrics.OVERFLOW
    return [
        Skip(step, value if is_scale else math.nan, series, index, line in kept)
        for index, (step, value, line) in enumerate(zip(series.steps, series.values, series.lines, strict=True))
    ]


def stretches(found: Sequence[Skip], first_step: int) -> list[Stretch]:
    """Skips grouped by consecutive steps; the first group is the scale's search where it begins with the run."""
    groups: list[list[Skip]] = []
    for skip in found:
        if groups and _follows(groups[-1][-1], skip):
            groups[-1].append(skip)
        else:
            groups.append([skip])
    return [Stretch(tuple(group), is_search=group[0].step <= first_step + SEARCH_START) for group in groups]


def _follows(before: Skip, skip: Skip) -> bool:
    """Whether it is the next step's skip: one step on at most, and the scale as the one before left it.

    An equal scale is the next step's too where it can fall no further, or where the steps are known one by one (a static
    scale, hysteresis that is not told); at one and the same recovered step it was raised in between.
    """
    if skip.step > before.step and skip.point in skip.series.cuts:
        return not skip.scale > before.scale  # of a long log more skips like these were dropped between
    if not 0 <= skip.step - before.step <= 1:
        return False
    if skip.scale == before.scale and (skip.scale <= 1.0 or skip.step == before.step + 1):
        return True
    return not (skip.scale > before.scale if before.keeps_scale else skip.scale >= before.scale)


class Scale(NamedTuple):
    """The scale over time: `indices` are points of `series`; `is_attempted` where only overflow lines tell it."""

    series: Series
    indices: tuple[int, ...]
    is_attempted: bool

    @property
    def values(self) -> list[float]:
        """The scales, in order."""
        return [self.series.values[i] for i in self.indices]


def scale(run: Run) -> Scale | None:
    """The loss scale as printed, or as the overflow lines tell it; None where nothing does, or it never was above 1."""
    for metric in (metrics.LOSS_SCALE, metrics.OVERFLOW):
        series = run.series(metric)
        if series is None:
            continue
        every = range(len(series))
        is_plain = are_finite(series.values) and min(series.values, default=0.0) > 0
        indices = (
            tuple(every) if is_plain else tuple(i for i in every if math.isfinite(series.values[i]) and series.values[i] > 0)
        )
        if len(indices) >= 2 and max(series.values[i] for i in indices) > 1.0:
            return Scale(series, indices, metric == metrics.OVERFLOW)
    return None


def settled(values: Sequence[float]) -> int:
    """Position from which a printed scale has held for three records: the end of the search; the length if it never did."""
    for position in range(len(values) - 2):
        if values[position] == values[position + 1] == values[position + 2]:
            return position
    return len(values)


def minimum(run: Run) -> float:
    """The configured minimum of the scale, 1 where nothing says otherwise."""
    keys = ("config:fp16.min_loss_scale", "arg:min_loss_scale", "config:fp16.min_scale")
    return next((value for key in keys if (value := run.environment.number(key)) is not None), 1.0)
