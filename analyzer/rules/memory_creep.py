"""Memory grows steadily and reaches no plateau."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import block_median, current_finite, end_medians, in_blocks, is_interleaved
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(5, "Five readings on one line are no chance; a warm-up of two or three would be.")
MAX_BLOCKS: Final = 20
GROWTH: Final = Threshold(0.2, "Of the first level: growth below a fifth is fragmentation and longer batches.")
RISING: Final = Threshold(0.9, "Share of neighbouring levels that rise.")
LATE: Final = Threshold(0.5, "Of its even share that the last third must still contribute: less is a plateau.")

_MEMORY: Final = re.compile(r"mem(ory)?[_ ./-]?(alloc|used|usage|rss|reserved|active)|(^|_)rss(_|$)|memallocated", re.IGNORECASE)
_PEAK: Final = re.compile(r"max|peak", re.IGNORECASE)


@rule(
    title="memory grows without a plateau",
    severity="warning",
    needs=("memory_gpu|memory_host",),
    thresholds={
        "min-records": MIN_RECORDS,
        "growth": GROWTH,
        "rising": RISING,
        "late": LATE,
    },
)
def memory_creep(run: Run) -> Iterator[Finding]:
    """The first memory metric that rises to the end."""
    for track in sorted((t for t in run.tracks if _is_memory(t)), key=lambda t: bool(_PEAK.search(t.name))):
        kept = current_finite(track)
        values = track.values if len(kept) == len(track) else [track.values[i] for i in kept]
        if len(kept) >= MIN_RECORDS.value and _creeps(values) and not is_interleaved(track):
            yield _finding(run, track, kept)
            return


def _is_memory(track: Series) -> bool:
    return track.metric in (metrics.MEMORY_GPU, metrics.MEMORY_HOST) or _is_named_so(track.name)


@lru_cache(maxsize=2**12)
def _is_named_so(name: str) -> bool:
    return _MEMORY.search(name) is not None


def _creeps(values: Sequence[float]) -> bool:
    width = max(1, len(values) // MAX_BLOCKS)
    low, high = end_medians(values, width)
    if low < 0 or high - low < GROWTH.value * max(low, 1e-9):
        return False
    levels = _rising(in_blocks(values, width))
    if levels is None:
        return False
    third = len(levels) // 3
    total, late = levels[-1] - levels[0], levels[-1] - levels[-1 - third]
    return late >= LATE.value * total * third / (len(levels) - 1)


def _rising(parts: Sequence[Sequence[float]]) -> list[float] | None:
    """The medians of blocks; None where they are few, or as soon as too many are no higher than the one before."""
    if len(parts) < MIN_RECORDS.value:
        return None
    levels: list[float] = []
    rising, least = len(parts) - 1, RISING.value * (len(parts) - 1)
    for level in map(block_median, parts):
        if levels and not level > levels[-1]:
            rising -= 1
        if rising < least:
            return None
        levels.append(level)
    return levels


def _finding(run: Run, track: Series, kept: Sequence[int]) -> Finding:
    first, last = kept[0], kept[-1]
    low, high = track.values[first], track.values[last]
    steps = track.steps[last] - track.steps[first]
    rate = (high - low) / steps if steps else 0.0
    return Finding(
        rule="memory-creep",
        severity="warning",
        confidence="high" if len(kept) >= 2 * MIN_RECORDS.value else "medium",
        summary=f"memory ({track.name}) grows from {number(low)} to {number(high)} between step {track.steps[first]} and "
        f"step {track.steps[last]} without a plateau, {number(rate)} a step",
        evidence=(
            at(track, first, "first reading"),
            at(track, kept[len(kept) // 2], "half-way"),
            at(track, last, "last reading"),
        ),
        first_step=track.steps[first],
        last_step=track.steps[last],
        facts={
            "metric": track.name,
            "first": low,
            "last": high,
            "per_step": rate,
            "records": len(kept),
            "step_source": run.step_source,
        },
    )
