"""The loss scale reaches its minimum, or the scaler gives up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, at, rule
from analyzer.scaler import Scale, minimum, scale
from parsers import Run, kinds

MIN_RECORDS: Final = Threshold(2, "Records at the minimum: one may be the last try before it rises again.")


@rule(
    title="the loss scale is at its minimum",
    severity="critical",
    needs=(),
    thresholds={
        "min-records": MIN_RECORDS,
    },
)
def scale_at_minimum(run: Run) -> Iterator[Finding]:
    """The scaler's own word for it, or a printed scale that has come down to the minimum and stays there."""
    events = run.events_of(kinds.SCALE_MINIMUM)
    if events:
        first = events[0]
        yield Finding(
            rule="scale-at-minimum",
            severity="critical",
            confidence="high",
            summary="the loss scaler gives up: the scale is at its minimum and the gradients still overflow"
            + (f" at step {first.step}" if first.step is not None else ""),
            evidence=tuple(Evidence(event.ref) for event in events[:3]),
            first_step=first.step,
            facts={"messages": len(events), "source": "message", "step_source": run.step_source},
        )
        return
    found = scale(run)
    if found is not None:
        yield from _reached(run, found)


def _reached(run: Run, found: Scale) -> Iterator[Finding]:
    low = minimum(run)
    if low not in found.series.values:
        return
    values = found.values
    at_low = [k for k, value in enumerate(values) if value == low]
    if len(at_low) < MIN_RECORDS.value or min(values) < low or max(values[: at_low[0]], default=low) <= low:
        return
    yield _finding(run, found, values, at_low)


def _finding(run: Run, found: Scale, values: Sequence[float], at_low: Sequence[int]) -> Finding:
    series = found.series
    recovered = values[-1] > values[at_low[0]]
    first, last = found.indices[at_low[0]], found.indices[at_low[-1]]
    return Finding(
        rule="scale-at-minimum",
        severity="warning" if recovered else "critical",
        confidence="high",
        summary=f"loss scale is at its minimum of {values[at_low[0]]:g} from step {series.steps[first]} "
        f"{f'to step {series.steps[last]}' if recovered else 'to the end'} ({len(at_low)} records)",
        evidence=(at(series, first, "at the minimum"), at(series, last, "last record at the minimum")),
        first_step=series.steps[first],
        last_step=series.steps[last],
        facts={
            "minimum": values[at_low[0]],
            "records": len(at_low),
            "recovered": recovered,
            "source": "overflow lines" if found.is_attempted else "loss scale",
            "step_source": run.step_source,
        },
    )
