"""The gradient norm is NaN or infinite: the weights are lost, or the scaler skipped the step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from analyzer.model import Confidence, Finding, Severity
from analyzer.regime import grad_norms, precision
from analyzer.rule import Threshold, last_good, rule, span, until, writer
from analyzer.signals import Streak, aligned, non_finite_streaks
from parsers import Run, Series, metrics

SEARCH_FP16: Final = 20
"""Records within which a dynamic loss scale finds its level: from 2**16 at most 17 halvings."""
SEARCH_UNKNOWN: Final = Threshold(
    3,
    "The same where the precision is not known: only what begins with the run may be the search.",
)
MAX_SKIP: Final = Threshold(2, "A scaler that is settled skips one step, two with hysteresis; more is no probing of the range.")
MAX_SKIP_SHARE: Final = Threshold(
    0.02,
    "Share of records that scaler skips may take: it raises the scale once in 1,000 or 2,000 steps.",
)
PROBING_SHARE: Final = 0.5
"""Rises of the scale for each of its falls: one that only falls is not probing its range."""
LOST_SHARE: Final = Threshold(0.5, "More bad records than this are no recovery, whatever the last one says.")


@rule(
    title="the gradient norm is NaN or infinite",
    severity="critical",
    needs=("grad_norm",),
    is_of_engines=True,
    thresholds={
        "search-unknown": SEARCH_UNKNOWN,
        "max-skip": MAX_SKIP,
        "max-skip-share": MAX_SKIP_SHARE,
        "lost-share": LOST_SHARE,
    },
)
def grad_nan(run: Run) -> Iterator[Finding]:
    """Non-finite norms, but for the search for the first loss scale; critical when they last."""
    for series in grad_norms(run):
        bad = non_finite_streaks(series.values)
        if not bad:
            continue
        losses = aligned(series, run.series(metrics.LOSS) if not series.engine else None)
        kept = [streak for streak in bad if not _is_search(run, series, streak, losses)]
        if kept:
            yield _finding(run, series, kept, losses)
            return


def _is_sound(value: float | None) -> bool:
    """A loss that was computed; where it was not logged, nothing speaks against it."""
    return value is None or (math.isfinite(value) and value != 0.0)


def _is_search(run: Run, series: Series, streak: Streak, losses: Sequence[float | None]) -> bool:
    """Skipped steps while a dynamic scale is found: at the start, with sound losses, and over before the end."""
    if streak.stop == len(series) or not all(_is_sound(losses[i]) for i in range(streak.start, streak.stop)):
        return False
    known = precision(run)
    if known == "fp16":
        return streak.stop <= SEARCH_FP16
    return known is None and streak.start < SEARCH_UNKNOWN.value


def _finding(run: Run, series: Series, bad: Sequence[Streak], losses: Sequence[float | None]) -> Finding:
    first, last = bad[0], bad[-1]
    count = sum(streak.length for streak in bad)
    is_final = last.stop == len(series)
    severity, confidence = _weight(run, series, bad, losses)
    value = series.values[first.start]
    return Finding(
        rule="grad-nan",
        severity=severity,
        confidence=confidence,
        summary=f"gradient norm{writer(run, series)} is {_words(series, bad)}",
        evidence=span(series, first.start, first.stop if len(bad) == 1 else last.stop, "nan or infinite norm"),
        first_step=series.steps[first.start],
        last_step=series.steps[last.stop - 1],
        facts={
            "records": count,
            "of": len(series),
            "recovered": not is_final,
            "value": "nan" if math.isnan(value) else "inf",
            "permanent_from": series.steps[last.start] if is_final else None,
            **last_good(series, first.start),
            "step_source": run.step_source,
        },
    )


def _weight(run: Run, series: Series, bad: Sequence[Streak], losses: Sequence[float | None]) -> tuple[Severity, Confidence]:
    count = sum(streak.length for streak in bad)
    last = bad[-1]
    sound = all(_is_sound(losses[i]) for streak in bad for i in range(streak.start, streak.stop))
    if last.stop == len(series) and (last.length >= 2 or len(series) == 1 or not sound):
        return "critical", "high"
    if count > LOST_SHARE.value * len(series):
        return "critical", "medium"
    is_short = max(streak.length for streak in bad) <= MAX_SKIP.value
    is_rare = count <= max(1, MAX_SKIP_SHARE.value * len(series))
    if sound and is_short and is_rare and (precision(run) == "fp16" or _lr_stood_still(run, series, bad)):
        return "info", "medium"
    return ("info", "medium") if sound and is_short and _scale_probes(run, series, bad) else ("warning", "high")


def _scale_probes(run: Run, series: Series, bad: Sequence[Streak]) -> bool:
    """Whether the printed loss scale falls at each of these records and rises again in between, as after a short interval."""
    scales = aligned(series, run.series(metrics.LOSS_SCALE))
    steps = [(b > a) - (b < a) if a is not None and b is not None else 0 for a, b in pairwise(scales)]
    falls = {i for i, step in enumerate(steps) if step < 0}
    is_told = all(i in falls or i - 1 in falls for streak in bad for i in range(streak.start, streak.stop))
    return is_told and sum(step > 0 for step in steps) >= PROBING_SHARE * len(falls)


def _lr_stood_still(run: Run, series: Series, bad: Sequence[Streak]) -> bool:
    """Whether the learning rate, which moves otherwise, did not move at any of these records: the steps were skipped."""
    rates = aligned(series, run.series(metrics.LR))
    still = [i for i in range(1, len(rates)) if rates[i] is not None and rates[i] == rates[i - 1]]
    if len(still) > 0.5 * len(rates):
        return False
    marks = set(still)
    return all(i in marks or i + 1 in marks for streak in bad for i in range(streak.start, streak.stop))


def _words(series: Series, bad: Sequence[Streak]) -> str:
    if len(bad) == 1:
        value = series.values[bad[0].start]
        return f"{'nan' if math.isnan(value) else 'inf'} {until(series, bad[0].start, bad[0].stop)}"
    count = sum(streak.length for streak in bad)
    steps = f"from step {series.steps[bad[0].start]} to step {series.steps[bad[-1].stop - 1]}"
    end = f", for good from step {series.steps[bad[-1].start]}" if bad[-1].stop == len(series) else ""
    return f"nan or infinite in {count} of {len(series)} records, {steps}{end}"
