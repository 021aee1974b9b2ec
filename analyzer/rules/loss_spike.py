"""The loss jumps out of its band and comes back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding
from analyzer.onset import judged, noise_of
from analyzer.regime import is_policy_training
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import Excursion, aligned, excursions, noise, thinned
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(24, "Three blocks: with fewer there is no band to leave.")
WARM_UP: Final = Threshold(8, "Records at the start that are not judged: a fresh model's loss may jump before it falls.")
AFTER_RESUME: Final = Threshold(10, "Records after a restart that are not judged: optimizer state and data order begin anew.")
SIGMAS: Final = Threshold(8.0, "Above the level by this many standard deviations of the point-to-point noise.")
RELATIVE_SIGMAS: Final = Threshold(
    6.0,
    "And by this many of the noise of its logarithm: a loss of batch size 1 varies in proportion to itself.",
)
RISE: Final = Threshold(0.25, "And by a quarter of the level itself: narrow bands make far outliers of nothing.")
CLEAR: Final = Threshold(
    3.0,
    "Peaks must stand out from the next lower one by this factor: a noisy loss has a continuum of peaks, not a spike.",
)
MAX_SPIKES: Final = Threshold(5, "More excursions than this are the run's nature.")
MAX_WIDTH: Final = Threshold(0.15, "Share of the run beyond which an excursion is a phase, not a spike.")
FIRST: Final = Threshold(3, "Records whose median is the first level.")
HIGH: Final = Threshold(1.5, "Times the first level: above it the loss has diverged, and jumps are the least of its troubles.")
LOW: Final = Threshold(0.1, "Of the first level: below it a spike is one sample that is not yet known by heart.")
LEARNED: Final = Threshold(0.1, "Of the first level: single records that stand out of a loss this low are samples, not the run.")
SAMPLES: Final = Threshold(8, "Records in a row that may be such samples.")
WARM_UP_RATE: Final = Threshold(3, "Times the records in which the rate rises at first: a hump there is the warm-up's.")
LEFT: Final = Threshold(0.5, "Of the excess that may be left after it: more has not come back, and is `divergence`'s matter.")


@rule(
    title="the loss spikes and comes back",
    severity="warning",
    needs=("loss",),
    thresholds={
        "min-records": MIN_RECORDS,
        "warm-up": WARM_UP,
        "after-resume": AFTER_RESUME,
        "sigmas": SIGMAS,
        "relative-sigmas": RELATIVE_SIGMAS,
        "rise": RISE,
        "clear": CLEAR,
        "max-spikes": MAX_SPIKES,
        "max-width": MAX_WIDTH,
        "first": FIRST,
        "high": HIGH,
        "low": LOW,
        "left": LEFT,
        "learned": LEARNED,
        "samples": SAMPLES,
        "warm-up-rate": WARM_UP_RATE,
    },
)
def loss_spike(run: Run) -> Iterator[Finding]:
    """The clear, passing excursions of the training loss, as one finding."""
    series = run.series(metrics.LOSS)
    assert series is not None
    kept, values = judged(run, series)
    if len(kept) < MIN_RECORDS.value or is_policy_training(run):
        return
    skip, rise = max(WARM_UP.value, _warm_up(run, series, kept)), RISE.value
    if not excursions(values, lambda level: rise * abs(level) / 2, skip):
        return  # nor does anything leave the band, which is as wide at least
    band = _band(values, noise_of(run, series))
    start = median(values[: FIRST.value])
    found = [
        e
        for e in excursions(values, lambda level: band(level) / 2, skip)
        if e.level <= HIGH.value * start and not (e.stop - e.start <= SAMPLES.value and 0 < e.level < LEARNED.value * start)
    ]
    spikes = [
        e
        for e in _clear(found, band)
        if values[e.peak] >= LOW.value * start and _comes_back(values, e) and not _is_resumed(series, kept, e)
    ]
    if spikes:
        yield _finding(run, series, kept, spikes)


def _warm_up(run: Run, series: Series, kept: Sequence[int]) -> int:
    """Records at the start during which the rate rises, and as long again twice: at most a tenth of the run."""
    rates = aligned(series, run.series(metrics.LR))
    known = [rates[i] or 0.0 for i in kept[: len(kept) // 10]]
    return min(WARM_UP_RATE.value * (known.index(max(known)) + 1), len(known)) if known else 0


def _band(values: Sequence[float], sigma: float) -> Callable[[float], float]:
    """How far above a level the loss may be: by its noise, plain and in proportion, and by a share of the level."""
    relative = noise([math.log(v) for v in thinned(values) if v > 0])
    factor = max(RISE.value, math.exp(min(RELATIVE_SIGMAS.value * relative, 10.0)) - 1)
    least = SIGMAS.value * sigma
    return lambda level: max(least, factor * abs(level))


def _clear(found: Sequence[Excursion], band: Callable[[float], float]) -> list[Excursion]:
    """Those excursions that stand apart from all others and from the band, in order of time; none where nothing does."""
    ranked = sorted(found, key=lambda e: -e.excess)
    for count in range(min(MAX_SPIKES.value, len(ranked)), 0, -1):
        following = ranked[count].excess if count < len(ranked) else band(ranked[-1].level) / 2
        if ranked[count - 1].excess >= CLEAR.value * following:
            return sorted(ranked[:count])
    return []


def _comes_back(values: Sequence[float], spike: Excursion) -> bool:
    after = values[spike.stop : spike.stop + 5]
    if len(after) < 3 or spike.stop - spike.start > max(3, MAX_WIDTH.value * len(values)):
        return False
    return median(after) - spike.level <= LEFT.value * spike.excess


def _is_resumed(series: Series, kept: Sequence[int], spike: Excursion) -> bool:
    """Whether a restart lies just before it."""
    return series.segments[kept[max(0, spike.start - AFTER_RESUME.value)]] != series.segments[kept[spike.start]]


def _finding(run: Run, series: Series, kept: Sequence[int], spikes: Sequence[Excursion]) -> Finding:
    first, worst = spikes[0], max(spikes, key=lambda e: e.excess)
    start, peak, end = kept[first.start], kept[worst.peak], kept[first.stop - 1]
    more = f"; {len(spikes)} such spikes" if len(spikes) > 1 else ""
    return Finding(
        rule="loss-spike",
        severity="warning",
        confidence="high" if worst.excess >= 2 * RISE.value * abs(worst.level) else "medium",
        summary=f"loss jumps from about {number(worst.level)} to {number(series.values[peak])} at step {series.steps[peak]} "
        f"and is back after {worst.stop - worst.start} record{'s' if worst.stop - worst.start > 1 else ''}{more}",
        evidence=(
            at(series, start, "first record of the spike"),
            *((at(series, peak, "highest"),) if peak != start else ()),
            *((at(series, end + 1, "back again"),) if end + 1 < len(series) else ()),
            at(series, start - 1, "last record before it"),
        ),
        first_step=series.steps[start],
        last_step=series.steps[kept[spikes[-1].stop - 1]],
        facts={
            "level": worst.level,
            "peak": series.values[peak],
            "records": first.stop - first.start,
            "spikes": len(spikes),
            "recovered": True,
            "last_good_step": series.steps[start - 1],
            "step_source": run.step_source,
        },
    )
