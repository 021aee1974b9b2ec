"""The log contradicts itself: a counter says that nothing happened, and the values say that it did."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from analyzer.incidents import Incidents
from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, at, number, rule
from analyzer.scaler import skips
from analyzer.signals import aligned, current, is_interleaved
from parsers import Run, Series, kinds, metrics

MIN_SKIPS: Final = Threshold(3, "Overflow messages that a counter must have missed: one may still be under way.")
MIN_PAIRS: Final = Threshold(10, "Steps that two writers must share before they are compared.")
APART: Final = Threshold(0.05, "Relative distance of two writers' losses: digits and means over other windows explain less.")


@rule(
    title="the log contradicts itself",
    severity="info",
    needs=("nan_steps|skipped_steps|loss|grad_norm",),
    thresholds={
        "min-skips": MIN_SKIPS,
        "min-pairs": MIN_PAIRS,
        "apart": APART,
    },
)
def nondeterministic_counters(run: Run) -> Iterator[Finding]:
    """Each contradiction as its own finding."""
    yield from _nan_counter(run)
    yield from _skip_counter(run)
    yield from _two_writers(run)
    yield from _survived_timeout(run)


def _survived_timeout(run: Run) -> Iterator[Finding]:
    """A watchdog says that a collective never came back, and the steps go on."""
    for one in Incidents(run).of_kind(kinds.COLLECTIVE_TIMEOUT, with_handled=True):
        track = next((t for t in run.all_series(metrics.LOSS) if t.file == one.event.ref.file), None)
        if one.fate != "handled" or track is None:
            continue
        after = bisect_right(track.lines, one.event.ref.line)
        if after < len(track):
            yield _finding(
                run,
                f"a watchdog reports a collective that timed out, and training goes on to step {track.steps[-1]}",
                (Evidence(one.event.ref, "timeout"), at(track, after, "next record"), at(track, len(track) - 1, "last record")),
                track.steps[after],
                "timeout while steps go on",
            )
            return


def _nan_counter(run: Run) -> Iterator[Finding]:
    counter = run.series(metrics.NAN_STEPS)
    if counter is None or any(counter.values):
        return
    for metric in (metrics.GRAD_NORM, metrics.LOSS):
        series = run.series(metric)
        index = next((i for i, v in enumerate(series.values) if not math.isfinite(v)), None) if series else None
        if series is not None and index is not None:
            yield _finding(
                run,
                f"the counter of nan iterations stays 0 while {series.name} is {series.values[index]:g} "
                f"at step {series.steps[index]}",
                (at(series, index, "not finite"), at(counter, len(counter) - 1, "counter")),
                series.steps[index],
                "nan counter",
            )
            return


def _skip_counter(run: Run) -> Iterator[Finding]:
    counter, told = run.series(metrics.SKIPPED_STEPS), skips(run)
    if counter is None or len(counter) < 2 or is_interleaved(counter) or counter.segments[-1]:
        return
    before = [skip for skip in told if skip.step < counter.steps[-1]]
    missed = max(len(before) - counter.values[0], sum(skip.step > counter.steps[0] for skip in before))
    if missed >= MIN_SKIPS.value and counter.values[-1] == counter.values[0]:
        first = told[0]
        yield _finding(
            run,
            f"the counter of skipped steps stays {counter.values[0]:g} though {len(told)} overflow messages tell of "
            "skipped steps",
            (Evidence(first.series.ref(first.point), "first overflow message"), at(counter, len(counter) - 1, "counter")),
            first.step,
            "skip counter",
        )
        return
    back = next(
        (
            i
            for i in range(1, len(counter))
            if counter.values[i] < counter.values[i - 1] and counter.steps[i] > counter.steps[i - 1]
        ),
        None,
    )
    if back is not None and counter.values[back] > 0:
        yield _finding(
            run,
            f"the counter of skipped steps falls from {counter.values[back - 1]:g} to {counter.values[back]:g} "
            f"at step {counter.steps[back]}",
            (at(counter, back, "lower"), at(counter, back - 1, "record before it")),
            counter.steps[back],
            "skip counter",
        )


def _two_writers(run: Run) -> Iterator[Finding]:
    """Two files of one run that print another loss for the same step."""
    preferred = run.series(metrics.LOSS)
    if preferred is None:
        return
    for other in run.all_series(metrics.LOSS)[1:]:
        if other.file == preferred.file or other.name != preferred.name or other.rank != preferred.rank:
            continue
        index = _apart(preferred, other)
        if index is not None:
            value = aligned(preferred, other)[index]
            assert value is not None
            yield _finding(
                run,
                f"two files disagree about the loss at step {preferred.steps[index]}: "
                f"{number(preferred.values[index])} and {number(value)}",
                (at(preferred, index), at(other, other.steps.index(preferred.steps[index]))),
                preferred.steps[index],
                "two files",
            )
            return


def _apart(preferred: Series, other: Series) -> int | None:
    """First index at which most of the shared steps begin to differ; None where they agree."""
    values = aligned(preferred, other)
    shared = [i for i in current(preferred) if values[i] is not None]
    differing = [i for i in shared if not _same(preferred.values[i], values[i])]
    return differing[0] if len(shared) >= MIN_PAIRS.value and len(differing) > 0.5 * len(shared) else None


def _same(a: float, b: float | None) -> bool:
    if b is None or not math.isfinite(a) or not math.isfinite(b):
        return True
    return abs(a - b) <= max(APART.value * abs(a), 1e-3)


def _finding(run: Run, summary: str, evidence: tuple[Evidence, ...], step: int, what: str) -> Finding:
    return Finding(
        rule="nondeterministic-counters",
        severity="info",
        confidence="medium",
        summary=summary,
        evidence=evidence,
        first_step=step,
        facts={"contradiction": what, "step_source": run.step_source},
    )
