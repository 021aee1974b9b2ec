"""Named shapes of metrics that causes ask for (`metric:grad_norm sentinel`). Each is one function with the shape's name.

A shape answers met, not-met or unknown (the metric was not logged), with the points that say so.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from analyzer.model import Evidence, State
from analyzer.onset import Onset, onset
from analyzer.signals import finite
from parsers.model import Run, Series

Answer = tuple[State, tuple[Evidence, ...]]
Shape = Callable[[Run, str], Answer]
SHAPES: Final[dict[str, Shape]] = {}
HEALTHY_RECORDS: Final = 2
"""Plausible records before the first bad one that make a start healthy."""


def shape(function: Shape) -> Shape:
    """Registers a shape under its name with dashes."""
    SHAPES[function.__name__.strip("_").replace("_", "-")] = function
    return function


def ask(run: Run, metric: str, name: str) -> Answer:
    """Whether `metric` has the shape `name`; raises ValueError for an unknown shape."""
    found = SHAPES.get(name)
    if found is None:
        raise ValueError(f"unknown shape {name!r}")
    return found(run, metric)


def _say(holds: bool, *evidence: Evidence) -> Answer:
    return ("met" if holds else "not-met"), tuple(evidence)


def _at(series: Series, index: int) -> Evidence:
    return Evidence(series.ref(index))


def _bad(run: Run) -> Onset | None:
    return onset(run)


@shape
def logged(run: Run, metric: str) -> Answer:
    """The metric was logged at all."""
    series = run.series(metric)
    return _say(series is not None, *([_at(series, 0)] if series else []))


@shape
def not_logged(run: Run, metric: str) -> Answer:
    """The metric was never logged though others were."""
    return _say(run.series(metric) is None and bool(run.tracks))


@shape
def is_nan(run: Run, metric: str) -> Answer:
    """At least one point is NaN or infinite."""
    series = run.series(metric)
    if series is None:
        return "unknown", ()
    first = next((i for i, v in enumerate(series.values) if not math.isfinite(v)), None)
    return _say(first is not None, *([_at(series, first)] if first is not None else []))


@shape
def zero_at_onset(run: Run, metric: str) -> Answer:
    """At the first bad record (loss 0, NaN) the metric is exactly 0."""
    series, bad = run.series(metric), _bad(run)
    if series is None or bad is None:
        return "unknown", ()
    index = bad.index_in(series)
    return ("unknown", ()) if index is None else _say(series.values[index] == 0.0, _at(series, index))


@shape
def sentinel(run: Run, metric: str) -> Answer:
    """Constant at a square root of a small whole number (1, 1.414, 1.732, 2): DeepSpeed's mask for non-finite norms."""
    series, bad = run.series(metric), _bad(run)
    if series is None:
        return "unknown", ()
    start = (bad.index_in(series) or 0) if bad else max(0, len(series) - 3)
    tail = series.values[start:]
    if len(tail) < 2 or not all(math.isfinite(v) for v in tail):
        return _say(False)
    squared = tail[-1] ** 2
    constant = max(tail[-2:]) - min(tail[-2:]) <= 1e-4 * abs(tail[-1])
    return _say(constant and 0.9 < squared < 16.5 and abs(squared - round(squared)) < 2e-3, _at(series, len(series) - 1))


@shape
def healthy_start(run: Run, metric: str) -> Answer:
    """At least two plausible records come before the first bad one."""
    series, bad = run.series(metric), _bad(run)
    if series is None or bad is None:
        return "unknown", ()
    index = bad.index_in(series)
    if index is None:
        return "unknown", ()
    good = [v for v in finite(series.values[:index]) if v != 0.0]
    return _say(len(good) >= HEALTHY_RECORDS, _at(series, max(0, index - 1)))


@shape
def bad_from_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN, infinite or exactly 0."""
    series = run.series(metric)
    if series is None:
        return "unknown", ()
    return _say(not math.isfinite(series.values[0]) or series.values[0] == 0.0, _at(series, 0))


@shape
def nan_at_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN or infinite."""
    series = run.series(metric)
    return ("unknown", ()) if series is None else _say(not math.isfinite(series.values[0]), _at(series, 0))


@shape
def recovers(run: Run, metric: str) -> Answer:
    """After the bad records the metric is finite and non-zero again."""
    series, bad = run.series(metric), _bad(run)
    if series is None or bad is None:
        return "unknown", ()
    last = series.values[-1]
    return _say(math.isfinite(last) and last != 0.0, _at(series, len(series) - 1))


@shape
def permanent(run: Run, metric: str) -> Answer:
    """The metric stays NaN or 0 from the first bad record to the end (at least two records)."""
    series, bad = run.series(metric), _bad(run)
    if series is None or bad is None:
        return "unknown", ()
    index = bad.index_in(series)
    if index is None:
        return "unknown", ()
    tail = series.values[index:]
    bad_tail = [v for v in tail if not math.isfinite(v) or v == 0.0]
    return _say(len(tail) >= 2 and len(bad_tail) >= len(tail) - 1 and tail[-1] in bad_tail[-1:] or _all_bad(tail), _at(series, index))


def _all_bad(values: object) -> bool:
    return all(not math.isfinite(v) or v == 0.0 for v in values)  # type: ignore[attr-defined]


@shape
def rises_before_onset(run: Run, metric: str) -> Answer:
    """The metric rose for several records before the first bad one (at least fourfold over the last five)."""
    series, bad = run.series(metric), _bad(run)
    if series is None or bad is None:
        return "unknown", ()
    index = bad.index_in(series)
    before = finite(series.values[: index or 0])[-5:]
    if index is None or len(before) < 3:
        return "unknown", ()
    rising = sum(1 for a, b in zip(before, before[1:], strict=False) if b > a)
    return _say(before[-1] > 4 * before[0] and rising >= len(before) - 2, _at(series, max(0, index - 1)))
