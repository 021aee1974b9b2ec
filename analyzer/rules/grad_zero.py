"""The gradient norm is 0 for many records: nothing trains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.model import Evidence, Finding
from analyzer.onset import sound
from analyzer.regime import is_policy_training
from analyzer.rule import Threshold, rule, span, until
from analyzer.signals import Streak, aligned, fall, is_zero, streaks
from parsers import Run, Series, kinds, metrics

MIN_FINAL: Final = Threshold(3, "Records of exact 0 at the end that are a state, not one empty batch.")
MIN_PASSING: Final = Threshold(10, "Records of exact 0 in mid-run that deserve a look though training went on afterwards.")
FALLS: Final = Threshold(
    0.05,
    "A loss that falls by a twentieth is being trained, whatever the norm prints (DeepSpeed 0.9 in bf16 prints 0).",
)


@rule(
    title="the gradient norm is 0",
    severity="critical",
    needs=("grad_norm",),
    thresholds={
        "min-final": MIN_FINAL,
        "min-passing": MIN_PASSING,
        "falls": FALLS,
    },
)
def grad_zero(run: Run) -> Iterator[Finding]:
    """Exact zeros to the end, or for long; a warning that inputs need no gradient is told as info."""
    series = run.series(metrics.GRAD_NORM)
    assert series is not None
    dead = _dead(run, series) if 0.0 in series.values else None
    if dead is not None:
        yield _finding(run, series, dead)
    else:
        yield from _told(run)


def _dead(run: Run, series: Series) -> Streak | None:
    found = list(streaks(series.values, is_zero))
    last = found[-1]
    losses = aligned(series, run.series(metrics.LOSS))  # a loss of 0 that comes and goes has no gradient: `loss-zero`'s matter
    # rewards that are all equal give a gradient of 0, and they come in rows
    enough = MIN_PASSING.value if is_policy_training(run) else MIN_FINAL.value
    if last.stop == len(series) and last.length >= min(enough, len(series)):
        is_lost = last.length < MIN_PASSING.value and all(losses[i] == 0.0 for i in range(last.start, last.stop))
        is_lost = is_lost and any(loss == 0.0 for loss in losses[: last.start])
        return None if is_lost or (last.start == 0 and _learns(run)) else last
    for streak in found:
        is_masked = any(losses[i] == 0.0 for i in range(streak.start, streak.stop))
        if streak.start > 0 and streak.length >= MIN_PASSING.value and not is_masked:
            return streak
    return None


def _learns(run: Run) -> bool:
    """Whether the loss falls clearly: then the norm is an artefact of its print."""
    series = run.series(metrics.LOSS)
    values = [series.values[i] for i in sound(series)] if series else []
    if len(values) < 5:
        return False
    first, last, error = fall(values)
    return first - last > max(FALLS.value * abs(first), 3 * error)


def _finding(run: Run, series: Series, dead: Streak) -> Finding:
    is_final = dead.stop == len(series)
    return Finding(
        rule="grad-zero",
        severity="critical" if is_final and not is_policy_training(run) else "warning",
        confidence="high",
        summary=f"gradient norm is exactly 0 {until(series, dead.start, dead.stop)}: nothing was learned from these batches",
        evidence=span(series, dead.start, dead.stop, "zero"),
        first_step=series.steps[dead.start],
        last_step=series.steps[dead.stop - 1],
        facts={
            "records": dead.length,
            "recovered": not is_final,
            "last_good_step": series.steps[dead.start - 1] if dead.start else None,
            "step_source": run.step_source,
        },
    )


def _told(run: Run) -> Iterator[Finding]:
    events = run.events_of(kinds.NO_GRAD_INPUTS)
    if events:
        yield Finding(
            rule="grad-zero",
            severity="info",
            confidence="low",
            summary="checkpointed layers say that none of their inputs needs a gradient: what lies before them may get none, "
            "though the norm of the whole is not 0",
            evidence=(Evidence(events[0].ref, "normal for frozen towers"),),
            facts={"messages": len(events), "step_source": run.step_source},
        )
