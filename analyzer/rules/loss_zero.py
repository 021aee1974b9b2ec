"""The training loss is exactly 0: mostly a NaN that the Trainer replaced, or samples whose labels are all masked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding
from analyzer.onset import is_rounded_zero
from analyzer.regime import is_policy_training
from analyzer.rule import Threshold, last_good, rule, span, until
from analyzer.signals import Streak, aligned, is_zero, rolling_median, streaks
from parsers import Run, Series, metrics

MIN_RECORDS: Final = Threshold(2, "One exact zero can be one fully masked batch; two in a row are a state.")
MIN_ISOLATED: Final = Threshold(3, "Isolated zeros: three of them. Below that a handful of empty samples explains them.")
MIN_SHARE: Final = Threshold(0.02, "Share of the records that isolated zeros must be: one in fifty.")

SIGNED: Final = Threshold(0.2, "Share of negative values from which a loss is one that swings about 0.")
SMALL: Final = Threshold(0.2, "And its median size is below this: a likelihood that is negative lies farther from 0.")
CLOSE: Final = Threshold(0.25, "Of the level: values below it come close to 0; a loss of tokens hardly ever does.")

Values = Sequence[float | None]


@rule(
    title="the training loss is exactly 0",
    severity="critical",
    needs=("loss",),
    thresholds={
        "min-records": MIN_RECORDS,
        "min-isolated": MIN_ISOLATED,
        "min-share": MIN_SHARE,
        "signed": SIGNED,
        "small": SMALL,
        "close": CLOSE,
    },
)
def loss_zero(run: Run) -> Iterator[Finding]:
    """Zeros that last at least two records, or come again and again; critical when they last to the end."""
    series = run.series(metrics.LOSS)
    assert series is not None
    if 0.0 not in series.values:
        return
    norms = aligned(series, run.series(metrics.GRAD_NORM))
    found = list(streaks(series.values, is_zero))
    if (is_policy_training(run) or _is_signed(series.values)) and not any(
        _is_bad(norms[i]) for streak in found for i in range(streak.start, streak.stop)
    ):
        return
    dead, is_final = _dead(found, series, norms)
    if dead is not None:
        yield _lasting(run, series, dead, is_final, norms)
    elif sum(s.length for s in found) >= max(MIN_ISOLATED.value, MIN_SHARE.value * len(series)):
        yield _recurring(run, series, found, norms)


def _is_signed(values: Sequence[float]) -> bool:
    """Whether the loss swings about 0, as a policy's does: a part of it is negative, -0.0 counts, and all of it is small."""
    known = [value for value in values if math.isfinite(value)]
    negative = sum(math.copysign(1.0, value) < 0 for value in known)
    return negative >= SIGNED.value * len(known) and median(map(abs, known)) < SMALL.value


def _dead(found: Sequence[Streak], series: Series, norms: Values) -> tuple[Streak | None, bool]:
    """The stretch to report, and whether it is the end of the run; None where zeros are isolated."""
    last = found[-1]
    is_final = last.stop == len(series) and (last.length >= MIN_RECORDS.value or _is_bad(norms[last.start]))
    if is_final and not _is_intermittent(found):
        return last, True
    long = [streak for streak in found if streak.length >= MIN_RECORDS.value]
    return (long[0], False) if long and not _is_intermittent(found) else (None, False)


def _is_intermittent(found: Sequence[Streak]) -> bool:
    """Zeros that come and go: short stretches, one after the other, and the last one no longer than the others."""
    return len(found) >= 3 and found[-1].length <= 3 * max(streak.length for streak in found[:-1])


def _lasting(run: Run, series: Series, dead: Streak, is_final: bool, norms: Values) -> Finding:
    rounded = is_rounded_zero(series.values, dead.start) and not _is_bad(norms[dead.start])
    kind, words = _norm_words(norms[dead.start : dead.stop], norms[dead.start - 1] if dead.start else None)
    reason = "a small loss that is printed as 0" if rounded else words
    return Finding(
        rule="loss-zero",
        severity="info" if rounded else "critical" if is_final else "warning",
        confidence="high",
        summary=f"loss is exactly 0 {until(series, dead.start, dead.stop)}{'; ' if reason else ''}{reason}",
        evidence=span(series, dead.start, dead.stop, "zero"),
        first_step=series.steps[dead.start],
        last_step=series.steps[dead.stop - 1],
        facts={
            "records": dead.length,
            "recovered": not is_final,
            "rounded": rounded,
            "grad_norm": kind,
            **last_good(series, dead.start),
            "step_source": run.step_source,
        },
    )


def _recurring(run: Run, series: Series, found: Sequence[Streak], norms: Values) -> Finding:
    zeros = [i for streak in found for i in range(streak.start, streak.stop)]
    first, last = zeros[0], zeros[-1]
    reached = _is_margin(series.values[first : last + 1])
    rounded = reached or all(is_rounded_zero(series.values, streak.start) for streak in found)
    kind, words = _norm_words([norms[i] for i in zeros], None)
    reason = "a loss that has reached its margin" if reached else "a small loss that is printed as 0" if rounded else words
    return Finding(
        rule="loss-zero",
        severity="info" if rounded else "warning",
        confidence="high" if rounded or kind in ("zero", "nan") else "medium",
        summary=f"loss is exactly 0 in {len(zeros)} of {len(series)} records, on and off from step {series.steps[first]} "
        f"to step {series.steps[last]}{'; ' if reason else ''}{reason}",
        evidence=span(series, first, last + 1, "zero")[:2],
        first_step=series.steps[first],
        last_step=series.steps[last],
        facts={
            "records": len(zeros),
            "share": round(len(zeros) / len(series), 4),
            "recovered": True,
            "rounded": rounded,
            "grad_norm": kind,
            "step_source": run.step_source,
        },
    )


def _is_margin(values: Sequence[float]) -> bool:
    """Whether the zeros are the end of a continuum, as those of a hinge loss are: nearly as many values come close to 0.

    A masked sample's zero stands apart from a loss that never comes near it.
    """
    known = [value for value in values if value > 0.0 and math.isfinite(value)]
    levels = rolling_median(known, 25)
    close = sum(value < CLOSE.value * level for value, level in zip(known, levels, strict=True))
    return close >= 0.5 * sum(value == 0.0 for value in values)


def _norm_words(norms: Values, before: float | None) -> tuple[str, str]:
    """What the gradient norm does at the zeros: a word for the facts, and a clause for the summary."""
    known = [value for value in norms if value is not None]
    if not known:
        return "not-logged", ""
    if sum(map(_is_bad, known)) > len(known) / 2:
        return "nan", "the gradient norm is nan or infinite there: a NaN that was printed as 0"
    if sum(value == 0.0 for value in known) > len(known) / 2:
        return "zero", "the gradient norm is 0 there too: nothing was learned from these batches"
    if len(known) > 1 and len(set(known)) == 1:
        kind = "stale" if known[0] == before else "constant"
        return kind, f"the gradient norm repeats {known[0]:.6g} there"
    return "varying", ""


def _is_bad(value: float | None) -> bool:
    return value is not None and not math.isfinite(value)
