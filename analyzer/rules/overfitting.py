"""The evaluation loss rises while the training loss falls."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding
from analyzer.onset import sound
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import current_finite, noise
from parsers import Run, Series, metrics

MIN_RISING: Final = Threshold(3, "Evaluations after the best one: one or two may be noise.")
RISE: Final = Threshold(
    0.10,
    "The last evaluations must be this much above the best: a tenth. Below, stopping early gains little.",
)
SIGMAS: Final = Threshold(3.0, "And outside of the noise of one evaluation.")
MANY: Final = Threshold(10, "Evaluations from which each is taken with its neighbours, as their median.")
HINT: Final = Threshold(0.03, "From here on it is worth an info.")


@rule(
    title="the evaluation loss rises while the training loss falls",
    severity="warning",
    needs=("eval_loss",),
    thresholds={
        "min-rising": MIN_RISING,
        "rise": RISE,
        "sigmas": SIGMAS,
        "hint": HINT,
        "many": MANY,
    },
)
def overfitting(run: Run) -> Iterator[Finding]:
    """The best evaluation against the last ones, and the training loss over the same steps."""
    series = run.series(metrics.EVAL_LOSS)
    assert series is not None
    kept = current_finite(series)
    if len(kept) <= MIN_RISING.value:
        return
    raw = values = [series.values[i] for i in kept]
    spread = noise(raw)
    if len(raw) >= MANY.value and spread > HINT.value / 2 * abs(min(raw)):
        # the lowest of many noisy values is lower than any level
        values = [median(raw[max(0, i - 1) : i + 2]) for i in range(len(raw))]
    best = min(range(len(values)), key=values.__getitem__)
    end = median(values[-min(3, len(values) - best - 1) :]) if best + 1 < len(values) else values[best]
    rise = (end - values[best]) / abs(values[best]) if values[best] else 0.0
    border = values[best] + abs(values[best]) * HINT.value / 2
    begins = next((i for i in range(best + 1, len(values)) if values[i] > border), len(values))
    rising = sum(value > border for value in values[begins:])
    if end - values[best] < SIGMAS.value * spread:
        return
    if rise < HINT.value or rising < MIN_RISING.value or rising < 0.8 * (len(values) - begins):
        return
    lowest = raw.index(min(raw))
    if begins - 1 > lowest and raw[begins - 1] > raw[lowest] + border - values[best]:  # medians lag by one
        best, begins = lowest, begins - 1
    training = _training(run, series.steps[kept[best]])
    if training is None or training[1] < training[0]:
        yield _finding(run, series, kept, (best, begins), end, rise, training)


def _training(run: Run, step: int) -> tuple[float, float] | None:
    """(training loss about that step, at the end); None where it was not logged there."""
    series = run.series(metrics.LOSS)
    if series is None:
        return None
    usable: Sequence[int] = sound(series)
    near = [series.values[i] for i in usable if series.steps[i] <= step][-5:] or [series.values[i] for i in usable][:5]
    last = [series.values[i] for i in usable][-5:]
    return (median(near), median(last)) if near and last else None


def _finding(
    run: Run, series: Series, kept: Sequence[int], ends: tuple[int, int], end: float, rise: float,
    training: tuple[float, float] | None,
) -> Finding:  # fmt: skip
    low, first = kept[ends[0]], kept[ends[1]]
    also = f" while the training loss goes from {number(training[0])} to {number(training[1])}" if training else ""
    return Finding(
        rule="overfitting",
        severity="warning" if rise >= RISE.value and training else "info",
        confidence="high" if training and rise >= 2 * RISE.value else "medium",
        summary=f"evaluation loss is best at step {series.steps[low]} ({number(series.values[low])}) "
        f"and rises to {number(end)}{also}",
        evidence=(
            at(series, low, "best evaluation"),
            at(series, first, "first one above it"),
            at(series, kept[-1], "last evaluation"),
        ),
        first_step=series.steps[first],
        last_step=series.steps[kept[-1]],
        facts={
            "best": series.values[low],
            "best_step": series.steps[low],
            "end": end,
            "rise": round(rise, 4),
            "evaluations": len(kept),
            "train_at_best": training[0] if training else None,
            "train_at_end": training[1] if training else None,
            "step_source": run.step_source,
        },
    )
