"""DeepSpeed's allocator frees and takes cached memory again within steps: the device is nearly full, and steps are slow."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.model import Evidence, Finding
from analyzer.rule import Threshold, rule
from parsers import Event, Run, kinds, metrics

MIN_MESSAGES: Final = Threshold(10, "Messages that are no warm-up: shapes that are seen for the first time flush a few times.")
FREQUENT: Final = Threshold(0.2, "Messages a step from which the flushes cost time: one step in five.")
MAX_JUDGED: Final = 400
"""First messages that the density is taken of: later ones may have been dropped."""


@rule(
    title="the allocator flushes its cache within steps",
    severity="warning",
    events=(kinds.CACHE_FLUSH,),
    thresholds={"min-messages": MIN_MESSAGES, "frequent": FREQUENT},
)
def allocator_flushes(run: Run) -> Iterator[Finding]:
    """A warning where it happens in many steps, info where it happened at all."""
    events = run.events_of(kinds.CACHE_FLUSH)
    if not events:
        return
    first, last = _step(run, events[0]), _step(run, events[-1])
    share = _share(run, events)
    is_frequent = len(events) >= MIN_MESSAGES.value and share is not None and share >= FREQUENT.value
    often = f", about {share:.2g} a step" if share is not None and len(events) > 1 else ""
    yield Finding(
        rule="allocator-flushes",
        severity="warning" if is_frequent else "info",
        confidence="high",
        summary=f"the GPU allocator flushed its cache within steps: {len(events)} message{'s' if len(events) > 1 else ''}{often}",
        evidence=tuple(Evidence(event.ref) for event in (events[:1] + (events[-1:] if len(events) > 1 else ()))),
        first_step=first,
        last_step=last,
        facts={"messages": len(events), "share": None if share is None else round(share, 4), "step_source": run.step_source},
    )


def _share(run: Run, events: Sequence[Event]) -> float | None:
    """Messages a step over the stretch that the first ones span; None where no step is known."""
    judged = events[:MAX_JUDGED]
    first, last = _step(run, judged[0]), _step(run, judged[-1])
    if first is None or last is None:
        return None
    if len(judged) < MAX_JUDGED and run.last_step is not None:
        last = max(last, run.last_step)
    return len(judged) / max(1, last - first + 1)


def _step(run: Run, event: Event) -> int | None:
    """The last step that was logged before a message."""
    if event.step is not None:
        return event.step
    tracks = [t for t in (*run.all_series(metrics.LOSS), *run.bars) if t.file == event.ref.file]
    for track in tracks:
        index = bisect_right(track.lines, event.ref.line) - 1
        if index >= 0:
            return track.steps[index]
    return None
