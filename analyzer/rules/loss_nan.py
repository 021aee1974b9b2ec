"""The training loss is NaN or infinite."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Confidence, Finding, Severity
from analyzer.regime import losses
from analyzer.rule import Threshold, last_good, rule, span, until, writer
from analyzer.signals import Streak, non_finite_streaks
from parsers import Run, Series

MIN_SOUND: Final = Threshold(
    3,
    "Finite records that must follow before a bad first record counts as a placeholder printed before anything ran.",
)


@rule(
    title="the training loss is NaN or infinite",
    severity="critical",
    needs=("loss",),
    is_of_engines=True,
    thresholds={
        "min-sound": MIN_SOUND,
    },
)
def loss_nan(run: Run) -> Iterator[Finding]:
    """NaN or infinite losses of the preferred writer, or of another one where that alone shows them."""
    for series in losses(run):
        bad = non_finite_streaks(series.values)
        if bad:
            yield _finding(run, series, bad)
            return


def _finding(run: Run, series: Series, bad: Sequence[Streak]) -> Finding:
    first, last = bad[0], bad[-1]
    is_final = last.stop == len(series)
    severity, confidence = _weight(series, bad, is_final)
    count = sum(streak.length for streak in bad)
    return Finding(
        rule="loss-nan",
        severity=severity,
        confidence=confidence,
        summary=f"loss{writer(run, series)} is {_words(series, bad, is_final)}",
        evidence=span(series, first.start, first.stop if len(bad) == 1 else last.stop, "nan or infinite loss"),
        first_step=series.steps[first.start],
        last_step=series.steps[last.stop - 1],
        facts={
            "records": count,
            "of": len(series),
            "recovered": not is_final,
            "value": _kind(series.values[first.start]),
            "permanent_from": series.steps[last.start] if is_final else None,
            **last_good(series, first.start),
            "step_source": run.step_source,
        },
    )


def _weight(series: Series, bad: Sequence[Streak], is_final: bool) -> tuple[Severity, Confidence]:
    if is_final:
        return "critical", "high"
    if bad[0].stop == 1 and len(bad) == 1 and len(series) > MIN_SOUND.value:
        return "info", "low"
    return "warning", "high"


def _words(series: Series, bad: Sequence[Streak], is_final: bool) -> str:
    kind = _kind(series.values[bad[0].start])
    if len(bad) == 1:
        return f"{kind} {until(series, bad[0].start, bad[0].stop)}"
    count = sum(streak.length for streak in bad)
    end = f", for good from step {series.steps[bad[-1].start]}" if is_final else f" to step {series.steps[bad[-1].stop - 1]}"
    return f"nan or infinite in {count} of {len(series)} records, from step {series.steps[bad[0].start]}{end}"


def _kind(value: float) -> str:
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
