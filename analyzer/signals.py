"""Shapes of a series, on plain sequences of floats: streaks, robust levels, excursions, level shifts. No I/O, no policy.

Robust here means medians: a tenth of wild values must move nothing. Where a full rolling median would cost too much
(rules have a millisecond for a thousand points), the level before a point is the median of the last blocks before it.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Sequence
from operator import le
from typing import Any, Final, NamedTuple

from analyzer.median import median
from parsers.model import Series

BLOCK: Final = 8
"""Points of a block: few enough to follow a falling loss, enough for a median that two wild values cannot move."""
MAX_BLOCKS: Final = 64
"""Blocks of a level-shift search: longer series get wider blocks, so that the search stays linear."""


MANY: Final = 2000
"""Values from which on NumPy is faster, where it is loaded already: it gives the same, and is never imported for it."""
SAMPLE: Final = 4000
"""Values that a median of a whole series is taken of: its error is then a fiftieth of the spread."""
BLOCK_SAMPLE: Final = 200
"""The same for the median of a block."""


class Streak(NamedTuple):
    """A run of consecutive indices `[start, stop)`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """How many points it has."""
        return self.stop - self.start


class Excursion(NamedTuple):
    """Consecutive points `[start, stop)` above the level before them: `peak` is the index of the highest."""

    start: int
    stop: int
    peak: int
    level: float
    excess: float


class Shift(NamedTuple):
    """A level that changed for good at `start`: medians before and after it."""

    start: int
    before: float
    after: float


def streaks(values: Sequence[float], holds: Callable[[float], bool]) -> Iterator[Streak]:
    """Maximal runs of consecutive values for which `holds`."""
    start: int | None = None
    for index, value in enumerate(values):
        if holds(value):
            if start is None:
                start = index
        elif start is not None:
            yield Streak(start, index)
            start = None
    if start is not None:
        yield Streak(start, len(values))


def non_finite_streaks(values: Sequence[float]) -> list[Streak]:
    """Runs of NaN and infinite values; one pass in C where there are none."""
    return [] if are_finite(values) else list(streaks(values, is_bad))


def are_finite(values: Sequence[float]) -> bool:
    """Whether no value is NaN or infinite: their sum tells it mostly, at a third of the cost."""
    return math.isfinite(sum(values)) or all(map(math.isfinite, values))


def is_bad(value: float) -> bool:
    """NaN or infinite."""
    return not math.isfinite(value)


def is_zero(value: float) -> bool:
    """Exactly 0."""
    return value == 0.0


def finite(values: Sequence[float]) -> list[float]:
    """The values that are neither NaN nor infinite, in order."""
    return [value for value in values if math.isfinite(value)]


def thinned(values: Sequence[float], most: int = SAMPLE) -> Sequence[float]:
    """At most about `most` of the values, evenly spread: medians of a million values need no million."""
    return values if len(values) <= most else values[:: -(-len(values) // most)]


def mad(values: Sequence[float], centre: float | None = None) -> float:
    """Median absolute deviation times 1.4826: a standard deviation that outliers cannot move. 0 when empty."""
    if not values:
        return 0.0
    middle = median(values) if centre is None else centre
    return 1.4826 * median([abs(value - middle) for value in values])


def _mad_of(np: Any, values: Any) -> float:
    """`mad` of an array of NumPy's."""
    return 1.4826 * _middle(np, np.abs(values - _middle(np, values)))


def _middle(np: Any, values: Any) -> float:
    ordered, half = np.sort(values), len(values) // 2
    return float(ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) / 2)


def noise(values: Sequence[float]) -> float:
    """Standard deviation of the point-to-point noise, from differences of neighbours: a trend does not count."""
    if len(values) < 3:
        return 0.0
    stride = max(1, (len(values) - 1) // SAMPLE)
    np = sys.modules.get("numpy") if len(values) // stride >= MANY else None
    if np is not None:
        before, after = (np.array(part, np.float64) for part in (values[:-1:stride], values[1::stride]))
        return _mad_of(np, after - before) / math.sqrt(2)
    steps = [b - a for a, b in zip(values[:-1:stride], values[1::stride], strict=True)]
    return mad(steps) / math.sqrt(2)


def rolling_median(values: Sequence[float], width: int) -> list[float]:
    """Median of the `width` values before each index (fewer at the beginning; the value itself at index 0)."""
    window: list[float] = []
    out: list[float] = []
    for index, value in enumerate(values):
        if not window:
            out.append(value)
        else:
            middle = len(window) // 2
            out.append(window[middle] if len(window) % 2 else (window[middle - 1] + window[middle]) / 2)
        if math.isfinite(value):
            insort(window, value)
        if index >= width and math.isfinite(values[index - width]):
            window.pop(bisect_left(window, values[index - width]))
    return out


def resolution(values: Sequence[float], most: int = 6) -> float:
    """The unit of the last digit that was printed (0.01 for 1.25, 3.10, 0.07), or 0 where more than `most` decimals are.

    Judged on at most 400 values, spread over the series. Values that went through single precision still count.
    """
    sample = finite(thinned(values, 400))
    for decimals in range(most + 1):
        scaled = [value * 10.0**decimals for value in sample]
        if sample and all(_is_whole(value) for value in scaled):
            return float(10.0**-decimals)
    return 0.0


def _is_whole(value: float) -> bool:
    """Whether a value is a whole number but for single precision; a tiny one is none, though 0 is near."""
    nearest = round(value)
    return abs(value - nearest) <= min(0.05, 1e-3 + 1e-7 * abs(value)) and (nearest != 0 or value == 0.0)


def current(series: Series) -> Sequence[int]:
    """Indices of the history that counts: without points that a restart went back over and trained again."""
    size = len(series)
    if not size or series.segments[-1] == 0:
        return range(size)
    keep: list[int] = []
    lowest, segment = math.inf, series.segments[-1]
    pending = math.inf
    for index in range(size - 1, -1, -1):
        if series.segments[index] != segment:
            segment, lowest, pending = series.segments[index], min(lowest, pending), math.inf
        if series.steps[index] < lowest:
            keep.append(index)
            pending = min(pending, series.steps[index])
    keep.reverse()
    return keep


def current_finite(series: Series) -> Sequence[int]:
    """Those of them whose values are neither NaN nor infinite."""
    chosen, values = current(series), series.values
    return chosen if are_finite(values) else [i for i in chosen if math.isfinite(values[i])]


def is_interleaved(series: Series) -> bool:
    """Whether several writers share this series (two models of one program): steps that repeat or go back all the time."""
    steps = series.steps[:20000]
    back: int = sum(map(le, steps[1:], steps))
    return back > max(3, 0.2 * len(steps))


def fall(values: Sequence[float], known: float | None = None) -> tuple[float, float, float]:
    """(first level, last level, uncertainty of their difference): medians of the first and the last fifth.

    The uncertainty is one standard error. At least one value is needed. `known`: their `noise`, if it is known already.
    """
    width = _fifth(values)
    return *end_levels(values), 1.25 * math.sqrt(2 / width) * (noise(values) if known is None else known)


def end_levels(values: Sequence[float]) -> tuple[float, float]:
    """(first level, last level): medians of the first and the last fifth. At least one value is needed."""
    width = _fifth(values)
    return median(thinned(values[:width])), median(thinned(values[-width:]))


def _fifth(values: Sequence[float]) -> int:
    return max(1, len(values) // 5)


def aligned(series: Series, other: Series | None) -> Sequence[float | None]:
    """For each point of `series` the value of `other` at the same step (and restart), None where it has none."""
    if other is None:
        return [None] * len(series)
    if series.steps == other.steps and series.segments == other.segments:
        return other.values
    known = dict(zip(zip(other.steps, other.segments, strict=True), other.values, strict=True))
    loose = dict(zip(other.steps, other.values, strict=True))
    return [known.get(key, loose.get(key[0])) for key in zip(series.steps, series.segments, strict=True)]


def block_medians(values: Sequence[float], width: int) -> list[float]:
    """Medians of consecutive blocks of `width` values."""
    return [block_median(block) for block in in_blocks(values, width)]


def in_blocks(values: Sequence[float], width: int) -> list[Sequence[float]]:
    """Consecutive blocks of `width` values; a rest of less than half a block joins the last one."""
    edges = _edges(len(values), width)
    return [values[a:b] for a, b in zip(edges, [*edges[1:], len(values)], strict=True)]


def block_median(block: Sequence[float]) -> float:
    """The median of a block, of a sample where it is long."""
    return median(thinned(block, BLOCK_SAMPLE))


def end_medians(values: Sequence[float], width: int) -> tuple[float, float]:
    """The first and the last of them, where mostly those are enough. At least one value is needed."""
    edges = _edges(len(values), width)
    first = values[: edges[1]] if len(edges) > 1 else values
    return block_median(first), block_median(values[edges[-1] :])


def _edges(size: int, width: int) -> list[int]:
    """Where blocks of `width` values begin."""
    edges = list(range(0, size, width))
    if len(edges) > 1 and size - edges[-1] < (width + 1) // 2:
        edges.pop()
    return edges


def excursions(values: Sequence[float], least: Callable[[float], float], skip: int = BLOCK) -> list[Excursion]:
    """Stretches that rise above the level before them by more than `least(level)`.

    The level of a block is the median of the two blocks before it, the first `skip` points are not judged. Stretches
    that are at most two points apart are one.
    """
    found: list[Excursion] = []
    for start, level, highest in _blocks(values):
        limit = level + least(level)
        if highest <= limit:
            continue
        for index in range(max(start, skip), min(start + BLOCK, len(values))):
            if values[index] > limit:
                _extend(found, values, index, level)
    return found


def _blocks(values: Sequence[float]) -> Iterator[tuple[int, float, float]]:
    """(where a block begins, the median of the two before it, its greatest value) of all blocks but the first."""
    np = sys.modules.get("numpy") if len(values) >= MANY else None
    if np is None:
        for start in range(BLOCK, len(values), BLOCK):
            yield start, median(values[max(0, start - 2 * BLOCK) : start]), max(values[start : start + BLOCK])
        return
    whole = len(values) // BLOCK
    rows = np.array(values[: whole * BLOCK], np.float64).reshape(whole, BLOCK)
    pairs = np.sort(np.concatenate([rows[:-1], rows[1:]], axis=1), axis=1)
    levels = [median(values[:BLOCK]), *((pairs[:, BLOCK - 1] + pairs[:, BLOCK]) / 2).tolist()]
    highest = [*rows[1:].max(axis=1).tolist(), *((max(values[whole * BLOCK :]),) if whole * BLOCK < len(values) else ())]
    yield from zip(range(BLOCK, len(values), BLOCK), levels, highest, strict=False)


def _extend(found: list[Excursion], values: Sequence[float], index: int, level: float) -> None:
    if found and index - found[-1].stop <= 2:
        last = found[-1]
        peak = index if values[index] > values[last.peak] else last.peak
        found[-1] = last._replace(stop=index + 1, peak=peak, excess=values[peak] - last.level)
    else:
        found.append(Excursion(index, index + 1, index, level, values[index] - level))


def level_shift(values: Sequence[float], factor: float) -> Shift | None:
    """The place from which the values stay at `factor` times their former level or more, None where there is none.

    Single slow points (an evaluation, a checkpoint) move no block; at least two blocks must lie on each side.
    """
    width = max(BLOCK, len(values) // MAX_BLOCKS)
    blocks = block_medians(values, width)
    if len(blocks) < 4:
        return None
    before, after = _running_medians(blocks), _running_medians(blocks[::-1])[::-1]
    for split in range(2, len(blocks) - 1):
        low, high = before[split - 1], after[split]
        if low <= 0 or high < factor * low:
            continue
        border = math.sqrt(low * high)
        early, late = (sum(b > border for b in part) / len(part) for part in (blocks[:split], blocks[split:]))
        if late >= 0.8 and early <= 0.2 and blocks[split] > border:
            return Shift(_first_above(values, border, max(0, (split - 2) * width)), low, high)
    return None


def _running_medians(values: Sequence[float]) -> list[float]:
    """Median of the values up to and including each one."""
    seen: list[float] = []
    out = []
    for value in values:
        insort(seen, value)
        middle = len(seen) // 2
        out.append(seen[middle] if len(seen) % 2 else (seen[middle - 1] + seen[middle]) / 2)
    return out


def _first_above(values: Sequence[float], border: float, start: int) -> int:
    """First index from `start` on where the value and two of the next three are above the border."""
    for index in range(start, len(values)):
        window = values[index : index + 4]
        if window[0] > border and sum(v > border for v in window) >= min(3, len(window)):
            return index
    return start
