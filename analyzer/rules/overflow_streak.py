"""Steps are skipped again and again because gradients overflow: beyond the search for a scale."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, at, rule, until
from analyzer.scaler import Skip, Stretch, skips, stretches
from analyzer.signals import Streak, aligned, are_finite, is_interleaved, streaks
from parsers import Run, Series, metrics

MIN_STREAK: Final = Threshold(3, "Skips in a row in mid-run: a settled scaler takes one, two with hysteresis.")
MIN_INEXACT: Final = Threshold(
    6,
    "The same where several overflows stand between two step reports: two or three of them may lie steps apart.",
)
NEVER_ENDS: Final = Threshold(5, "Skips in a row up to the end of the log that are no chance.")
SEARCH: Final = Threshold(17, "Skips that the search for a first scale needs at most from 2**16 to 1.")
LONG_SEARCH: Final = Threshold(40, "Skips that no search needs: from 2**32 to 1, and hysteresis.")
SETTLED: Final = Threshold(100, "Steps after which skips are no search any more.")
MAX_SHARE: Final = Threshold(0.05, "Share of the later steps that skips may take: healthy runs lose under one in fifty.")
MIN_COUNT: Final = Threshold(10, "Skips among the later steps that make a share of them: fewer are a handful.")
MIN_INFERRED: Final = Threshold(3, "Records that must show a dead loss and a standing learning rate together.")


@rule(
    title="steps are skipped for overflow again and again",
    severity="warning",
    needs=("overflow|overflow_hysteresis|skipped_steps|loss",),
    thresholds={
        "min-streak": MIN_STREAK,
        "min-inexact": MIN_INEXACT,
        "never-ends": NEVER_ENDS,
        "search": SEARCH,
        "long-search": LONG_SEARCH,
        "settled": SETTLED,
        "max-share": MAX_SHARE,
        "min-count": MIN_COUNT,
        "min-inferred": MIN_INFERRED,
    },
)
def overflow_streak(run: Run) -> Iterator[Finding]:
    """By the overflow lines, by the counter of skipped steps, or by what skipped steps leave in loss and rate."""
    told = skips(run)
    if told:
        yield from _told(run, told)
        return
    counter = run.series(metrics.SKIPPED_STEPS)
    if (
        counter is not None
        and len(counter) > 1
        and are_finite(counter.values)
        and max(counter.values) > 0
        and not is_interleaved(counter)
    ):
        yield from _counted(run, counter)
    elif counter is None or len(counter) < 2:
        yield from _inferred(run)


def _told(run: Run, told: Sequence[Skip]) -> Iterator[Finding]:
    first, last = run.first_step or 0, run.last_step or 0
    groups = stretches(told, first)
    end = groups[-1]
    is_final = end.skips[-1].step >= last - 1 - _interval(run)
    if is_final and end.length >= (SEARCH.value if end.is_search and not _is_at_bottom(end) else NEVER_ENDS.value):
        yield _finding(run, end, told, f"the last {end.length} steps were skipped", recovered=False)
        return
    worst = max((g for g in groups if not g.is_search and _is_streak(g)), key=lambda g: g.length, default=None)
    late = sum(skip.step > first + SETTLED.value for skip in told)
    if worst is not None:
        yield _finding(run, worst, told, f"{worst.length} steps in a row were skipped", recovered=True)
    elif groups[0].is_search and groups[0].length > LONG_SEARCH.value:
        yield _finding(run, groups[0], told, f"the first {groups[0].length} steps were skipped", recovered=True)
    elif late >= MIN_COUNT.value and late > _usual(run) * (last - first - SETTLED.value):
        yield _finding(
            run, Stretch(tuple(told), False), told, f"{late} of the steps after step {first + SETTLED.value} were skipped", True
        )


def _usual(run: Run) -> float:
    """Share of steps that a settled scaler may skip: it tries a higher scale once in a window."""
    window = run.environment.number("config:fp16.loss_scale_window")
    return max(MAX_SHARE.value, 2 / window) if window and window >= 1 else MAX_SHARE.value


def _is_streak(group: Stretch) -> bool:
    return group.length >= (MIN_STREAK.value if group.is_exact else MIN_INEXACT.value)


def _is_at_bottom(group: Stretch) -> bool:
    return any(skip.scale <= 2.0 for skip in group.skips)


def _interval(run: Run) -> int:
    """Steps between two records of the loss."""
    series = run.series(metrics.LOSS)
    gaps = sorted(b - a for a, b in zip(series.steps, series.steps[1:], strict=False) if b > a) if series else []
    return gaps[len(gaps) // 2] if gaps else 1


def _finding(run: Run, group: Stretch, told: Sequence[Skip], words: str, recovered: bool) -> Finding:
    first, last = group.skips[0], group.skips[-1]
    scales = [skip.scale for skip in group.skips if math.isfinite(skip.scale)]
    fell = f"; the attempted scale goes from {scales[0]:.6g} to {scales[-1]:.6g}" if len(scales) > 1 else ""
    end = f"to step {last.step}" if recovered else "to the end"
    evidence = (Evidence(first.series.ref(first.point), "first skip"), Evidence(last.series.ref(last.point), "last skip"))
    return Finding(
        rule="overflow-streak",
        severity="warning" if recovered else "critical",
        confidence="high",
        summary=f"{words} for overflow, from step {first.step} {end}{fell}",
        evidence=evidence if group.length > 1 else evidence[:1],
        first_step=first.step,
        last_step=last.step,
        facts={
            "skips": group.length,
            "skips_in_all": len(told),
            "scale_from": scales[0] if scales else None,
            "scale_to": scales[-1] if scales else None,
            "recovered": recovered,
            "source": "overflow lines",
            "step_source": run.step_source,
        },
    )


def _counted(run: Run, counter: Series) -> Iterator[Finding]:
    """Stretches in which the counter of skipped steps rises as fast as the steps."""
    steps, values = counter.steps, counter.values
    full = [float(values[0] > 0 and values[0] >= steps[0])]
    full += [float(0 < steps[i] - steps[i - 1] <= values[i] - values[i - 1]) for i in range(1, len(values))]
    found = [s for s in streaks(full, bool) if _lost(counter, s) >= MIN_STREAK.value]
    if not found:
        return
    last = found[-1]
    is_final = last.stop == len(counter) and _lost(counter, last) >= NEVER_ENDS.value
    is_search = last.start == 0 and _lost(counter, last) < SEARCH.value
    if is_final and not is_search:
        yield _counter_finding(run, counter, last, recovered=False)
        return
    passing = [s for s in found if s.start > 1 or _lost(counter, s) > LONG_SEARCH.value]
    if passing:
        yield _counter_finding(run, counter, max(passing, key=lambda s: _lost(counter, s)), recovered=True)


def _lost(counter: Series, streak: Streak) -> float:
    return counter.values[streak.stop - 1] - (counter.values[streak.start - 1] if streak.start else 0.0)


def _counter_finding(run: Run, counter: Series, streak: Streak, recovered: bool) -> Finding:
    lost = _lost(counter, streak)
    return Finding(
        rule="overflow-streak",
        severity="warning" if recovered else "critical",
        confidence="high",
        summary=f"every step was skipped {until(counter, streak.start, streak.stop)}: the counter of skipped steps rises with "
        "the steps",
        evidence=(at(counter, streak.start, "first record"), at(counter, streak.stop - 1, "last record")),
        first_step=counter.steps[streak.start],
        last_step=counter.steps[streak.stop - 1],
        facts={
            "skips": int(lost),
            "skips_in_all": int(max(counter.values)),
            "recovered": recovered,
            "source": "skipped counter",
            "step_source": run.step_source,
        },
    )


def _inferred(run: Run) -> Iterator[Finding]:
    """Dead losses at which a moving learning rate stands still: the optimizer was not stepped, so nor was the schedule."""
    series, rate = run.series(metrics.LOSS), run.series(metrics.LR)
    if series is None or rate is None or (0.0 not in series.values and are_finite(series.values)):
        return
    rates, norms = aligned(series, rate), aligned(series, run.series(metrics.GRAD_NORM))
    for dead in streaks(series.values, lambda v: v == 0.0 or not math.isfinite(v)):
        moved = [rates[i] != rates[i - 1] for i in range(max(1, dead.start - 20), dead.start)]
        if dead.length < MIN_INFERRED.value or sum(moved) < max(1, 0.6 * len(moved)):
            continue
        if len({rates[i] for i in range(dead.start, dead.stop)}) == 1 and rates[dead.start] is not None:
            yield _inferred_finding(run, series, dead, norms)
            return


def _inferred_finding(run: Run, series: Series, dead: Streak, norms: Sequence[float | None]) -> Finding:
    recovered = dead.stop < len(series)
    known = [norms[i] for i in range(dead.start, dead.stop) if norms[i] is not None]
    is_stale = len(known) > 1 and (len(set(known)) == 1 or not any(math.isfinite(v) for v in known if v is not None))
    also = " and the gradient norm does not change" if is_stale else ""
    return Finding(
        rule="overflow-streak",
        severity="warning" if recovered else "critical",
        confidence="medium" if is_stale else "low",
        summary=f"steps seem to be skipped {until(series, dead.start, dead.stop)}: the learning rate stands still{also} "
        f"while the loss is {series.values[dead.start]:g}; overflow messages may be hidden",
        evidence=(at(series, dead.start, "rate stands still from here"), at(series, dead.stop - 1, "last of them")),
        first_step=series.steps[dead.start],
        last_step=series.steps[dead.stop - 1],
        facts={"records": dead.length, "recovered": recovered, "source": "inferred", "step_source": run.step_source},
    )
