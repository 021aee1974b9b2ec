"""The training loss is exactly 0: mostly a NaN that the Trainer replaced, or samples whose labels are all masked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.model import Finding
from analyzer.rule import at, rule
from analyzer.signals import finite, streaks
from parsers import Run

MIN_RECORDS: Final = 2
"""One exact zero can be one fully masked batch; two in a row are a state."""


@rule(title="the training loss is exactly 0", severity="critical", needs=("loss",))
def loss_zero(run: Run) -> Iterator[Finding]:
    """Zeros that last at least two records; critical when they last to the end."""
    series = run.series("loss")
    assert series is not None
    for streak in streaks(series.values, lambda value: value == 0.0):
        if streak.length < MIN_RECORDS:
            continue
        recovers = bool(finite([v for v in series.values[streak.stop :] if v != 0.0]))
        yield Finding(
            rule="loss-zero",
            severity="warning" if recovers else "critical",
            confidence="high",
            summary=f"loss is exactly 0 from step {series.steps[streak.start]} ({streak.length} records)",
            evidence=(at(series, streak.start, "first zero"), at(series, streak.stop - 1, "last zero")),
            first_step=series.steps[streak.start],
            last_step=series.steps[streak.stop - 1],
            facts={"records": streak.length, "recovers": recovers, "step_source": run.step_source},
        )
        return
