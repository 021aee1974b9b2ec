"""Over the whole run the loss does not fall."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

from analyzer.median import median
from analyzer.model import Finding, Severity
from analyzer.onset import judged, noise_of
from analyzer.regime import is_policy_training
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import end_levels, fall
from parsers import Run, metrics

MIN_RECORDS: Final = Threshold(30, "Fewer records give no level at both ends.")
MIN_PLANNED: Final = Threshold(0.3, "Share of the planned steps that must be done: a long warm-up is flat by design.")
FLAT: Final = Threshold(0.015, "A fall of less than this share of the level, its own uncertainty included, is none.")
HIGH: Final = Threshold(
    4.0,
    "A cross entropy above this is that of a model that knows next to nothing: e**4 is 55 equally likely tokens.",
)
EARLY: Final = Threshold(3, "Records at the start whose median is where it began.")
EARLY_FALL: Final = Threshold(0.1, "Of the level: a loss that fell this much at once and then stays has levelled off.")
MARGIN_ERRORS: Final = Threshold(4, "Standard errors by which the margin of a preference must rise: chance does not do that.")
CHANCE: Final = Threshold(
    0.01,
    "Relative distance within which a loss is at a level of chance: ln 2 of a preference, ln of the vocabulary.",
)


@rule(
    title="the loss does not fall",
    severity="warning",
    needs=("loss",),
    thresholds={
        "min-records": MIN_RECORDS,
        "min-planned": MIN_PLANNED,
        "flat": FLAT,
        "high": HIGH,
        "chance": CHANCE,
        "margin-errors": MARGIN_ERRORS,
        "early": EARLY,
        "early-fall": EARLY_FALL,
    },
)
def no_progress(run: Run) -> Iterator[Finding]:
    """A flat loss: a warning at a level of chance or where the steps change nothing, info where it is low."""
    series = run.series(metrics.LOSS)
    assert series is not None
    kept, values = judged(run, series)
    if len(kept) < MIN_RECORDS.value or is_policy_training(run) or not _is_far_enough(run):
        return
    first, last = end_levels(values)
    if first - last > FLAT.value * first:
        return
    first, last, error = fall(values, noise_of(run, series))
    if first <= 0 or first - last + 2 * error > FLAT.value * first or last - first > 0.1 * first:
        return
    if median(values[: EARLY.value]) - last > max(EARLY_FALL.value * last, 3 * noise_of(run, series)):
        return
    severity, reason = _judged(run, last)
    yield Finding(
        rule="no-progress",
        severity=severity,
        confidence="high" if severity == "warning" else "medium",
        summary=f"loss does not fall: about {number(first)} at the start, {number(last)} at the end of "
        f"{len(kept)} records{reason}",
        evidence=(at(series, kept[0], "start"), at(series, kept[-1], "end")),
        first_step=series.steps[kept[0]],
        last_step=series.steps[kept[-1]],
        facts={
            "first": first,
            "last": last,
            "records": len(kept),
            "fall": round((first - last) / first, 5),
            "step_source": run.step_source,
        },
    )


def _is_far_enough(run: Run) -> bool:
    first, last, planned = run.first_step, run.last_step, run.planned_steps
    return not planned or first is None or last is None or last - first >= MIN_PLANNED.value * planned


def _judged(run: Run, level: float) -> tuple[Severity, str]:
    """How bad a flat loss at this level is, and the words for it."""
    vocabulary = run.environment.number("model:vocab_size")
    if vocabulary and vocabulary > 1 and abs(level / math.log(vocabulary) - 1) < 5 * CHANCE.value:
        return "warning", f", which is ln({vocabulary:.0f}), the loss of guessing"
    if abs(level / math.log(2) - 1) < CHANCE.value:
        if _preference_grows(run):
            return "info", ", which is near ln 2; but the chosen answers are preferred more and more"
        return "warning", ", which is ln 2, the loss of guessing between two"
    if level >= HIGH.value:
        return "warning", ""
    for metric, words in ((metrics.LR, ", and the learning rate is 0"), (metrics.GRAD_NORM, ", and the gradient norm is 0")):
        track = run.series(metric)
        if track is not None and len(track) > 1 and not any(track.values[1:]):
            return "warning", words
    return "info", "; it may have been trained already"


def _preference_grows(run: Run) -> bool:
    """Whether the margin between chosen and rejected answers rises beyond its noise: at a small rate the loss shows it late."""
    series = run.series("rewards/margins")
    if series is None or len(series) < MIN_RECORDS.value:
        return False
    first, last, error = fall([value for value in series.values if math.isfinite(value)] or [0.0])
    return last - first > MARGIN_ERRORS.value * error and last > 0
