"""The loss scale falls by many halvings and does not come back."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Finding
from analyzer.rule import Threshold, at, rule
from analyzer.scaler import Scale, scale, settled, skips, stretches
from parsers import Run, metrics

HALVINGS: Final = Threshold(8, "From the settled scale down: healthy runs were seen to lose seven and come back.")
BOTTOM: Final = Threshold(2.0, "A scale at or below this leaves no room: the next halvings are the last.")
MIN_TOP: Final = Threshold(16.0, "A scale that never was above this cannot collapse.")
BACK: Final = Threshold(4.0, "Times the lowest: a scale that has risen by this much is on its way back.")
QUIET: Final = Threshold(
    0.2,
    "Share of the run without a further overflow after which the scale, then not printed, must have grown again.",
)


@rule(
    title="the loss scale collapses",
    severity="critical",
    needs=("loss_scale|overflow",),
    thresholds={
        "halvings": HALVINGS,
        "bottom": BOTTOM,
        "min-top": MIN_TOP,
        "back": BACK,
        "quiet": QUIET,
    },
)
def scale_collapse(run: Run) -> Iterator[Finding]:
    """From the top of the settled scale to the end; without a settled scale only a fall to the bottom counts."""
    found = scale(run)
    if found is None:
        return
    values = found.values
    if min(values) > BOTTOM.value and max(values) < min(values) * 2**HALVINGS.value:
        return
    start = _settled(run, found)
    never_settled = start >= len(values)
    top = max(range(0 if never_settled else start, len(values)), key=values.__getitem__)
    end = values[-1]
    lowest = min(values[top:])
    fallen = math.log2(values[top] / lowest) if lowest > 0 else math.inf
    if values[top] < MIN_TOP.value or end > BACK.value * lowest or (found.is_attempted and _went_quiet(run, found)):
        return
    if lowest <= BOTTOM.value or (not never_settled and fallen >= HALVINGS.value):
        yield _finding(run, found, values, top, fallen)


def _settled(run: Run, found: Scale) -> int:
    """Position in the scale's way at which the search is over."""
    if not found.is_attempted:
        return settled(found.values)
    groups = stretches(skips(run), run.first_step or 0)
    if not groups or not groups[0].is_search:
        return 0
    last = groups[0].skips[-1].step
    return next((k for k, i in enumerate(found.indices) if found.series.steps[i] > last), len(found.indices))


def _went_quiet(run: Run, found: Scale) -> bool:
    first, last = run.first_step or 0, run.last_step or 0
    quiet = last - found.series.steps[found.indices[-1]]
    return quiet > max(20, QUIET.value * (last - first)) and run.series(metrics.LOSS_SCALE) is None


def _finding(run: Run, found: Scale, values: Sequence[float], top: int, fallen: float) -> Finding:
    series = found.series
    low = min(range(top, len(values)), key=values.__getitem__)
    begin = next((k for k in range(top, low + 1) if values[k] < values[top]), top)
    first, last = found.indices[begin], found.indices[low]
    return Finding(
        rule="scale-collapse",
        severity="critical",
        confidence="high",
        summary=f"loss scale falls from {values[top]:.6g} to {values[low]:.6g} ({fallen:.0f} halvings) between step "
        f"{series.steps[found.indices[top]]} and step {series.steps[last]} and does not come back",
        evidence=(at(series, first, "falls from here"), at(series, last, "lowest")),
        first_step=series.steps[first],
        last_step=series.steps[last],
        facts={
            "from": values[top],
            "to": values[low],
            "halvings": round(fallen, 1),
            "recovered": False,
            "source": "overflow lines" if found.is_attempted else "loss scale",
            "step_source": run.step_source,
        },
    )
