"""Named shapes of metrics that causes ask for (`metric:grad_norm sentinel`). Each is one function with the shape's name.

A shape answers met, not-met or unknown (the metric was not logged, or there is too little of it), with the points that
say so. Plain numbers need no shape: `metric:loss first > 6` compares a statistic (first, last, min, max, median, count
of finite points).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Final

from analyzer.model import Evidence, State
from analyzer.onset import Onset, onset
from analyzer.signals import finite, streaks
from parsers.model import Run, Series

Answer = tuple[State, tuple[Evidence, ...]]
Shape = Callable[[Run, str], Answer]
SHAPES: Final[dict[str, Shape]] = {}
UNKNOWN: Final[Answer] = ("unknown", ())

HEALTHY_RECORDS: Final = 2
"""Plausible records before the first bad one that make a start healthy."""
STREAK: Final = 17
"""Skips in a row from a scale of 2**16 to its floor at 1: a search that ends earlier has found a scale."""
LN_VOCABULARIES: Final = tuple(
    math.log(size) for size in (30522, 32000, 50257, 64000, 100352, 102400, 128256, 129280, 151936, 152064, 256000, 262144)
)  # fmt: skip
"""Loss of a model that guesses uniformly, for the vocabularies in common use."""


def shape(function: Shape) -> Shape:
    """Registers a shape under its name with dashes."""
    SHAPES[function.__name__.strip("_").replace("_", "-")] = function
    return function


def ask(run: Run, metric: str, name: str) -> Answer:
    """Whether `metric` has the shape `name`, or its statistic compares as told; raises ValueError for an unknown one."""
    found = SHAPES.get(name)
    if found is not None:
        return found(run, metric)
    parts = name.split()
    if len(parts) == 3 and parts[0] in _STATISTICS and parts[1] in _COMPARE:
        return _statistic(run, metric, parts[0], parts[1], float(parts[2]))
    raise ValueError(f"unknown shape {name!r}")


_STATISTICS: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "first": lambda values: values[0], "last": lambda values: values[-1], "min": min, "max": max, "median": median,
    "count": lambda values: float(len(values)),
}  # fmt: skip
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


def _statistic(run: Run, metric: str, statistic: str, operator: str, wanted: float) -> Answer:
    series = run.series(metric)
    values = finite(series.values) if series else []
    if series is None or not values:
        return UNKNOWN
    got = _STATISTICS[statistic](values)
    index = next((i for i, v in enumerate(series.values) if v == got), len(series) - 1)
    return _say(_COMPARE[operator](got, wanted), _at(series, index))


def _say(holds: bool, *evidence: Evidence) -> Answer:
    return ("met" if holds else "not-met"), tuple(evidence)


def _at(series: Series, index: int) -> Evidence:
    return Evidence(series.ref(index))


def _placed(run: Run, metric: str) -> tuple[Series, Onset, int] | None:
    """The series, the run's first bad record, and its index in the series; None where any is missing."""
    series, bad = run.series(metric), onset(run)
    index = bad.index_in(series) if series is not None and bad is not None else None
    return None if series is None or bad is None or index is None else (series, bad, index)


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
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if not math.isfinite(v)), None)
    return _say(first is not None, *([_at(series, first)] if first is not None else []))


@shape
def is_infinite(run: Run, metric: str) -> Answer:
    """At least one point is plus or minus infinity (NaN does not count)."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if math.isinf(v)), None)
    return _say(first is not None, *([_at(series, first)] if first is not None else []))


@shape
def plausible_throughout(run: Run, metric: str) -> Answer:
    """Every point is finite and none is exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    return _say(all(math.isfinite(v) and v != 0.0 for v in series.values), _at(series, len(series) - 1))


@shape
def zero_at_onset(run: Run, metric: str) -> Answer:
    """At the first bad record (loss 0, NaN) the metric is exactly 0."""
    placed = _placed(run, metric)
    return UNKNOWN if placed is None else _say(placed[0].values[placed[2]] == 0.0, _at(placed[0], placed[2]))


@shape
def zero_throughout(run: Run, metric: str) -> Answer:
    """Every point is exactly 0."""
    series = run.series(metric)
    return UNKNOWN if series is None else _say(all(v == 0.0 for v in series.values), _at(series, len(series) - 1))


@shape
def has_zero(run: Run, metric: str) -> Answer:
    """At least one point is exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    first = next((i for i, v in enumerate(series.values) if v == 0.0), None)
    return _say(first is not None, *([_at(series, first)] if first is not None else []))


@shape
def sentinel(run: Run, metric: str) -> Answer:
    """Constant at a square root of a small whole number (1, 1.414, 1.732, 2): DeepSpeed's mask for non-finite norms."""
    series, bad = run.series(metric), onset(run)
    if series is None:
        return UNKNOWN
    start = (bad.index_in(series) or 0) if bad else max(0, len(series) - 3)
    tail = series.values[start:]
    if len(tail) < 2 or not all(math.isfinite(v) for v in tail):
        return _say(False)
    squared = tail[-1] ** 2
    constant = max(tail[-2:]) - min(tail[-2:]) <= 1e-4 * abs(tail[-1])
    return _say(constant and 0.9 < squared < 16.5 and abs(squared - round(squared)) < 2e-3, _at(series, len(series) - 1))


@shape
def constant(run: Run, metric: str) -> Answer:
    """Every point is the same finite value, over at least three records."""
    series = run.series(metric)
    if series is None or len(series) < 3:
        return UNKNOWN
    low, high = min(series.values), max(series.values)
    return _say(math.isfinite(low) and high - low <= 1e-6 * abs(high), _at(series, len(series) - 1))


@shape
def stale(run: Run, metric: str) -> Answer:
    """After the first bad record one earlier, non-zero value is repeated to the last digit: nothing new was computed."""
    placed = _placed(run, metric)
    if placed is None or len(placed[0]) - placed[2] < 3:
        return UNKNOWN
    tail = placed[0].values[placed[2] :]
    return _say(math.isfinite(tail[-1]) and tail[-1] != 0.0 and len(set(tail[-3:])) == 1, _at(placed[0], len(placed[0]) - 1))


@shape
def healthy_start(run: Run, metric: str) -> Answer:
    """At least two plausible records come before the first bad one."""
    placed = _placed(run, metric)
    if placed is None:
        return UNKNOWN
    series, _, index = placed
    good = [v for v in finite(series.values[:index]) if v != 0.0]
    return _say(len(good) >= HEALTHY_RECORDS, _at(series, max(0, index - 1)))


@shape
def bad_from_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN, infinite or exactly 0."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    return _say(not math.isfinite(series.values[0]) or series.values[0] == 0.0, _at(series, 0))


@shape
def nan_at_first_record(run: Run, metric: str) -> Answer:
    """The very first record is NaN or infinite; a metric that is logged later than the loss has no first record."""
    series, loss = run.series(metric), run.series("loss")
    if series is None or (loss is not None and loss.steps[0] < series.steps[0]):
        return UNKNOWN
    return _say(not math.isfinite(series.values[0]), _at(series, 0))


@shape
def plausible_at_first_nan(run: Run, metric: str) -> Answer:
    """Where the gradient norm is first NaN the metric is still finite and not 0: the forward pass was fine, the backward
    pass was not."""
    series, norm = run.series(metric), run.series("grad_norm")
    first = next((i for i, v in enumerate(norm.values) if not math.isfinite(v)), None) if norm else None
    if series is None or norm is None or first is None:
        return UNKNOWN
    index = next((i for i, step in enumerate(series.steps) if step == norm.steps[first]), None)
    if index is None:
        return UNKNOWN
    return _say(math.isfinite(series.values[index]) and series.values[index] != 0.0, _at(series, index))


@shape
def recovers(run: Run, metric: str) -> Answer:
    """After the bad records the metric is finite and non-zero again."""
    series, bad = run.series(metric), onset(run)
    if series is None or bad is None:
        return UNKNOWN
    last = series.values[-1]
    return _say(math.isfinite(last) and last != 0.0, _at(series, len(series) - 1))


@shape
def isolated_bad(run: Run, metric: str) -> Answer:
    """NaN, infinite or zero records stand alone between plausible ones."""
    series = run.series(metric)
    if series is None or len(series) < 3:
        return UNKNOWN
    bad = list(streaks(series.values, _is_bad))
    return _say(bool(bad) and all(s.length == 1 for s in bad) and bad[0].stop < len(series), *[_at(series, s.start) for s in bad[:2]])


@shape
def permanent(run: Run, metric: str) -> Answer:
    """The metric stays NaN or 0 from the first bad record to the end (at least two records)."""
    placed = _placed(run, metric)
    if placed is None:
        return UNKNOWN
    series, _, index = placed
    tail = series.values[index:]
    good = sum(1 for value in tail if not _is_bad(value))
    return _say(len(tail) >= 2 and _is_bad(tail[-1]) and good <= 1, _at(series, index))


def _is_bad(value: float) -> bool:
    return not math.isfinite(value) or value == 0.0


@shape
def rises_before_onset(run: Run, metric: str) -> Answer:
    """The metric rose for several records before the first bad one (at least fourfold over the last ten)."""
    placed = _placed(run, metric)
    if placed is None:
        return UNKNOWN
    series, _, index = placed
    before = finite(series.values[:index])[-10:]
    if len(before) < 3:
        return UNKNOWN
    half = len(before) // 2
    late, early = median(before[half:]), median(before[:half])
    return _say(before[-1] > 4 * min(before) > 0 and late > early and before[-1] > late * 0.8, _at(series, max(0, index - 1)))


@shape
def inflated_before_zero(run: Run, metric: str) -> Answer:
    """The last record before the zeros is at least five times the level before it."""
    placed = _placed(run, metric)
    if placed is None:
        return UNKNOWN
    series, _, index = placed
    while index < len(series) and series.values[index] != 0.0:
        index += 1
    before = finite(series.values[:index])
    if index == len(series) or not before:
        return UNKNOWN
    usual = median(before[:-1][-20:]) if len(before) > 1 else 4.0
    return _say(before[-1] > 5 * max(usual, 1e-6) and before[-1] > 10.0, _at(series, index - 1))


@shape
def near_ln2(run: Run, metric: str) -> Answer:
    """The metric sits at ln 2 = 0.6931 within one percent in nine records of ten."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    near = sum(1 for v in series.values if abs(v - math.log(2)) < 0.007)
    return _say(len(series) >= 2 and near >= 0.9 * len(series), _at(series, len(series) - 1))


@shape
def near_ln_vocabulary(run: Run, metric: str) -> Answer:
    """The metric sits within half a percent of the natural logarithm of a usual vocabulary size, and does not move."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    if series is None or len(values) < 2:
        return UNKNOWN
    level = median(values)
    still = max(values) - min(values) < 0.02 * level
    return _say(still and any(abs(level - ln) < 0.005 * ln for ln in LN_VOCABULARIES), _at(series, len(series) - 1))


@shape
def above_uniform(run: Run, metric: str) -> Answer:
    """The first value is above ln(262144) = 12.5: worse than guessing in any usual vocabulary, so not a mean of losses."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    return UNKNOWN if series is None or not values else _say(values[0] > 12.6, _at(series, 0))


@shape
def above_clipping(run: Run, metric: str) -> Answer:
    """Most values are above the norm that gradients are clipped to (1.0 where it is not known)."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    if series is None or len(values) < 3:
        return UNKNOWN
    limit = run.environment.number("arg:max_grad_norm") or run.environment.number("config:gradient_clipping") or 1.0
    return _say(sum(1 for v in values if v > limit) > 0.5 * len(values), _at(series, 0))


@shape
def multiple_of_eval(run: Run, metric: str) -> Answer:
    """The training loss is at least 1.8 times the evaluation loss of the same time, and close to a whole multiple of it."""
    series, evaluated = run.series(metric), run.series("eval_loss")
    pairs = _pairs(series, evaluated) if series is not None and evaluated is not None else []
    if series is None or not pairs:
        return UNKNOWN
    ratio = median(a / b for a, b, _ in pairs)
    whole = abs(ratio - round(ratio)) < 0.2 * max(1.0, ratio / 4)
    return _say(ratio > 1.8 and whole, _at(series, pairs[0][2]))


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
    return UNKNOWN if ends is None else _say(ends[1] < ends[0] - 0.05 * abs(ends[0]), _at(ends[2], len(ends[2]) - 1))


@shape
def flat(run: Run, metric: str) -> Answer:
    """The last fifth lies within 3 % of the first fifth, over at least ten records."""
    ends = _ends(run, metric)
    if ends is None or len(ends[2]) < 10:
        return UNKNOWN
    return _say(abs(ends[1] - ends[0]) <= 0.03 * abs(ends[0]), _at(ends[2], len(ends[2]) - 1))


def _ends(run: Run, metric: str) -> tuple[float, float, Series] | None:
    series = run.series(metric)
    values = finite(series.values) if series else []
    if series is None or len(values) < 5:
        return None
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
    return _say(min(tail) > best + 1e-9 and (median(tail) > 2 * best or median(tail) > best + 2.0), _at(series, len(series) - 1))


@shape
def plateau_at_6_to_12(run: Run, metric: str) -> Answer:
    """The last finite values lie between 6 and 12: the loss of a language model whose weights are spoilt."""
    series = run.series(metric)
    values = [v for v in finite(series.values) if v != 0.0] if series else []
    return UNKNOWN if series is None or not values else _say(6.0 <= median(values[-5:]) <= 12.5, _at(series, len(series) - 1))


@shape
def collapses_to_near_zero(run: Run, metric: str) -> Answer:
    """The metric falls below 0.05 within the first tenth of the records (at most 50) and stays there."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    if series is None or len(values) < 5:
        return UNKNOWN
    early = values[min(50, max(3, len(values) // 10)) :]
    return _say(values[0] > 0.3 and bool(early) and median(early) < 0.05, _at(series, len(series) - 1))


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
    return _say(bool(boundaries) and len(drops) == len(boundaries), *[_at(series, i) for i in drops[:2]])


def _steps_down(series: Series, i: int) -> bool:
    before, after = _level(series, i - 3, i), _level(series, i, i + 3)
    inside = max(abs(_level(series, i - 6, i - 3) - before), abs(after - _level(series, i + 3, i + 6)))
    return before - after > max(0.07 * abs(before), 3 * inside)


def _level(series: Series, start: int, stop: int) -> float:
    values = finite(series.values[max(0, start) : stop])
    return median(values) if values else math.inf


@shape
def jumps_after_restart(run: Run, metric: str) -> Answer:
    """The first values of a resumed part lie at least 10 % above the last ones before it."""
    series = run.series(metric)
    if series is None or not len(series) or series.segments[-1] == 0:
        return UNKNOWN
    starts = [i for i in range(1, len(series)) if series.segments[i] > series.segments[i - 1]]
    jumps = [i for i in starts if _level(series, i, i + 5) > 1.1 * _level(series, i - 5, i)]
    return _say(bool(jumps), *[_at(series, i) for i in jumps[:2]])


@shape
def stands_still(run: Run, metric: str) -> Answer:
    """From the first bad record on the metric does not change (a learning rate that stands still: no step was taken)."""
    placed = _placed(run, metric)
    if placed is None or len(placed[0]) - placed[2] < 3:
        return UNKNOWN
    tail = placed[0].values[placed[2] + 1 :]
    return _say(len(set(tail)) == 1 and len(set(placed[0].values)) > 1 or set(tail) == {0.0}, _at(placed[0], len(placed[0]) - 1))


@shape
def leaves_zero(run: Run, metric: str) -> Answer:
    """The metric starts at 0 and becomes positive later."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    later = next((i for i, v in enumerate(series.values) if v > 0), None)
    return _say(series.values[0] == 0.0 and later is not None, *([_at(series, later)] if later is not None else []))


@shape
def levels_off(run: Run, metric: str) -> Answer:
    """A counter (`skipped_steps`) grows at first and at most half as fast later."""
    series = run.series(metric)
    if series is None or len(series) < 2 or series.steps[-1] <= series.steps[0] or series.values[-1] <= 0:
        return UNKNOWN
    early = series.values[0] / max(1, series.steps[0]) or series.values[1] / max(1, series.steps[1])
    late = (series.values[-1] - series.values[-2]) / max(1, series.steps[-1] - series.steps[-2])
    return _say(0 <= late <= 0.5 * early and late < 0.5, _at(series, len(series) - 1))


@shape
def ends_early(run: Run, metric: str) -> Answer:
    """The metric (a learning rate) reaches 0 and stays there for more than a tenth of the run."""
    series = run.series(metric)
    if series is None or len(series) < 10:
        return UNKNOWN
    tail = next((s for s in streaks(series.values, lambda v: v == 0.0) if s.stop == len(series)), None)
    is_early = tail is not None and tail.start > 0 and tail.length > 0.1 * len(series)
    return _say(is_early, *([_at(series, tail.start)] if tail is not None else []))


@shape
def streak_to_floor(run: Run, metric: str) -> Answer:
    """Skipped steps (`overflow`) whose scale ends at 1 or below: no scale was low enough."""
    series = run.series(metric)
    values = finite(series.values) if series else []
    return UNKNOWN if series is None or not values else _say(min(values) <= 1.0, _at(series, len(series) - 1))


@shape
def search_ends(run: Run, metric: str) -> Answer:
    """Skipped steps (`overflow`) are few and the scale stops well above 1: the scaler found its level."""
    series = run.series(metric)
    if series is None:
        return UNKNOWN
    values = finite(series.values)
    steps = run.series("loss")
    if not values and steps is None:
        return UNKNOWN
    if values and min(values) <= 4.0:
        return _say(False, _at(series, len(series) - 1))
    steps = steps or series
    is_rare = len(series) < STREAK or len(series) < 0.05 * max(1, steps.steps[-1] if len(steps) else 1)
    return _say(is_rare, _at(series, 0), _at(series, len(series) - 1))
