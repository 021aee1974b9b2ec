"""The learning rate is 0 while training goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Finding, Severity
from analyzer.onset import sound
from analyzer.rule import Threshold, rule, span, until
from analyzer.signals import Streak, fall, is_interleaved, resolution
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(
    5,
    "Zeros in a row: the first step of a warm-up, the last one of a schedule and a few skipped steps are fewer.",
)
MIN_SHARE: Final = Threshold(
    0.05,
    "Share of the records that a zero tail must have: the end of a schedule may be rounded to a step.",
)
LAST_DIGITS: Final = Threshold(10, "Units of the last printed digit: a rate that small before the zeros was rounded to them.")
MIN_TRAINED: Final = Threshold(
    0.5,
    "Share of the records that a schedule must cover before it ends at 0: what was learned stays, the rest is idle time.",
)
_EXACT: Final = frozenset({"hf_trainer", "trainer_state", "tensorboard", "deepspeed", "megatron"})
"""Readers of formats that print a rate with all its digits: a 0 of theirs is one."""
LOW: Final = Threshold(0.1, "Of the peak: a rate below it is on its way to the end of its schedule.")
FALLS: Final = Threshold(
    0.03,
    "A loss that falls by this share has been trained, so the rate was not 0 but printed with too few digits.",
)


@rule(
    title="the learning rate is 0",
    severity="critical",
    needs=("lr",),
    thresholds={
        "min-records": MIN_RECORDS,
        "min-share": MIN_SHARE,
        "last-digits": LAST_DIGITS,
        "min-trained": MIN_TRAINED,
        "low": LOW,
        "falls": FALLS,
    },
)
def lr_zero(run: Run) -> Iterator[Finding]:
    """A rate that never leaves 0, or reaches it long before the run ends."""
    series = run.series(metrics.LR)
    assert series is not None
    if len(series) < MIN_RECORDS.value or 0.0 not in series.values[-1:]:
        return
    dead = _tail(series.values)
    if dead.length < max(MIN_RECORDS.value, MIN_SHARE.value * len(series)) or is_interleaved(series):
        return
    if (not _is_exact(run) and _is_rounded(series, dead)) or _learns(run, series.steps[dead.start]):
        return
    yield _finding(run, series, dead)


def _tail(values: Sequence[float]) -> Streak:
    """The zeros at the end."""
    start = len(values)
    while start and values[start - 1] == 0.0:
        start -= 1
    return Streak(start, len(values))


def _is_rounded(series: Series, dead: Streak) -> bool:
    before = series.values[dead.start - 1] if dead.start else math.inf
    is_low = before < LOW.value * max(series.values)
    return is_low and before <= LAST_DIGITS.value * resolution(series.values, 9)


def _decays(series: Series, index: int) -> bool:
    """Whether the rate comes down to the zero at `index` by degrees: the planned end of a schedule."""
    before = series.values[max(0, index - 3) : index]
    return len(before) == 3 and before[0] > before[1] > before[2] and before[2] < LOW.value * max(series.values[:index])


def _learns(run: Run, step: int) -> bool:
    """Whether the loss falls clearly from that record on; less is enough where the print may have rounded the rate to 0."""
    series = run.series(metrics.LOSS)
    values = [series.values[i] for i in sound(series) if series.steps[i] >= step] if series else []
    if len(values) < MIN_RECORDS.value:
        return False
    first, last, error = fall(values)
    return first - last > max(FALLS.value * abs(first), (3 if _is_exact(run) else 2) * error)


def _is_exact(run: Run) -> bool:
    """Whether some writer of rates that prints all their digits says nothing but 0, too, or is the only one."""
    return any(track.reader in _EXACT for track in run.all_series(metrics.LR))


def _falls_at_all(run: Run) -> bool:
    series = run.series(metrics.LOSS)
    values = [series.values[i] for i in sound(series)] if series else []
    if not values:
        return False
    first, last, _ = fall(values)
    return last < first


def _finding(run: Run, series: Series, dead: Streak) -> Finding:
    never = dead.start == 0
    is_schedule_end = not never and _decays(series, dead.start)
    severity: Severity = "critical"
    if never and not _is_exact(run):  # most likely a rate of 2e-5 that was printed with four decimals
        severity = "info" if _falls_at_all(run) else "warning"
    if is_schedule_end:
        severity = "info" if dead.start >= MIN_TRAINED.value * len(series) else "warning"
    what = "never leaves 0" if never else "is 0"
    return Finding(
        rule="lr-zero",
        severity=severity,
        confidence="high" if run.series(metrics.LOSS) else "medium",
        summary=f"learning rate {what} {until(series, dead.start, dead.stop)}"
        f"{': the schedule ends before the run does' if is_schedule_end else ': the weights do not move'}",
        evidence=span(series, dead.start, dead.stop, "zero"),
        first_step=series.steps[dead.start],
        last_step=series.steps[dead.stop - 1],
        facts={
            "records": dead.length,
            "never_left": never,
            "schedule_ended": is_schedule_end,
            "peak": max(series.values),
            "planned_steps": run.planned_steps,
            "last_good_step": None if never else series.steps[dead.start - 1],
            "step_source": run.step_source,
        },
    )
