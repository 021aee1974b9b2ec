"""The sustained rate falls by a large factor."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import current, is_interleaved, level_shift, thinned
from parsers import Run, Series, metrics

FACTOR: Final = Threshold(2.5, "Times the time per step: growing batches and longer sequences double it, faults do more.")
MIN_RECORDS: Final = Threshold(32, "Four blocks: two on each side of the drop.")
WARM_UP: Final = Threshold(2, "Records at the start that are not judged: compilation and caches.")


WINDOW: Final = Threshold(
    10.0, "Seconds of a progress bar that are one record: its clock has no fractions, so it is off by a tenth."
)
MIN_WINDOW: Final = Threshold(4.0, "The same in a run of minutes: off by a quarter, and a drop by the factor stands out of that.")


class Pace(NamedTuple):
    """Seconds per step (or a number that grows with it) at points of a series."""

    series: Series
    indices: Sequence[int]
    values: list[float]
    unit: str


@rule(
    title="the throughput falls",
    severity="warning",
    needs=("step_time|throughput_samples|throughput_tokens|train_runtime|loss",),
    thresholds={
        "factor": FACTOR,
        "min-records": MIN_RECORDS,
        "warm-up": WARM_UP,
        "window": WINDOW,
        "min-window": MIN_WINDOW,
    },
)
def throughput_drop(run: Run) -> Iterator[Finding]:
    """A lasting shift of the time per step, by the first clock that shows one."""
    for pace in _paces(run):
        shift = level_shift(pace.values[WARM_UP.value :], FACTOR.value) if len(pace.values) >= MIN_RECORDS.value else None
        if shift is not None:
            yield _finding(run, pace, WARM_UP.value + shift.start, shift.before, shift.after)
            return


def _paces(run: Run) -> Iterator[Pace]:
    """Every clock of the run, the most direct one first."""
    for metric, unit in (
        (metrics.STEP_TIME, "s"),
        (metrics.THROUGHPUT_TOKENS, "tokens/s"),
        (metrics.THROUGHPUT_SAMPLES, "samples/s"),
    ):
        series = run.series(metric)
        if series is not None and "avg" not in series.name.lower() and not is_interleaved(series):
            kept = [i for i in current(series) if math.isfinite(series.values[i]) and series.values[i] > 0]
            is_time = metric == metrics.STEP_TIME
            yield Pace(series, kept, [series.values[i] if is_time else 1 / series.values[i] for i in kept], unit)
    for track in run.tracks:
        if track.name == "train_runtime" and len(track) >= MIN_RECORDS.value:
            yield _between(track, track.values, "s per step")
            break
    series = run.series(metrics.LOSS)
    if series is not None:
        yield _between(series, series.times, "s per step")
    for bar in run.bars:
        yield _on_bar(bar)


def _on_bar(bar: Series) -> Pace:
    """Seconds per step over windows of a progress bar; none reaches over an evaluation or a restart."""
    inside = [b - a for i, (a, b) in enumerate(pairwise(bar.times)) if bar.segments[i] == bar.segments[i + 1]]
    window = max(MIN_WINDOW.value, min(WINDOW.value, sum(inside) / (2 * MIN_RECORDS.value)))
    indices: list[int] = []
    values: list[float] = []
    start = 0
    for i in range(1, len(bar)):
        if bar.segments[i] != bar.segments[start]:
            start = i
            continue
        steps, seconds = bar.steps[i] - bar.steps[start], bar.times[i] - bar.times[start]
        if steps > 0 and seconds >= window:
            indices.append(start)
            values.append(seconds / steps)
            start = i
    return Pace(bar, indices, values, "s per step")


def _between(series: Series, clock: Sequence[float], unit: str) -> Pace:
    """Seconds per step between neighbours of one segment, from a clock that runs on."""
    indices: list[int] = []
    values: list[float] = []
    if not any(map(math.isfinite, thinned(clock))):
        return Pace(series, indices, values, unit)
    for i in range(1, len(series)):
        steps, seconds = series.steps[i] - series.steps[i - 1], clock[i] - clock[i - 1]
        if series.segments[i] == series.segments[i - 1] and steps > 0 and seconds >= 0:
            indices.append(i)
            values.append(seconds / steps)
    if not values or sum(value == 0 for value in values) > 0.2 * len(values):
        return Pace(series, (), [], unit)  # the clock's unit is too coarse
    return Pace(series, indices, values, unit)


def _finding(run: Run, pace: Pace, position: int, before: float, after: float) -> Finding:
    series, index = pace.series, pace.indices[position]
    last = pace.indices[-1]
    slower = after / before
    is_rate = pace.unit.endswith("s/s") or pace.unit.endswith("/s")
    words = (
        f"{number(1 / before)} to {number(1 / after)} {pace.unit}"
        if is_rate
        else f"{number(before)} to {number(after)} s per step"
    )
    return Finding(
        rule="throughput-drop",
        severity="warning",
        confidence="high" if slower > 2 * FACTOR.value else "medium",
        summary=f"training is {number(slower)} times slower from step {series.steps[index]} to the end: {words}",
        evidence=(
            at(series, index, "slow from here"),
            *((at(series, pace.indices[position - 1], "last record before it"),) if position else ()),
            at(series, last, "end"),
        ),
        first_step=series.steps[index],
        last_step=series.steps[last],
        facts={
            "factor": round(slower, 2),
            "before": before if not is_rate else 1 / before,
            "after": after if not is_rate else 1 / after,
            "clock": series.name,
            "step_source": run.step_source,
        },
    )
