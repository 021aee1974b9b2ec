"""Early signs: what usually comes before a failure, said with low confidence and only while it lasts.

Each is a finding of the rule that it announces; the rule's own finding takes its place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Final

from analyzer import scaler
from analyzer.median import median
from analyzer.model import Evidence, Finding
from analyzer.rule import at, number
from parsers import Run, metrics
from parsers.model import Value

HALVINGS: Final = 3
"""Halvings of the loss scale in a row: a healthy run has single ones, some hundreds of steps apart."""
NEAR: Final = 200
"""Steps within which they must lie: a scale that falls once in a thousand steps is working."""
SKIPS: Final = 3
RISING: Final = 4
"""Records in a row in which the gradient norm rises."""
TIMES: Final = 8.0
"""Times the usual norm that it must have reached."""
MIN_KNOWN: Final = 20
"""Records from which the usual norm is known, and steps in which the first fall of the scale is the scaler's search."""


FEW: Final = 10
"""Records of a loss from which a jump out of everything it was can be told."""
JUMP: Final = 10.0
"""Times the highest loss of the last `RECENT` records."""
RECENT: Final = 200
STAYS: Final = 10
"""Records for which a loss that stays so high is told."""
SMALLEST: Final = 0.01
"""A loss that never reached this much hovers about 0, as policy losses do: its jumps tell nothing."""


def early(run: Run) -> list[Finding]:
    """The signs that the run shows at its present end."""
    return [*_scale(run), *_skips(run), *_norm(run), *_jump(run)]


def _scale(run: Run) -> Iterator[Finding]:
    scale = scaler.scale(run)
    if scale is None:
        return
    values, series = scale.values, scale.series
    last = len(values) - 1
    start = last
    while start > 0 and values[start - 1] >= values[start]:
        start -= 1
    halvings = round(math.log2(values[start] / values[last])) if values[last] > 0 else 0
    first = next((k for k in range(start, last) if values[k + 1] < values[k]), start)
    points = scale.indices
    begins = series.steps[points[first]]
    is_search = start == 0 and begins < (run.first_step or 0) + MIN_KNOWN
    if is_search or halvings < HALVINGS or series.steps[points[last]] - begins > NEAR:
        return
    left = max(0, math.ceil(math.log2(values[last] / scaler.minimum(run)))) if scaler.minimum(run) > 0 else 0
    yield _sign(
        "scale-collapse",
        f"the loss scale fell from {values[start]:.8g} to {values[last]:.8g} since step {begins} without "
        f"a rise: {left} more halvings and it is at its minimum",
        (at(series, points[last], "lowest so far"), at(series, points[first], "last before the fall")),
        begins,
        {"halvings": halvings, "left": left},
    )


def _skips(run: Run) -> Iterator[Finding]:
    skips = scaler.skips(run)
    if len(skips) < SKIPS:
        return
    last = scaler.stretches(skips, run.first_step or 0)[-1]
    end = run.last_step or 0
    if last.is_search or last.length < SKIPS or end > last.skips[-1].step + 1:
        return
    first = last.skips[0]
    yield _sign(
        "overflow-streak",
        f"{last.length} steps in a row were skipped for overflow, up to the present one",
        (at(last.skips[-1].series, last.skips[-1].point, "last skip"), at(first.series, first.point, "first skip")),
        first.step,
        {"skips": last.length},
    )


def _norm(run: Run) -> Iterator[Finding]:
    series = run.series(metrics.GRAD_NORM)
    if series is None or len(series) < MIN_KNOWN + RISING:
        return
    tail = list(series.values[-RISING - 1 :])
    known = [value for value in series.values[-500 - RISING : -RISING] if math.isfinite(value) and value > 0]
    if len(known) < MIN_KNOWN or not all(math.isfinite(v) for v in tail):
        return
    usual = median(known)
    if all(b > a for a, b in pairwise(tail)) and tail[-1] >= TIMES * usual and tail[-1] > 1.5 * max(known):
        first = len(series) - RISING
        yield _sign(
            "grad-explosion",
            f"the gradient norm has risen {RISING} records in a row to {number(tail[-1])}, usually it is {number(usual)}",
            (at(series, len(series) - 1, "highest so far"), at(series, first, "first of the rise")),
            series.steps[first],
            {"usual": usual, "value": tail[-1]},
        )


def _jump(run: Run) -> Iterator[Finding]:
    """A loss out of everything it was, as long as it stays there; several records may have come since the last look."""
    series = run.series(metrics.LOSS)
    if series is None or len(series) <= FEW:
        return
    values, last = series.values, len(series) - 1
    for first in range(max(FEW, last - STAYS + 1), last + 1):
        known = list(values[max(0, first - RECENT) : first])
        highest = max(known)
        tail = values[first:]
        if min(known) > 0 and highest >= SMALLEST and JUMP * highest <= min(tail) <= max(tail) < math.inf:
            more = f", and stayed above {number(JUMP * highest)} since" if last > first else ""
            yield _sign(
                "loss-spike",
                f"the loss jumped to {number(values[first])}, {values[first] / highest:.0f} times the highest of the "
                f"{len(known)} records before{more}",
                (at(series, first, "out of all that came before"), at(series, first - 1, "before the jump")),
                series.steps[first],
                {"highest": highest, "value": values[first]},
            )
            return


def _sign(rule: str, summary: str, evidence: tuple[Evidence, ...], first: int, facts: Mapping[str, Value]) -> Finding:
    return Finding(rule, "warning", "low", f"early sign: {summary}", evidence, first, None, {**facts, "early": True})
