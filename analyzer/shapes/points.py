"""Shapes of single points: is it logged, NaN, zero, constant, bad from the first record."""

from __future__ import annotations

import math

from analyzer.shapes.register import UNKNOWN, Answer, at, first_bad, is_bad, say, shape
from analyzer.signals import streaks
from parsers.model import Run


@shape
def logged(run: Run, metric: str) -> Answer:
    """The metric was logged at all."""
    series = run.series(metric)
    return say(series is not None, *([at(series, 0)] if series else []))


@shape
def not_logged(run: Run, metric: str) -> Answer:
    """The metric was never logged though others were."""
    return say(run.series(metric) is None and bool(run.tracks))


@shape
def is_nan(run: Run, metric: str) -> Answer:
    """At least one point is NaN or infinite."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if not math.isfinite(v)), None)
    return say(first is not None, *([at(series, first)] if first is not None else []))


@shape
def is_infinite(run: Run, metric: str) -> Answer:
    """At least one point is plus or minus infinity (NaN does not count)."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if math.isinf(v)), None)
    return say(first is not None, *([at(series, first)] if first is not None else []))


@shape
def plausible_throughout(run: Run, metric: str) -> Answer:
    """Every point is finite and none is exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    return say(all(math.isfinite(v) and v != 0.0 for v in series.values), at(series, len(series) - 1))


@shape
def zero_throughout(run: Run, metric: str) -> Answer:
    """Every point is exactly 0."""
    series = run.series(metric)
    return UNKNOWN if series is None else say(all(v == 0.0 for v in series.values), at(series, len(series) - 1))


@shape
def has_zero(run: Run, metric: str) -> Answer:
    """At least one point is exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if v == 0.0), None)
    return say(first is not None, *([at(series, first)] if first is not None else []))


@shape
def sentinel(run: Run, metric: str) -> Answer:
    """Constant at a square root of a small whole number (1, 1.414, 1.732, 2): DeepSpeed's mask for non-finite norms."""
    series, bad = run.series(metric), first_bad(run)
    if series is None:
        return UNKNOWN
    start = (bad.index_in(series) or 0) if bad else max(0, len(series) - 3)
    tail = series.values[start:]
    if len(tail) < 2 or not all(math.isfinite(v) for v in tail):
        return say(False)
    squared = min(abs(tail[-1]), 100.0) ** 2  # of a larger one the square may be none that can be held
    constant = max(tail[-2:]) - min(tail[-2:]) <= 1e-4 * abs(tail[-1])
    return say(constant and 0.9 < squared < 16.5 and abs(squared - round(squared)) < 2e-3, at(series, len(series) - 1))


@shape
def constant(run: Run, metric: str) -> Answer:
    """Every point is the same finite value, over at least three records."""
    series = run.series(metric)
    if series is None or len(series) < 3:
        return UNKNOWN
    low, high = min(series.values), max(series.values)
    return say(math.isfinite(low) and high - low <= 1e-6 * abs(high), at(series, len(series) - 1))


@shape
def bad_from_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN, infinite or exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    return say(not math.isfinite(series.values[0]) or series.values[0] == 0.0, at(series, 0))


@shape
def nan_at_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN or infinite; a metric that is logged later than the loss has no first record."""
    series, loss = run.series(metric), run.series("loss")
    if series is None or (loss is not None and loss.steps[0] < series.steps[0]):
        return UNKNOWN
    return say(not math.isfinite(series.values[0]), at(series, 0))


@shape
def plausible_at_first_nan(run: Run, metric: str) -> Answer:
    """Where the gradient norm is first NaN the metric is still finite and not 0: the forward pass was fine, the backward
    pass was not.
    """
    series, norm = run.series(metric), run.series("grad_norm")
    first = next((i for i, v in enumerate(norm.values) if not math.isfinite(v)), None) if norm else None
    if series is None or norm is None or first is None:
        return UNKNOWN
    index = next((i for i, step in enumerate(series.steps) if step == norm.steps[first]), None)
    if index is None:
        return UNKNOWN
    return say(math.isfinite(series.values[index]) and series.values[index] != 0.0, at(series, index))


@shape
def isolated_bad(run: Run, metric: str) -> Answer:
    """NaN, infinite or zero records stand alone between plausible ones."""
    series = run.series(metric)
    if series is None or len(series) < 3:
        return UNKNOWN
    bad = list(streaks(series.values, is_bad))
    return say(
        bool(bad) and all(s.length == 1 for s in bad) and bad[0].stop < len(series), *[at(series, s.start) for s in bad[:2]]
    )
