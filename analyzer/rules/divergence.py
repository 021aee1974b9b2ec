"""The loss rises and does not come back: it ends far above its own best."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from analyzer.median import median
from analyzer.model import Evidence, Finding
from analyzer.onset import judged
from analyzer.regime import is_policy_training
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import block_medians, current, is_bad, noise
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(20, "Four blocks of five: with fewer, a best level and an end cannot be told apart.")
FIRST: Final = Threshold(
    2,
    "Records at the start of which the higher one is the first level: a rate that is far too high leaves no more of them.",
)
MIN_LOST: Final = Threshold(4, "Records at the end of a short run that must be lost beyond doubt.")
FAR: Final = Threshold(2.0, "Times all that was before: twice, where no level can be told.")
MIN_NOISE: Final = Threshold(8, "Points that an estimate of the noise needs.")
RATIO: Final = Threshold(
    1.3,
    "The end must be this much above the best level: the loss of changing data moves by a tenth or two.",
)
LOST: Final = Threshold(0.5, "And half of all that had been gained since the start must be lost again.")
LEFT: Final = Threshold(3.0, "Times the noise above the best level: the last record below it is the last sound one.")
SIGMAS: Final = Threshold(5.0, "And it must be this far outside of the noise of one record.")
STEADY: Final = Threshold(
    0.25,
    "Share of the rise within one block up to which it is steady, as harder data make it: real divergences had jumps of more.",
)


@rule(
    title="the loss diverges",
    severity="critical",
    needs=("loss",),
    thresholds={
        "min-records": MIN_RECORDS,
        "first": FIRST,
        "min-lost": MIN_LOST,
        "far": FAR,
        "min-noise": MIN_NOISE,
        "ratio": RATIO,
        "lost": LOST,
        "left": LEFT,
        "sigmas": SIGMAS,
        "steady": STEADY,
    },
)
def divergence(run: Run) -> Iterator[Finding]:
    """The level at the end against the best level of the run."""
    series = run.series(metrics.LOSS)
    assert series is not None
    kept, values = judged(run, series)
    if is_policy_training(run):
        return
    if len(kept) < MIN_RECORDS.value:
        lost = _lost_soon(values)
        if lost is not None:
            yield _finding(run, series, kept, lost, min(values[:lost]), median(values[lost:]))
        return
    width = max(5, len(values) // 40)
    end = median(values[-width:])
    if end < RATIO.value * min(values):
        return  # no level is lower than the lowest value
    levels = block_medians(values, width)
    start = max(values[: FIRST.value])
    levels[0] = min(levels[0], start)  # a run may be lost within its first block
    best = min(range(len(levels)), key=levels.__getitem__)
    rise = end - levels[best]
    if levels[best] <= 0 or end < RATIO.value * levels[best] or rise < SIGMAS.value * _noise(values, best * width, width):
        return
    if rise < LOST.value * (start - levels[best]) or min(levels[-2:]) < levels[best] + rise / 2:
        return
    found = _finding(run, series, kept, _onset(values, levels, best, width, end), levels[best], end)
    calm = _calm_norm(run, series.steps[kept[best * width]])
    is_steady = max(b - a for a, b in pairwise(levels[best:])) <= STEADY.value * rise
    yield _harder_data(found, *calm) if calm and is_steady and end < start else found


def _calm_norm(run: Run, step: int) -> tuple[Evidence, float] | None:
    """(its last record, the highest norm up to `step`), where the gradient norm stays below that from there on.

    None where no norm tells: too few records, or one that clipping holds at its limit.
    """
    norm = run.series(metrics.GRAD_NORM)
    if norm is None:
        return None
    pairs = [(norm.steps[i], norm.values[i]) for i in current(norm)]
    before, after = [v for s, v in pairs if s <= step], [v for s, v in pairs if s > step]
    if min(len(before), len(after)) < MIN_NOISE.value or any(is_bad(value) for _, value in pairs):
        return None
    if max(after) >= max(before):  # equal: held at the limit of clipping
        return None
    return at(norm, current(norm)[-1], "the gradient norm is where it was"), max(before)


def _harder_data(found: Finding, norm: Evidence, highest: float) -> Finding:
    """The same rise as a note: a steady one under gradients as small as before is what harder data look like."""
    return replace(
        found,
        severity="info",
        confidence="low",
        summary=f"{found.summary}; it rises steadily and the gradient norm never exceeds the {number(highest)} it had before, "
        "as with data that become harder",
        evidence=(*found.evidence, norm),
        facts={**found.facts, "steady": True},
    )


def _lost_soon(values: Sequence[float]) -> int | None:
    """Where a run of few records is lost beyond doubt: from there to its end all are far above everything before."""
    for start in range(1, len(values) - MIN_LOST.value + 1):
        before = values[:start]
        far = FAR.value if start >= FIRST.value else FAR.value**2  # a single first record may be an easy batch
        if min(before) > 0 and min(values[start:]) > far * max(before):
            return start
    return None


def _noise(values: Sequence[float], best: int, width: int) -> float:
    """The smaller one of the noise about the best level and at the end: a loss that diverges is noisy where it does."""
    around = values[max(0, best - 2 * width) : best + width]
    return min(noise(part) for part in (around, values[-3 * width :]) if len(part) >= MIN_NOISE.value)


def _start(values: Sequence[float], levels: Sequence[float], best: int, width: int, end: float) -> int:
    """The record from which the loss stays above a quarter of the way from its best to its end."""
    border = levels[best] + (end - levels[best]) / 4
    below = [b for b in range(best, len(levels)) if levels[b] <= border]
    for index in range(below[-1] * width, len(values)):
        window = values[index : index + 3]
        if min(window) > border:
            return index
    return len(values) - 1


def _onset(values: Sequence[float], levels: Sequence[float], best: int, width: int, end: float) -> int:
    """Back from where the loss is clearly up to where it left the noise about its best level: a slow rise begins there."""
    start = _start(values, levels, best, width, end)
    around = values[max(0, best * width - 2 * width) : best * width + width]
    if len(around) < MIN_NOISE.value:
        return start
    border = levels[best] + LEFT.value * noise(around)
    while start > best * width and values[start - 1] > border:
        start -= 1
    return start


def _finding(run: Run, series: Series, kept: Sequence[int], start: int, best: float, end: float) -> Finding:
    first, last = kept[start], kept[-1]
    return Finding(
        rule="divergence",
        severity="critical",
        confidence="high" if end > 2 * best or end > series.values[kept[0]] else "medium",
        summary=f"loss leaves its best level of about {number(best)} at step {series.steps[first]} and does not come back: "
        f"it ends at about {number(end)}",
        evidence=(
            at(series, first, "from here on it stays above"),
            at(series, last, "end"),
            *((at(series, kept[start - 1], "last record before it"),) if start else ()),
        ),
        first_step=series.steps[first],
        last_step=series.steps[last],
        facts={
            "best": best,
            "end": end,
            "ratio": round(end / best, 3),
            "records": len(kept) - start,
            "recovered": False,
            "last_good_step": series.steps[kept[start - 1]] if start else None,
            "step_source": run.step_source,
        },
    )
