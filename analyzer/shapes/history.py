"""Shapes over the whole run: epochs, restarts, schedules, skipped steps."""

from __future__ import annotations

import math
from typing import Final

from analyzer.median import median
from analyzer.shapes.register import UNKNOWN, Answer, at, say, shape
from analyzer.signals import finite, streaks
from parsers.model import Run, Series

STREAK: Final = 17
"""Skips in a row from a scale of 2**16 to its floor at 1: a search that ends earlier has found a scale."""


@shape
def drops_at_epochs(run: Run, metric: str) -> Answer:
    """The metric steps down at every whole epoch: by 7 % at least, and by far more than it moves inside an epoch."""
    series, epochs = run.series(metric), run.series("epoch")
    if series is None or epochs is None or max(finite(epochs.values), default=0.0) <= 1.0:
        return UNKNOWN
    boundaries = [
        i
        for i in range(6, min(len(series), len(epochs)) - 6)
        if epochs.values[i] >= 1.0 and int(epochs.values[i]) > int(epochs.values[i - 1])
    ]
    drops = [i for i in boundaries if _steps_down(series, i)]
    return say(bool(boundaries) and len(drops) == len(boundaries), *[at(series, i) for i in drops[:2]])


def _steps_down(series: Series, i: int) -> bool:
    before, after = _level(series, i - 3, i), _level(series, i, i + 3)
    inside = max(abs(_level(series, i - 6, i - 3) - before), abs(after - _level(series, i + 3, i + 6)))
    return before - after > max(0.07 * abs(before), 3 * inside)


def _level(series: Series, start: int, stop: int) -> float:
    values = finite(series.values[max(0, start) : stop])
    return median(values) if values else math.inf


@shape
def jumps_after_restart(run: Run, metric: str) -> Answer:
    """The first values of a resumed part lie at least 10 % above the last ones before it, and well below the very first:
    a part that begins where the run began is another run.
    """
    series = run.series(metric)
    if series is None or not len(series) or series.segments[-1] == 0:
        return UNKNOWN
    starts = [i for i in range(1, len(series)) if series.segments[i] > series.segments[i - 1]]
    jumps = [i for i in starts if _is_resumed_higher(series, i)]
    return say(bool(jumps), *[at(series, i) for i in jumps[:2]])


def _is_resumed_higher(series: Series, i: int) -> bool:
    before = finite(series.values[max(0, i - 5) : i])
    after = _level(series, i, i + 5)
    is_higher = bool(before) and after > max(max(before), 1.1 * median(before))
    return is_higher and series.steps[i] > series.steps[0] and after < 0.9 * _level(series, 0, 3)


@shape
def leaves_zero(run: Run, metric: str) -> Answer:
    """The metric starts at 0 and becomes positive later."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    later = next((i for i, v in enumerate(series.values) if v > 0), None)
    return say(series.values[0] == 0.0 and later is not None, *([at(series, later)] if later is not None else []))


@shape
def levels_off(run: Run, metric: str) -> Answer:
    """A counter (`skipped_steps`) grows at first and at most half as fast later."""
    series = run.series(metric)
    if series is None or len(series) < 2 or series.steps[-1] <= series.steps[0] or series.values[-1] <= 0:
        return UNKNOWN
    early = series.values[0] / max(1, series.steps[0]) or series.values[1] / max(1, series.steps[1])
    late = (series.values[-1] - series.values[-2]) / max(1, series.steps[-1] - series.steps[-2])
    return say(0 <= late <= 0.5 * early and late < 0.5, at(series, len(series) - 1))


@shape
def ends_early(run: Run, metric: str) -> Answer:
    """The metric (a learning rate) reaches 0 and stays there for more than a tenth of the run."""
    series = run.series(metric)
    if series is None or len(series) < 10:
        return UNKNOWN
    tail = next((s for s in streaks(series.values, lambda v: v == 0.0) if s.stop == len(series)), None)
    is_early = tail is not None and tail.start > 0 and tail.length > 0.1 * len(series)
    return say(is_early, *([at(series, tail.start)] if tail is not None else []))


@shape
def streak_to_floor(run: Run, metric: str) -> Answer:
    """Skipped steps (`overflow`) whose scale ends at 1 or below: no scale was low enough."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    return UNKNOWN if series is None or not values else say(min(values) <= 1.0, at(series, len(series) - 1))


@shape
def search_ends(run: Run, metric: str) -> Answer:
    """Skipped steps (`overflow`) are few and the scale stops well above 1: the scaler found its level."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    values = finite(series.values)
    if not values and run.series("loss") is None:
        return UNKNOWN
    if values and min(values) <= 4.0:
        return say(False, at(series, len(series) - 1))
    is_rare = len(series) < STREAK or len(series) < 0.05 * (run.last_step or 1)
    return say(is_rare, at(series, 0), at(series, len(series) - 1))
