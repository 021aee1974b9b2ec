"""Shapes of the level: near a number that means something, far above it, falling, flat, diverged."""

from __future__ import annotations

import math
from itertools import islice
from typing import Final

from analyzer.median import median
from analyzer.shapes.register import UNKNOWN, Answer, at, points, say, shape
from analyzer.signals import finite
from parsers.model import Run, Series

LN_VOCABULARIES: Final = tuple(
    math.log(size) for size in (30522, 32000, 50257, 64000, 100352, 102400, 128256, 129280, 151936, 152064, 256000, 262144)
)  # fmt: skip
"""Loss of a model that guesses uniformly, for the vocabularies in common use."""


_LN2: Final = math.log(2)


@shape
def near_ln2(run: Run, metric: str) -> Answer:
    """The metric sits at ln 2 = 0.6931 within one percent in nine records of ten."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    least, far = 0.9 * len(series), 0
    for value in series.values:
        if not abs(value - _LN2) < 0.007:
            far += 1
            if len(series) - far < least:
                break
    return say(len(series) >= 2 and len(series) - far >= least, at(series, len(series) - 1))


@shape
def near_ln_vocabulary(run: Run, metric: str) -> Answer:
    """The metric sits within half a percent of the natural logarithm of a usual vocabulary size, and does not move."""
    found = points(run, metric)
    if found is None or len(found[1]) < 2:
        return UNKNOWN
    series, values = found
    highest = max(values)
    apart = highest - min(values)
    if apart >= 0.02 * highest:  # the level is no higher
        return say(False, at(series, len(series) - 1))
    level = median(values)
    still = apart < 0.02 * level
    return say(still and any(abs(level - ln) < 0.005 * ln for ln in LN_VOCABULARIES), at(series, len(series) - 1))


@shape
def above_uniform(run: Run, metric: str) -> Answer:
    """The first value is above ln(262144) = 12.5: worse than guessing in any usual vocabulary, so not a mean of losses."""
    found = points(run, metric)
    return UNKNOWN if found is None else say(found[1][0] > 12.6, at(found[0], 0))


@shape
def above_clipping(run: Run, metric: str) -> Answer:
    """Most values are above the norm that gradients are clipped to (1.0 where it is not known)."""
    found = points(run, metric)
    if found is None or len(found[1]) < 3:
        return UNKNOWN
    series, values = found
    limit = run.environment.number("arg:max_grad_norm") or run.environment.number("config:gradient_clipping") or 1.0
    return say(sum(1 for v in values if v > limit) > 0.5 * len(values), at(series, 0))


@shape
def multiple_of_eval(run: Run, metric: str) -> Answer:
    """The training loss is at least 1.8 times the evaluation loss of the same time, and close to a whole multiple of it."""
    series, evaluated = run.series(metric), run.series("eval_loss")
    pairs = _pairs(series, evaluated) if series is not None and evaluated is not None else []
    if series is None or not pairs:
        return UNKNOWN
    ratio = median(a / b for a, b, _ in pairs)
    whole = math.isfinite(ratio) and abs(ratio - round(ratio)) < 0.2 * max(1.0, ratio / 4)
    return say(ratio > 1.8 and whole, at(series, pairs[0][2]))


def _pairs(series: Series, evaluated: Series) -> list[tuple[float, float, int]]:
    """(training value, evaluation value, index of the former) for every evaluation with a training record before it."""
    pairs = []
    for step, value in zip(evaluated.steps, evaluated.values, strict=True):
        before = [i for i, at in enumerate(series.steps) if at <= step]
        if before and math.isfinite(value) and value > 0 and math.isfinite(series.values[before[-1]]):
            pairs.append((series.values[before[-1]], value, before[-1]))
    return pairs


@shape
def falls(run: Run, metric: str) -> Answer:
    """The last fifth lies at least 5 % below the first fifth."""
    ends = _ends(run, metric)
    return UNKNOWN if ends is None else say(ends[1] < ends[0] - 0.05 * abs(ends[0]), at(ends[2], len(ends[2]) - 1))


@shape
def flat(run: Run, metric: str) -> Answer:
    """The last fifth lies within 3 % of the first fifth, over at least ten records."""
    ends = _ends(run, metric)
    if ends is None or len(ends[2]) < 10:
        return UNKNOWN
    return say(abs(ends[1] - ends[0]) <= 0.03 * abs(ends[0]), at(ends[2], len(ends[2]) - 1))


def _ends(run: Run, metric: str) -> tuple[float, float, Series] | None:
    found = points(run, metric)
    if found is None or len(found[1]) < 5:
        return None
    series, values = found
    part = max(1, len(values) // 5)
    return median(values[:part]), median(values[-part:]), series


@shape
def settles_high(run: Run, metric: str) -> Answer:
    """The metric ends far above its own best (twice it, or 2 above) and stays there."""
    ends = _ends(run, metric)
    if ends is None:
        return UNKNOWN
    series = ends[2]
    values = finite(series.values)
    tail = values[-max(3, len(values) // 10) :]
    best = min(values[: len(values) - len(tail)] or values)
    return say(min(tail) > best + 1e-9 and (median(tail) > 2 * best or median(tail) > best + 2.0), at(series, len(series) - 1))


@shape
def plateau_at_6_to_12(run: Run, metric: str) -> Answer:
    """The last finite values lie between 6 and 12: the loss of a language model whose weights are spoilt."""
    series = run.series(metric)
    values = list(islice((v for v in reversed(series.values) if v != 0.0 and math.isfinite(v)), 5)) if series else []
    return UNKNOWN if series is None or not values else say(6.0 <= median(values) <= 12.5, at(series, len(series) - 1))


@shape
def collapses_to_near_zero(run: Run, metric: str) -> Answer:
    """The metric falls below 0.05 within the first tenth of the records (at most 50) and stays there."""
    found = points(run, metric)
    if found is None or len(found[1]) < 5:
        return UNKNOWN
    series, values = found
    early = values[min(50, max(3, len(values) // 10)) :]
    return say(values[0] > 0.3 and bool(early) and median(early) < 0.05, at(series, len(series) - 1))
