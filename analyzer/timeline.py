"""What happened, in order: starts, onsets, errors and ends; echoes folded with their count and an example."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from analyzer.clock import Clocks
from analyzer.incidents import FAILURES, Incident, Incidents
from analyzer.model import Finding, TimelineEntry
from parsers import Event, Run, Series, SourceRef, kinds

MAX_ENTRIES: Final = 60
MAX_RANKS: Final = 16
"""Ranks whose last record is shown: of a thousand the first and the last to speak say it all."""
_MILESTONES: Final = (
    kinds.RUN_START,
    kinds.RESUME,
    kinds.RUN_END,
    kinds.CHECKPOINT,
    kinds.OVERFLOW,
    kinds.SCALE_UP,
    kinds.NAN_REPORT,
)
_REPEATS: Final = frozenset({kinds.CHECKPOINT, kinds.OVERFLOW, kinds.SCALE_UP, kinds.RUN_START, kinds.RUN_END})
"""Kinds of which many in a row are one entry."""


def timeline(run: Run, findings: Sequence[Finding]) -> tuple[TimelineEntry, ...]:
    """Milestones, failures, finding onsets and each rank's last record, by place in the log; at most 60 entries."""
    order = {file.path: place for place, file in enumerate(run.files)}
    clocks = Clocks(run)
    incidents = Incidents(run)
    entries = [_milestone(event, clocks) for event in run.events if event.kind in _MILESTONES]
    entries += _failures(incidents, clocks)
    entries += [TimelineEntry(f.evidence[0].ref, f.rule, f.summary, f.first_step, None, f.evidence[0].ref.rank) for f in findings]
    if any(one.fate == "fatal" for one in incidents.all):
        entries += _last_records(run)
    entries.sort(key=lambda entry: (order.get(entry.ref.file, 0), entry.ref.line, entry.kind))
    folded = list(_fold(entries))
    if len(folded) > MAX_ENTRIES:
        folded = folded[: MAX_ENTRIES // 2] + folded[-MAX_ENTRIES // 2 :]
    return tuple(_of_its_rank(entry) for entry in folded)


def _of_its_rank(entry: TimelineEntry) -> TimelineEntry:
    """An entry that speaks for several ranks quotes none of them: the document has one field for both."""
    return entry if entry.ref.rank == entry.rank else replace(entry, ref=replace(entry.ref, rank=entry.rank))


def _milestone(event: Event, clocks: Clocks) -> TimelineEntry:
    message = event.data.get("message") or event.data.get("path") or event.data.get("checkpoint")
    text = str(message) if message else event.ref.text.strip()
    return TimelineEntry(event.ref, event.kind, text[:200], event.step, clocks.time(event), event.rank)


def _failures(incidents: Incidents, clocks: Clocks) -> Iterator[TimelineEntry]:
    """One entry for all equal messages of an attempt, at the place of the first."""
    groups: dict[tuple[str, str, int], list[Incident]] = {}
    for one in incidents.all:
        if one.fate == "handled" or (one.event.kind != kinds.TRACEBACK and "header" in one.event.data):
            continue  # the traceback itself has an entry
        key = (one.event.kind, re.sub(r"\d+", "#", _text(one))[:80], one.attempt)
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        first = group[0]
        rank = first.event.rank if len({one.event.rank for one in group}) == 1 else None
        yield TimelineEntry(
            first.event.ref, first.event.kind, _text(first)[:200], first.step, clocks.time(first.event), rank, len(group)
        )


def _text(one: Incident) -> str:
    name = one.text("exception").rpartition(".")[2]
    message = one.text("message").split("\n", 1)[0]
    if one.event.kind == kinds.TRACEBACK and name:
        return f"{name}: {message}" if message else name
    return message or one.event.ref.text.strip()


def _last_records(run: Run) -> Iterator[TimelineEntry]:
    """The last record of each rank's training metrics: how far it got."""
    latest: dict[int | None, Series] = {}
    for track in run.tracks:
        if len(track) and track.is_text and track.metric in ("loss", "lr", "grad_norm", "step_time"):
            known = latest.get(track.rank)
            if known is None or track.steps[-1] > known.steps[-1]:
                latest[track.rank] = track
    for rank, track in sorted(latest.items(), key=lambda item: (item[1].steps[-1], item[0] is None, item[0] or 0))[:MAX_RANKS]:
        ref = SourceRef(track.file, track.lines[-1], "", rank)
        yield TimelineEntry(ref, "last-record", f"last record: step {track.steps[-1]}", track.steps[-1], None, rank)


def _fold(entries: Sequence[TimelineEntry]) -> Iterator[TimelineEntry]:
    """Equal neighbours, and neighbours of a kind that repeats, as one."""
    last: TimelineEntry | None = None
    for entry in entries:
        is_same = (
            last is not None
            and last.kind == entry.kind
            and (entry.kind in _REPEATS or (last.text == entry.text and last.rank == entry.rank and entry.kind not in FAILURES))
        )
        if last is not None and is_same:
            count = last.count + entry.count
            last = TimelineEntry(last.ref, last.kind, last.text, last.step, last.time, last.rank, count)
            continue
        if last is not None:
            yield last
        last = entry
    if last is not None:
        yield last
