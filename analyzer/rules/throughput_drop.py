"""The sustained rate falls by a large factor."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from operator import sub
from typing import Final, NamedTuple

from analyzer.median import median
from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import Shift, aligned, block_medians, current, finite, is_interleaved, level_shift, thinned
from parsers import Run, Series, metrics

FACTOR: Final = Threshold(2.5, "Times the time per step: growing batches and longer sequences double it, faults do more.")
MIN_RECORDS: Final = Threshold(32, "Four blocks: two on each side of the drop.")
WARM_UP: Final = Threshold(2, "Records at the start that are not judged: compilation and caches.")


MIN_BLOCKS: Final = Threshold(8, "Stretches that must grow one after the other, where the time rises by and by.")
STEADY: Final = Threshold(0.5, "Of its even share that the second half must contribute to a steady rise: less is a plateau.")
MAX_BLOCKS: Final = 20
_BATCH: Final = frozenset({"global batch size", "batch size", "train batch size"})
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
        "min-blocks": MIN_BLOCKS,
        "steady": STEADY,
        "window": WINDOW,
        "min-window": MIN_WINDOW,
    },
)
def throughput_drop(run: Run) -> Iterator[Finding]:
    """A lasting shift of the time per step, or a steady rise of it, by the first clock that shows one."""
    for pace in _paces(run):
        if len(pace.values) < MIN_RECORDS.value:
            continue
        values = pace.values[WARM_UP.value :]
        shift = level_shift(values, FACTOR.value) or _steady_rise(values)
        if shift is not None and not _is_batch(run, pace, WARM_UP.value + shift.start):
            yield _finding(run, pace, WARM_UP.value + shift.start, shift.before, shift.after)
            return


def _is_batch(run: Run, pace: Pace, start: int) -> bool:
    """Whether the batch was enlarged as well, so that a sample takes hardly longer than before."""
    track = next((t for t in run.tracks if t.name.lower().replace("_", " ") in _BATCH), None)
    if track is None or pace.unit.endswith("s/s") or len(set(track.values)) < 2:
        return False
    sizes = aligned(pace.series, track)
    times = [pace.values[k] / size if (size := sizes[i]) else math.nan for k, i in enumerate(pace.indices)]
    before, after = finite(times[:start]), finite(times[start:])
    return bool(before and after) and median(after) < FACTOR.value * median(before)


def _steady_rise(values: Sequence[float]) -> Shift | None:
    """A time that grows from block to block until it is FACTOR times what it was: a queue, a cache or a list that grows."""
    blocks = block_medians(values, max(8, len(values) // MAX_BLOCKS))
    if len(blocks) < MIN_BLOCKS.value or blocks[0] <= 0 or blocks[-1] < FACTOR.value * blocks[0]:
        return None
    rising = sum(b > a for a, b in pairwise(blocks))
    half = blocks[len(blocks) // 2]
    grows_late = blocks[-1] - half >= STEADY.value / 2 * (blocks[-1] - blocks[0])
    if rising < 0.9 * (len(blocks) - 1) or not grows_late:
        return None
    border = (1 + FACTOR.value) / 2 * blocks[0]
    start = next((i for i, value in enumerate(values) if min(values[i : i + 3]) > border and value > border), 0)
    return Shift(start, blocks[0], blocks[-1])


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
    """Seconds per step over windows of a progress bar; none reaches over an evaluation or a restart.

    No value where so little time passed that there cannot be enough of them.
    """
    times, steps, segments = bar.times, bar.steps, bar.segments
    passed = map(sub, times[1:], times)
    inside = sum(
        passed if segments[0] == segments[-1] else [p for p, a, b in zip(passed, segments, segments[1:], strict=False) if a == b]
    )
    indices: list[int] = []
    values: list[float] = []
    if inside < (MIN_RECORDS.value - 1) * MIN_WINDOW.value:
        return Pace(bar, indices, values, "s per step")
    window = max(MIN_WINDOW.value, min(WINDOW.value, inside / (2 * MIN_RECORDS.value)))
    start, end = 0, bisect_right(segments, segments[0])
    while start < len(bar):
        following = max(bisect_right(steps, steps[start], start, end), _when(times, start, end, window))
        if following < end:
            indices.append(start)
            values.append((times[following] - times[start]) / (steps[following] - steps[start]))
            start = following
        else:
            start, end = end, bisect_right(segments, segments[end], end) if end < len(bar) else end
    return Pace(bar, indices, values, "s per step")


def _when(times: Sequence[float], start: int, end: int, window: float) -> int:
    """The first point after `start` and before `end` that so many seconds lie between; `end` where none does."""
    found = bisect_left(times, times[start] + window, start + 1, end)
    while found > start + 1 and times[found - 1] - times[start] >= window:  # a sum is rounded, a difference otherwise
        found -= 1
    while found < end and times[found] - times[start] < window:
        found += 1
    return found


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
