"""Shapes around the first bad record: what a metric did before it, at it and after it."""

from __future__ import annotations

import math
from typing import Final

from analyzer.median import median
from analyzer.shapes.register import UNKNOWN, Answer, at, first_bad, is_bad, placed, say, shape
from analyzer.signals import finite
from parsers.model import Run

HEALTHY_RECORDS: Final = 2
"""Plausible records before the first bad one that make a start healthy."""


@shape
def zero_at_onset(run: Run, metric: str) -> Answer:
    """At the first bad record (loss 0, NaN) the metric is exactly 0."""
    found = placed(run, metric)
    return UNKNOWN if found is None else say(found[0].values[found[2]] == 0.0, at(found[0], found[2]))


@shape
def stale(run: Run, metric: str) -> Answer:
    """After the first bad record one earlier, non-zero value is repeated to the last digit: nothing new was computed."""
    found = placed(run, metric)
    if found is None or len(found[0]) - found[2] < 3:
        return UNKNOWN
    tail = found[0].values[found[2] :]
    return say(math.isfinite(tail[-1]) and tail[-1] != 0.0 and len(set(tail[-3:])) == 1, at(found[0], len(found[0]) - 1))


@shape
def healthy_start(run: Run, metric: str) -> Answer:
    """At least two plausible records come before the first bad one."""
    found = placed(run, metric)
    if found is None:
        return UNKNOWN
    series, _, index = found
    good = [v for v in finite(series.values[:index]) if v != 0.0]
    return say(len(good) >= HEALTHY_RECORDS, at(series, max(0, index - 1)))


@shape
def recovers(run: Run, metric: str) -> Answer:
    """After the bad records the metric is finite and non-zero again."""
    series, bad = run.series(metric), first_bad(run)
    if series is None or bad is None:
        return UNKNOWN
    last = series.values[-1]
    return say(math.isfinite(last) and last != 0.0, at(series, len(series) - 1))


@shape
def permanent(run: Run, metric: str) -> Answer:
    """The metric stays NaN or 0 from the first bad record to the end (at least two records)."""
    found = placed(run, metric)
    if found is None:
        return UNKNOWN
    series, _, index = found
    tail = series.values[index:]
    good = sum(1 for value in tail if not is_bad(value))
    return say(len(tail) >= 2 and is_bad(tail[-1]) and good <= 1, at(series, index))


@shape
def rises_before_onset(run: Run, metric: str) -> Answer:
    """The metric rose for several records before the first bad one (at least fourfold over the last ten)."""
    found = placed(run, metric)
    if found is None:
        return UNKNOWN
    series, _, index = found
    before = finite(series.values[:index])[-10:]
    if len(before) < 3:
        return UNKNOWN
    half = len(before) // 2
    late, early = median(before[half:]), median(before[:half])
    return say(before[-1] > 4 * min(before) > 0 and late > early and before[-1] > late * 0.8, at(series, max(0, index - 1)))


@shape
def inflated_before_zero(run: Run, metric: str) -> Answer:
    """The last record before the zeros is at least five times the level before it."""
    found = placed(run, metric)
    if found is None:
        return UNKNOWN
    series, _, index = found
    while index < len(series) and series.values[index] != 0.0:
        index += 1
    before = finite(series.values[:index])
    if index == len(series) or not before:
        return UNKNOWN
    usual = median(before[:-1][-20:]) if len(before) > 1 else 4.0
    return say(before[-1] > 5 * max(usual, 1e-6) and before[-1] > 10.0, at(series, index - 1))


@shape
def stands_still(run: Run, metric: str) -> Answer:
    """From the first bad record on the metric does not change (a learning rate that stands still: no step was taken)."""
    found = placed(run, metric)
    if found is None or len(found[0]) - found[2] < 3:
        return UNKNOWN
    tail = found[0].values[found[2] + 1 :]
    return say((len(set(tail)) == 1 and len(set(found[0].values)) > 1) or set(tail) == {0.0}, at(found[0], len(found[0]) - 1))
