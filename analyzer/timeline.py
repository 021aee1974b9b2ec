"""What happened, in order: starts, onsets, errors and ends, echoes folded with their count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from analyzer.model import Finding, TimelineEntry
from parsers import Event, Run, kinds

MAX_ENTRIES: Final = 60
_QUIET: Final = frozenset({kinds.SIGNATURE, kinds.WARNING, kinds.PROCESS_OK, kinds.EVALUATION})


def timeline(run: Run, findings: Sequence[Finding]) -> tuple[TimelineEntry, ...]:
    """Events and finding onsets ordered by place in the log; equal neighbours folded; at most 60 entries."""
    order = {file.path: place for place, file in enumerate(run.files)}
    entries = [_of_event(event) for event in run.events if event.kind not in _QUIET]
    entries += [
        TimelineEntry(f.evidence[0].ref, f.rule, f.summary, f.first_step, None, f.evidence[0].ref.rank) for f in findings
    ]
    entries.sort(key=lambda entry: (order.get(entry.ref.file, 0), entry.ref.line, entry.kind))
    folded: list[TimelineEntry] = []
    for entry in entries:
        last = folded[-1] if folded else None
        if last and (last.kind, last.text, last.rank) == (entry.kind, entry.text, entry.rank):
            folded[-1] = TimelineEntry(last.ref, last.kind, last.text, last.step, last.time, last.rank, last.count + 1)
        else:
            folded.append(entry)
    if len(folded) > MAX_ENTRIES:
        folded = folded[: MAX_ENTRIES // 2] + folded[-MAX_ENTRIES // 2 :]
    return tuple(folded)


def _of_event(event: Event) -> TimelineEntry:
    message = event.data.get("message")
    text = str(message) if message else event.ref.text.strip()
    return TimelineEntry(event.ref, event.kind, text[:200], event.step, event.time, event.rank)
