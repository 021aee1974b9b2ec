"""What happened, in order: starts, onsets, errors and ends; echoes folded with their count and an example."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from typing import Final, NamedTuple

from analyzer.clock import Clocks
from analyzer.incidents import FAILURES, Incident, Incidents, cut
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


Place = tuple[str, int]


class _Failure(NamedTuple):
    """Equal messages as one entry, and where each of them stands."""

    entry: TimelineEntry
    places: frozenset[Place]


def timeline(run: Run, findings: Sequence[Finding]) -> tuple[TimelineEntry, ...]:
    """Milestones, failures, finding onsets and each rank's last record, in order; at most 60 entries.

    Within a file the order is that of its lines; between files it is that of the clock where every file shows one.
    """
    clocks = Clocks(run)
    incidents = Incidents(run)
    entries = [_milestone(event, clocks) for event in run.events if event.kind in _MILESTONES]
    entries += _with_findings(_failures(incidents, clocks), findings)
    if any(one.fate == "fatal" for one in incidents.all):
        entries += _last_records(run)
    folded = list(_fold(_in_order(entries, {file.path: place for place, file in enumerate(run.files)})))
    if len(folded) > MAX_ENTRIES:
        folded = folded[: MAX_ENTRIES // 2] + folded[-MAX_ENTRIES // 2 :]
    return tuple(folded)


def _in_order(entries: Sequence[TimelineEntry], order: Mapping[str, int]) -> list[TimelineEntry]:
    """By place; by time between files that all show one: an entry without a stamp goes with the one before it."""
    placed = sorted(entries, key=lambda entry: (order.get(entry.ref.file, 0), entry.ref.line, entry.kind))
    files = {entry.ref.file for entry in placed}
    if len(files) < 2 or files != {entry.ref.file for entry in placed if entry.time is not None}:
        return placed
    latest = {entry.ref.file: entry.time for entry in reversed(placed) if entry.time is not None}
    times: list[float] = []
    for entry in placed:
        latest[entry.ref.file] = max(latest[entry.ref.file], latest[entry.ref.file] if entry.time is None else entry.time)
        times.append(latest[entry.ref.file])
    return [placed[at] for at in sorted(range(len(placed)), key=lambda at: times[at])]


def _with_findings(failures: Iterable[_Failure], findings: Sequence[Finding]) -> Iterator[TimelineEntry]:
    """The failures and the findings' onsets; a failure and the first finding about it are one entry, in the finding's words."""
    told: set[Place] = set()
    for failure in failures:
        entry = failure.entry
        found = next((one for one in findings if _place(one) in failure.places), None)
        told |= failure.places
        if found is not None:
            step = found.first_step if entry.step is None else entry.step
            entry = replace(entry, ref=found.evidence[0].ref, kind=found.rule, text=found.summary, step=step)
        yield entry
    for finding in findings:
        if _place(finding) not in told:
            ref = finding.evidence[0].ref
            yield TimelineEntry(ref, finding.rule, finding.summary, finding.first_step, None, ref.rank)


def _place(finding: Finding) -> Place:
    return finding.evidence[0].ref.file, finding.evidence[0].ref.line


def _milestone(event: Event, clocks: Clocks) -> TimelineEntry:
    message = event.data.get("message") or event.data.get("path") or event.data.get("checkpoint")
    text = str(message) if message else event.ref.text.strip()
    return TimelineEntry(event.ref, event.kind, cut(text, 200), event.step, clocks.time(event), event.rank)


def _failures(incidents: Incidents, clocks: Clocks) -> Iterator[_Failure]:
    """One entry for all equal messages of an attempt, at the place of the first."""
    groups: dict[tuple[str, str, int, str], list[Incident]] = {}
    for one in incidents.all:
        if one.fate == "handled" or (one.event.kind != kinds.TRACEBACK and "header" in one.event.data):
            continue  # the traceback itself has an entry
        key = (one.event.kind, re.sub(r"\d+", "#", _text(one))[:80], one.attempt, one.text("signal"))
        groups.setdefault(key, []).append(one)
    for group in groups.values():
        first = group[0]
        rank = first.event.rank if len({one.event.rank for one in group}) == 1 else None
        entry = TimelineEntry(
            first.event.ref, first.event.kind, cut(_text(first), 200), first.step, clocks.time(first.event), rank, len(group)
        )
        yield _Failure(entry, frozenset((one.event.ref.file, one.event.ref.line) for one in group))


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
        time = track.times[-1] if isfinite(track.times[-1]) else None
        yield TimelineEntry(ref, "last-record", f"last record: step {track.steps[-1]}", track.steps[-1], time, rank)


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
