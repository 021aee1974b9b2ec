"""Nothing was logged for many times the usual interval."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from analyzer.incidents import Incidents
from analyzer.median import median
from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, at, rule
from parsers import Event, Run, Series, kinds

MIN_RECORDS: Final = Threshold(8, "Intervals from which the usual one is taken: a single long one among three is no outlier.")
TIMES: Final = Threshold(
    30.0,
    "Usual intervals: an evaluation, a checkpoint or a compilation takes some of them, hardly ever thirty.",
)
MIN_SECONDS: Final = Threshold(
    600.0,
    "Below ten minutes a pause is no stall, whatever the pace: storage, other users, a slow evaluation.",
)
MIN_PERIODS: Final = Threshold(3, "Silences that make a habit: two may be chance.")
_EVALUATION: Final = ("eval", "val", "test")
_PAUSES: Final = (kinds.CHECKPOINT, kinds.EVALUATION, kinds.RUN_START, kinds.RESUME)


class Gap(NamedTuple):
    """From the record at `at` on nothing came for `seconds`."""

    at: int
    seconds: float


@rule(
    title="nothing was logged for a long time",
    severity="warning",
    needs=("loss|lr|grad_norm|step_time",),
    thresholds={
        "min-records": MIN_RECORDS,
        "times": TIMES,
        "min-seconds": MIN_SECONDS,
        "min-periods": MIN_PERIODS,
    },
)
def stall(run: Run) -> Iterator[Finding]:
    """A silence inside the log is a warning; one that the log ends with is critical."""
    for series in _clocked(run):
        if not series.is_text and max(series.times) - min(series.times) < MIN_SECONDS.value:
            continue  # nor is any silence of the bar as long as that
        gaps = list(_intervals(series))
        if len(gaps) < MIN_RECORDS.value:
            continue
        usual = median(gap.seconds for gap in gaps)
        limit = max(TIMES.value * usual, MIN_SECONDS.value)
        end = _silence_at_end(run, series, limit, usual) or _last_redraw(run, series, limit, usual)
        if end is not None:
            yield end
            return
        long = [gap for gap in gaps if gap.seconds >= limit and not _is_pause(run, series, gap.at)]
        if long and not _is_periodic(series, long):
            yield _inside(run, series, max(long, key=lambda gap: gap.seconds), usual, len(long))
            return


def _clocked(run: Run) -> Iterator[Series]:
    """The longest text track whose rows carry a clock; without one, the progress bars."""
    tracks = [
        t for t in run.tracks if t.is_text and len(t) > MIN_RECORDS.value and t.metric in ("loss", "lr", "grad_norm", "step_time")
    ]
    columns = {id(t.times): t.times for t in tracks}  # what was logged together shares one
    clocks = {key for key, times in columns.items() if sum(map(math.isfinite, times)) > 0.9 * len(times)}
    tracks = [t for t in tracks if id(t.times) in clocks]
    if tracks:
        yield max(tracks, key=len)
    else:
        yield from run.bars


def _intervals(series: Series) -> Iterator[Gap]:
    times, steps, segments, cuts = series.times, series.steps, series.segments, series.cuts
    for index, (before, after) in enumerate(pairwise(times)):
        if (
            after > before
            and segments[index] == segments[index + 1]
            and steps[index + 1] > steps[index]
            and index + 1 not in cuts
        ):
            yield Gap(index, after - before)


def _is_pause(run: Run, series: Series, index: int) -> bool:
    """Whether something that takes its time was told between this record and the next: a checkpoint, an evaluation."""
    first, last = series.lines[index], series.lines[index + 1]
    if any(e.ref.file == series.file and first <= e.ref.line <= last for e in run.events_of(*_PAUSES)):
        return True
    evaluations = (t for t in run.tracks if t.file == series.file and t.metric.startswith(_EVALUATION))
    return any(bisect_right(t.lines, last) > bisect_left(t.lines, first) for t in evaluations)


def _is_periodic(series: Series, long: Sequence[Gap]) -> bool:
    """Whether the silences come every so many steps, as checkpoints and evaluations that print nothing do."""
    steps = [0, *(series.steps[gap.at] for gap in long)]
    apart = [b - a for a, b in pairwise(steps)]
    return len(long) >= MIN_PERIODS.value and min(apart[1:]) > 0 and max(apart[1:]) <= 1.2 * min(apart[1:])


def _silence_at_end(run: Run, series: Series, limit: float, usual: float) -> Finding | None:
    """The log's last clock is far behind its last record: something else ended the wait."""
    last = len(series) - 1
    if not series.is_text or not math.isfinite(series.times[last]) or run.events_of(kinds.COLLECTIVE_TIMEOUT):
        return None
    later = [e for e in _ends(run) if e.ref.file == series.file and e.ref.line > series.lines[last]]
    event = max(later, key=lambda e: e.time or 0.0, default=None)
    silence = (event.time or 0.0) - series.times[last] if event else 0.0
    if event is None or not limit <= silence < 30 * 86400:
        return None
    return Finding(
        rule="stall",
        severity="critical",
        confidence="medium",
        summary=f"nothing was logged for {_duration(silence)} after step {series.steps[last]}, "
        f"usually a record comes every {_duration(usual)}",
        evidence=(at(series, last, "last record"), Evidence(event.ref, "next sign")),
        first_step=series.steps[last],
        last_step=series.steps[last],
        facts={"seconds": round(silence, 3), "usual_seconds": round(usual, 3), "at_end": True, "step_source": run.step_source},
    )


def _last_redraw(run: Run, series: Series, limit: float, usual: float) -> Finding | None:
    """A bar that was drawn once more when the program ended, long after the last step was reached."""
    if series.is_text or run.events_of(kinds.COLLECTIVE_TIMEOUT) or series.steps[-1] != series.steps[-2]:
        return None
    silence = series.times[-1] - series.times[-2]
    is_done = run.planned_steps is not None and series.steps[-1] >= run.planned_steps
    if is_done or silence < limit or series.segments[-1] != series.segments[-2] or _is_pause(run, series, len(series) - 2):
        return None
    return Finding(
        rule="stall",
        severity="critical",
        confidence="low",
        summary=f"nothing moved for {_duration(silence)} after step {series.steps[-1]} until the program ended, "
        f"usually a step shows every {_duration(usual)}",
        evidence=(at(series, len(series) - 2, "last step"), at(series, len(series) - 1, "drawn again at the end")),
        first_step=series.steps[-1],
        last_step=series.steps[-1],
        facts={"seconds": silence, "usual_seconds": usual, "at_end": True, "step_source": run.step_source},
    )


def _ends(run: Run) -> Sequence[Event]:
    return [one.event for one in Incidents(run).all if one.event.time is not None]


def _inside(run: Run, series: Series, gap: Gap, usual: float, count: int) -> Finding:
    """A silence that passed. A bar shows one of a suspended machine or a silent checkpoint just so: worth knowing, no more."""
    return Finding(
        rule="stall",
        severity="warning" if series.is_text else "info",
        confidence="medium",
        summary=f"nothing was logged for {_duration(gap.seconds)} after step {series.steps[gap.at]}, "
        f"usually a record comes every {_duration(usual)}; training went on",
        evidence=(at(series, gap.at, "before"), at(series, gap.at + 1, "after")),
        first_step=series.steps[gap.at],
        last_step=series.steps[gap.at + 1],
        facts={
            "seconds": round(gap.seconds, 3), "usual_seconds": round(usual, 3), "at_end": False, "silences": count,
            "step_source": run.step_source,
        },
    )  # fmt: skip


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
