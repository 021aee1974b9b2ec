"""The step count goes back: a restart, or a resume from an older checkpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.median import median
from analyzer.model import Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.signals import finite, is_interleaved, noise
from parsers import Run, Series, kinds, metrics

NEAR: Final = Threshold(5, "Records on each side of the resume that are compared.")
JUMP: Final = Threshold(0.25, "Of the level: more than the optimizer's warm start explains.")
SIGMAS: Final = Threshold(6.0, "And it must be this far outside of the noise of one record.")
MAX_REWINDS: Final = Threshold(20, "More are a counter that starts anew in every epoch.")


@rule(
    title="the step count goes back",
    severity="info",
    needs=("loss|lr|grad_norm|step_time",),
    thresholds={
        "near": NEAR,
        "jump": JUMP,
        "sigmas": SIGMAS,
        "max-rewinds": MAX_REWINDS,
    },
)
def step_rewind(run: Run) -> Iterator[Finding]:
    """Every place where it goes back, as one finding; a warning where the loss jumps up at a resume."""
    series = next((s for m in (metrics.LOSS, metrics.LR, metrics.GRAD_NORM, metrics.STEP_TIME) if (s := run.series(m))), None)
    if series is None or not len(series) or series.segments[-1] == 0 or is_interleaved(series):
        return
    rewinds = [
        i
        for i in range(1, len(series))
        if series.segments[i] != series.segments[i - 1] and series.steps[i] <= series.steps[i - 1]
    ]
    if not rewinds or _is_epoch_counter(run, series, rewinds):
        return
    jumps = [(i, jump) for i in rewinds if (jump := _jump(series, i)) is not None]
    yield _finding(run, series, rewinds, jumps)


def _is_epoch_counter(run: Run, series: Series, rewinds: Sequence[int]) -> bool:
    """Whether it begins anew at regular distances, without a sign that the program did."""
    if len(rewinds) > MAX_REWINDS.value:
        return True
    starts = len(run.events_of(kinds.RUN_START, kinds.RESUME))
    gaps = {b - a for a, b in zip([0, *rewinds], rewinds, strict=False)}
    return (
        starts <= 1
        and len(rewinds) > 1
        and max(gaps) - min(gaps) <= 1
        and series.metric == metrics.LOSS
        and not any(_restarts(series, i) for i in rewinds)
    )


def _restarts(series: Series, index: int) -> bool:
    """Whether the loss is back at the level of the beginning there."""
    first, after, before = (finite(series.values[a : a + 3]) for a in (0, index, max(0, index - 3)))
    return bool(first and after and before) and abs(median(after) - median(first)) < abs(median(after) - median(before))


def _jump(series: Series, index: int) -> tuple[float, float] | None:
    """(before, after) where the loss at a resume is clearly above what the same steps had before."""
    if series.metric != metrics.LOSS or series.steps[index] <= series.steps[0] + 1:
        return None
    step = series.steps[index]
    earlier = [i for i in range(index) if series.segments[i] == series.segments[index - 1]]
    before = finite([series.values[i] for i in earlier if series.steps[i] >= step][: NEAR.value]) or finite(
        series.values[max(0, index - NEAR.value) : index]
    )
    after = finite(series.values[index : index + NEAR.value])
    if len(before) < 2 or len(after) < 2:
        return None
    low, high = median(before), median(after)
    sigma = noise(finite(series.values[max(0, index - 50) : index]))
    return (low, high) if high - low > max(JUMP.value * abs(low), SIGMAS.value * sigma) else None


def _finding(run: Run, series: Series, rewinds: Sequence[int], jumps: Sequence[tuple[int, tuple[float, float]]]) -> Finding:
    index = jumps[0][0] if jumps else rewinds[0]
    old, new = series.steps[index - 1], series.steps[index]
    more = f"; {len(rewinds)} times in all" if len(rewinds) > 1 else ""
    also = f", and the loss jumps from {number(jumps[0][1][0])} to {number(jumps[0][1][1])}" if jumps else ""
    return Finding(
        rule="step-rewind",
        severity="warning" if jumps else "info",
        confidence="high" if run.step_source == "printed" else "medium",
        summary=f"step count goes back from {old} to {new}{also}{more}",
        evidence=(at(series, index, "first record after it"), at(series, index - 1, "last record before it")),
        first_step=new,
        last_step=old,
        facts={
            "from": old,
            "to": new,
            "rewinds": len(rewinds),
            "repeated_steps": max(0, old - new + 1),
            "loss_before": jumps[0][1][0] if jumps else None,
            "loss_after": jumps[0][1][1] if jumps else None,
            "step_source": run.step_source,
        },
    )
