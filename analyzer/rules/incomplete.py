"""The log ends before the planned steps, and nothing in it says why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.incidents import Incidents
from analyzer.model import Finding
from analyzer.rule import Threshold, at, rule
from parsers import Run, Series, kinds, metrics

DONE: Final = Threshold(0.98, "Of the planned steps: the last logging interval may be missing.")


@rule(
    title="the log ends before the planned steps",
    severity="info",
    needs=("loss|lr|grad_norm|step_time",),
    thresholds={
        "done": DONE,
    },
)
def incomplete(run: Run) -> Iterator[Finding]:
    """Planned steps are known, the last one is short of them, and no end, crash or signal was told since the last start."""
    planned, last = run.planned_steps, run.last_step
    if not planned or last is None or last >= planned - 1 or _has_reason(run):
        return
    series = _latest(run)
    if last + _interval(series) >= planned and last >= DONE.value * planned:
        return
    yield Finding(
        rule="incomplete",
        severity="info",
        confidence="medium",
        summary=f"the log ends at step {last} of {planned} and nothing in it says why: still running, "
        "killed from outside, or hung",
        evidence=(at(series, len(series) - 1, "last record"),),
        first_step=last,
        last_step=last,
        facts={"last_step": last, "planned_steps": planned, "share": round(last / planned, 4), "step_source": run.step_source},
    )


def _has_reason(run: Run) -> bool:
    """Whether a failure ended the last attempt (one that was caught or belongs to an earlier attempt did not), or a good end."""
    if any(one.fate == "fatal" for one in Incidents(run).all):
        return True
    told = run.events_of(kinds.RUN_END, kinds.PROCESS_OK, kinds.RUN_START, kinds.RESUME)
    return bool(told) and told[-1].kind in (kinds.RUN_END, kinds.PROCESS_OK)


def _latest(run: Run) -> Series:
    """The series whose last point stands furthest: of the training metrics first."""
    tracks = [track for track in run.tracks if len(track) and track.metric != metrics.EVAL_LOSS]
    return max(tracks or [track for track in run.tracks if len(track)], key=lambda track: track.steps[-1])


def _interval(series: Series) -> int:
    return max(1, series.steps[-1] - series.steps[-2]) if len(series) > 1 else 1
