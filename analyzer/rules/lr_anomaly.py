"""The learning rate does what no plain schedule does: it rises again after it fell, or jumps."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import current_finite, is_interleaved
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(10, "Fewer records show no schedule.")
FALLEN: Final = Threshold(0.8, "Of its highest: a rate below it has left its peak.")
RISES: Final = Threshold(1.5, "Times its lowest since the peak: a rate above it has risen again.")
MIN_CYCLES: Final = Threshold(2, "Rises that make a schedule of cycles, which is meant so.")
MIN_DECAY: Final = Threshold(
    3,
    "Different rates on the way down: a drop in one go and a new warm-up is how some schedulers begin.",
)
DECLARED: Final = ("restart", "cycl", "reduce_lr", "warmup_stable", "wsd")
"""Words in a declared scheduler's name that allow for rises, or for a flat part that ends in a drop."""


@rule(
    title="the learning rate rises again after its peak",
    severity="warning",
    needs=("lr",),
    thresholds={
        "min-records": MIN_RECORDS,
        "fallen": FALLEN,
        "rises": RISES,
        "min-cycles": MIN_CYCLES,
        "min-decay": MIN_DECAY,
    },
)
def lr_anomaly(run: Run) -> Iterator[Finding]:
    """One rise after a fall within one history; several are restarts on purpose."""
    series = run.series(metrics.LR)
    assert series is not None
    if len(series) < MIN_RECORDS.value:
        return
    kept = current_finite(series)
    rises = _rises(series, kept)
    if len(rises) == 1 and not is_interleaved(series) and not _is_declared(run):
        yield _finding(run, series, kept, rises[0])


def _is_declared(run: Run) -> bool:
    names = [str(run.environment.value(key)).lower() for key in ("arg:lr_scheduler_type", "config:scheduler.type")]
    return any(word in name for name in names for word in DECLARED)


def _rises(series: Series, kept: Sequence[int]) -> list[tuple[int, float]]:
    """(position in `kept`, lowest rate before it) of each rise after a fall within one segment."""
    found: list[tuple[int, float]] = []
    highest, lowest, segment = 0.0, math.inf, -1
    decay: set[float] = set()
    fallen, rises, least = FALLEN.value, RISES.value, MIN_DECAY.value
    if 0 < len(kept) == len(series) and rises >= 1 >= fallen and _is_hill(series.values):
        return found
    for position, index in enumerate(kept):
        value = series.values[index]
        if series.segments[index] != segment:  # a new start may bring a new schedule
            segment, highest, lowest = series.segments[index], value, math.inf
            decay.clear()
            continue
        if value < fallen * highest and value < lowest:
            lowest = value
            decay.add(value)
        if lowest < math.inf and value > rises * lowest and value > 0.02 * highest:
            if len(decay) >= least:
                found.append((position, lowest))
            highest, lowest = value, math.inf
            decay.clear()
        if value > highest:
            highest = value
    return found


def _is_hill(values: Sequence[float]) -> bool:
    """Whether a rate that is never negative rises to its peak and only falls from there: the plain schedule."""
    peak = values.index(max(values))
    rise, fall = list(values[:peak]), list(values[peak:])
    return values[0] >= 0 <= values[-1] and rise == sorted(rise) and fall == sorted(fall, reverse=True)


def _finding(run: Run, series: Series, kept: Sequence[int], rise: tuple[int, float]) -> Finding:
    position, lowest = rise
    index = kept[position]
    before = kept[position - 1]
    return Finding(
        rule="lr-anomaly",
        severity="warning",
        confidence="medium",
        summary=f"learning rate rises again after it had fallen: from {number(lowest)} to {number(series.values[index])} "
        f"at step {series.steps[index]}",
        evidence=(at(series, index, "higher again"), at(series, before, "record before it")),
        first_step=series.steps[index],
        facts={
            "lowest": lowest,
            "value": series.values[index],
            "last_good_step": series.steps[before],
            "step_source": run.step_source,
        },
    )
