"""Messages of failure in one run: which of them ended it, which were survived, and to which attempt each belongs.

A log may hold several attempts (a job that was requeued, a script started again) and exceptions that were caught. Both
are told from what follows a message in its own file:

- *handled*: training went on in the same attempt, or the program still said that it ended well;
- *past*: it ended its attempt, and a later attempt trained on;
- *fatal*: nothing but the end follows.

Standard output may have been buffered: then up to eight kilobytes of earlier rows follow a stack that standard error
showed at once. So few rows at the very end of a file do not prove that an exception was survived (`is_unsure`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, cast

from analyzer.model import Confidence, Evidence, Finding, Severity
from parsers import Event, Run, Series, SourceRef, kinds
from parsers.model import Environment, SourceFile, Value
from parsers.ranks import attempt_of

Fate = Literal["fatal", "past", "handled"]

MIN_ROWS: Final = 3
"""Training rows that must follow before an exception counts as handled: other ranks print one or two more before they
notice that a peer is gone."""
BUFFER: Final = 16 * 2**10
"""Bytes of rows that a buffered standard output may still deliver after a crash: twice glibc's buffer."""
RESTARTS: Final = 1000
"""Attempts within one file before torchrun's restarts, which have files of their own, would be mistaken for them."""
MAX_RANKS: Final = 2**16
"""Ranks beyond which a number is none."""
MAX_EVIDENCE: Final = 5
"""Lines that a finding cites: more of the same convince nobody."""

_ASIDE: Final = ("overflow", "labels_masked", "cache_flushes", "memory", "eval")
"""Beginnings of metrics that are no sign of training going on."""
_COLLATERAL_AFTER_STOP: Final = frozenset(
    {kinds.SIGNAL, kinds.CHILD_FAILED, kinds.TRACEBACK, kinds.COMMUNICATION_ERROR, kinds.DATALOADER}
)


_KEY: Final = "incidents"


class Place(NamedTuple):
    """Order of a line within the run: the file's position, then the line."""

    file: int
    line: int


@dataclass(frozen=True, slots=True)
class Incident:
    """An event with what became of it. `step` is the last one that was logged before it, if any."""

    event: Event
    place: Place
    fate: Fate
    attempt: int
    step: int | None = None
    is_unsure: bool = False
    step_source: str = ""

    @property
    def data(self) -> dict[str, Value]:
        """The event's data, as a plain dict."""
        return dict(self.event.data)

    def text(self, key: str) -> str:
        """A value of the event's data as text, '' where it is missing."""
        value = self.event.data.get(key)
        return "" if value is None else str(value)

    def number(self, key: str) -> float | None:
        """A value of the event's data as a number, None where it is none."""
        value = self.event.data.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class _Parts(NamedTuple):
    """What is needed of a run. The run itself remembers its incidents: to hold it here would keep it alive for long."""

    environment: Environment
    events: tuple[Event, ...]
    tracks: tuple[Series, ...]
    files: tuple[SourceFile, ...]
    planned_steps: int | None
    step_source: str


class Incidents:
    """All failure messages of a run in the order of its files, their fates decided."""

    def __new__(cls, run: Run) -> Incidents:
        """Those that were read already, where a run is asked about again: a score of rules ask for the same."""
        return cast(Incidents, run.remembered.get(_KEY) or object.__new__(cls))

    def __init__(self, run: Run) -> None:
        if _KEY not in run.remembered:
            self._read(run)
            run.remembered[_KEY] = self

    def _read(self, run: Run) -> None:
        self._run = _Parts(run.environment, run.events, run.tracks, run.files, run.planned_steps, run.step_source)
        events = (
            []
            if run.kinds.isdisjoint(FAILURES)
            else [e for e in run.events if e.kind in FAILURES and not e.data.get("is_ignored")]
        )
        self.all: tuple[Incident, ...] = ()
        self._stops: dict[int, Incident] = {}
        if events:
            self._judge(run, events)

    def _judge(self, run: Run, events: Sequence[Event]) -> None:
        """Decides the fates of a run's failure messages."""
        self._order = {file.path: place for place, file in enumerate(run.files)}
        self._tracks = _rows(run)
        self._ends = _lines(run.events_of(kinds.RUN_END, kinds.PROCESS_OK))
        self._failed = _lines([e for e in run.events_of(kinds.CHILD_FAILED) if not e.data.get("is_collateral")])
        starts = _lines(run.events_of(kinds.RUN_START, kinds.RESUME))
        self._borders = {
            file: _borders(track, starts.get(file, []), self._failed.get(file, [])) for file, track in self._tracks.items()
        }
        trained = (file for file, track in self._tracks.items() if len(track) >= MIN_ROWS)
        self._restarted = max((attempt_of(file) for file in trained), default=0)
        self.all = tuple(sorted((self._incident(event) for event in events), key=lambda one: (one.place, one.event.kind)))
        self._stops = self._find_stops()

    def of_kind(self, *wanted: str, with_handled: bool = False) -> tuple[Incident, ...]:
        """Incidents of these kinds that ended an attempt (or all, when `with_handled`)."""
        if not self.all:
            return ()
        return tuple(one for one in self.all if one.event.kind in wanted and (with_handled or one.fate != "handled"))

    def stop_of(self, attempt: int) -> Incident | None:
        """The user's Ctrl-C in an attempt, if nothing had failed in it before."""
        return self._stops.get(attempt)

    def is_collateral(self, incident: Incident) -> bool:
        """Whether an incident only follows from the user's Ctrl-C or was the launcher's own clearing up."""
        if incident.event.data.get("is_collateral"):
            return True
        stop = self.stop_of(incident.attempt)
        return stop is not None and incident.event.kind in _COLLATERAL_AFTER_STOP and incident.place >= _with_torn(stop.place)

    def world(self) -> tuple[int, ...]:
        """The ranks of the run: 0 to the world size where that was printed, else those that are spoken of."""
        size = self._run.environment.number("run:world_size")
        if size and 1 < size <= MAX_RANKS:
            return tuple(range(int(size)))
        spoken = {event.rank for event in self._run.events} | {track.rank for track in self._run.tracks}
        highest = max((rank for rank in spoken if rank is not None), default=0)
        return tuple(range(highest + 1)) if 0 < highest < MAX_RANKS else ()

    def rank_of_process(self, pid: object) -> int | None:
        """The rank of a process, where a launcher says which it is: as it started it on the only node, or as it failed."""
        nodes = self._run.environment.number("run:nnodes")
        for event in self._run.events:
            if event.kind in (kinds.CHILD_FAILED, kinds.PROCESS_START) and event.data.get("pid") == pid and pid is not None:
                local = event.data.get("local_rank") if event.kind == kinds.PROCESS_START and nodes in (None, 1) else None
                rank = event.rank if event.rank is not None else local
                if isinstance(rank, int):
                    return rank
        return None

    def roots(self, attempt: int, besides: Collection[str] = ()) -> tuple[Incident, ...]:
        """What may have begun the end of an attempt, in the order of the files; kinds in `besides` left out."""
        return tuple(
            one for one in self.all
            if one.attempt == attempt and one.fate != "handled" and one.event.kind not in besides and is_root(one)
            and not self.is_collateral(one)
        )  # fmt: skip

    def _find_stops(self) -> dict[int, Incident]:
        stops: dict[int, Incident] = {}
        begun: set[int] = set()
        for one in self.all:
            if one.fate == "handled" or one.attempt in begun:
                continue
            if one.event.kind == kinds.INTERRUPTED:
                stops.setdefault(one.attempt, one)
            if is_root(one):
                begun.add(one.attempt)
        return stops

    def _incident(self, event: Event) -> Incident:
        file, line = event.ref.file, event.ref.line
        fate, is_unsure = self._fate(event)
        track = self._tracks.get(file)
        step = None
        if track is not None and (index := bisect_left(track.lines, line)):
            step = track.steps[index - 1]
        attempt = bisect_right(self._borders.get(file, ()), line)
        if again := attempt_of(file):
            attempt += again * RESTARTS
        if fate == "fatal" and again < self._restarted:
            fate = "past"
        return Incident(event, Place(self._order.get(file, 0), line), fate, attempt, step, is_unsure, self._run.step_source)

    def _fate(self, event: Event) -> tuple[Fate, bool]:
        file, line = event.ref.file, event.ref.line
        track = self._tracks.get(file)
        is_over = _is_over(event)
        borders = self._borders.get(file, [])
        after = bisect_right(borders, line)
        until = borders[after] if after < len(borders) else math.inf
        # A lost peer is what everybody sees when the first process has ended well, so there the order does not matter.
        since = line if not event.data.get("is_peer") else borders[after - 1] if after else 0
        is_ended = not is_over and self._is_ended(file, since, until)
        if track is None:
            return ("handled" if is_ended or (not is_over and self._ended_elsewhere(file)) else "fatal"), False
        index = bisect_right(track.lines, line)
        rows = bisect_left(track.lines, until) - index
        if is_over or rows < MIN_ROWS:
            return ("handled" if is_ended else "past" if len(track) - index >= MIN_ROWS else "fatal"), False
        if after == len(borders) and not is_ended and self._is_buffered_tail(event, track):
            return "fatal", True
        return "handled", False

    def _is_ended(self, file: str, since: int, until: float) -> bool:
        """Whether the program said between two lines that it ended well, and no launcher said the contrary."""
        is_failed = any(since < at < until for at in self._failed.get(file, ()))
        return not is_failed and any(since < end < until for end in self._ends.get(file, ()))

    def _ended_elsewhere(self, file: str) -> bool:
        return not self._failed and any(other != file for other in self._ends)

    def _is_buffered_tail(self, event: Event, track: Series) -> bool:
        """Whether the rows after a stack may be what a buffer still held."""
        if event.data.get("is_bare") or (event.kind != kinds.CUDA_OOM and "header" not in event.data):
            return False
        planned = self._run.planned_steps
        if planned and track.steps[-1] >= planned:
            return False
        size = next((f.bytes / f.lines for f in self._run.files if f.path == event.ref.file and f.lines), 200.0)
        return (track.lines[-1] - event.ref.line) * size <= BUFFER


_FINAL: Final = frozenset({kinds.CHILD_FAILED, kinds.SCHEDULER, kinds.INTERRUPTED, kinds.SIGNAL})
"""Kinds that say that a process is over: rows after them belong to another attempt."""


def _is_over(event: Event) -> bool:
    """Whether the message itself says that a process is over; a program may survive a signal that it was told of."""
    if event.kind == kinds.SIGNAL and event.data.get("sender") == "program":
        return False
    return event.kind in _FINAL or (event.kind == kinds.HOST_OOM and "header" not in event.data)


FAILURES: Final = frozenset({
    kinds.TRACEBACK, kinds.CUDA_OOM, kinds.HOST_OOM, kinds.SIGNAL, kinds.CHILD_FAILED, kinds.INTERRUPTED,
    kinds.COLLECTIVE_TIMEOUT,
    kinds.COMMUNICATION_ERROR, kinds.DEVICE_ASSERT, kinds.HARDWARE, kinds.DATALOADER, kinds.CHECKPOINT_FAILURE, kinds.DISK_FULL,
    kinds.CONFIG_ERROR, kinds.DEPENDENCY_ERROR, kinds.SCHEDULER, kinds.SCALE_MINIMUM,
})  # fmt: skip


def is_root(incident: Incident) -> bool:
    """Whether a message can be the beginning: not a lost peer, not a launcher's report of an ordinary exit."""
    data, kind = incident.event.data, incident.event.kind
    if kind == kinds.TRACEBACK:
        return not data.get("owner") and not data.get("is_copy")
    if kind == kinds.CHILD_FAILED:
        return data.get("signal") in ("SIGKILL", "SIGSEGV", "SIGBUS", "SIGILL", "SIGFPE")
    return not (data.get("is_peer") or data.get("is_collateral") or data.get("is_software"))


def _with_torn(place: Place) -> Place:
    """A little before a Ctrl-C's line: the stacks that it tears up begin before the word itself is printed."""
    return Place(place.file, max(0, place.line - 2))


def _lines(events: Sequence[Event]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in events:
        found.setdefault(event.ref.file, []).append(event.ref.line)
    return {file: sorted(lines) for file, lines in found.items()}


def _rows(run: Run) -> dict[str, Series]:
    """Per text file the track that shows best whether training went on: its longest one, the loss before others."""
    found: dict[str, Series] = {}
    for track in run.tracks:
        if not track.is_text or track.metric.startswith(_ASIDE) or not len(track):
            continue
        known = found.get(track.file)
        if known is None or (track.metric == "loss", len(track)) > (known.metric == "loss", len(known)):
            found[track.file] = track
    return found


def _borders(track: Series, starts: Sequence[int], failed: Sequence[int]) -> list[int]:
    """The lines at which a new attempt begins: a restart's banner, else its first row.

    A new attempt is a step count that begins again (segments never fall), or rows after a launcher reported a failure.
    """
    changes = {bisect_left(track.segments, number) for number in range(1, track.segments[-1] + 1)}
    changes |= {index for at in failed if len(track) - (index := bisect_right(track.lines, at)) >= MIN_ROWS}
    borders = set()
    for index in changes:
        before = max((at for at in failed if at <= track.lines[index]), default=0)
        if index:
            before = max(before, track.lines[index - 1])
        banner = bisect_right(starts, before)
        is_before = banner < len(starts) and starts[banner] <= track.lines[index]
        borders.add(starts[banner] if is_before else track.lines[index])
    return sorted(borders)


def severity(incidents: Sequence[Incident]) -> Severity:
    """critical where one of them ended the run, warning where every one was followed by another attempt."""
    return "critical" if any(one.fate == "fatal" for one in incidents) else "warning"


def finding(
    rule: str, incidents: Sequence[Incident], summary: str, *, confidence: Confidence = "high", how_bad: Severity | None = None,
    note: str = "", facts: Mapping[str, Value] | None = None,
) -> Finding:  # fmt: skip
    """One finding for several equal incidents: the first line of each rank as evidence, ranks and count as facts."""
    first = incidents[0]
    ranks = sorted({one.event.rank for one in incidents if one.event.rank is not None})
    told: dict[str, Value] = {"count": len(incidents)}
    if first.step is not None:
        told["step_source"] = first.step_source
    if ranks:
        told["ranks"] = ranges(ranks)
    if all(one.fate == "past" for one in incidents):
        told["recovers"] = True
    return Finding(
        rule=rule,
        severity=how_bad or severity(incidents),
        confidence="low" if any(one.is_unsure for one in incidents) else confidence,
        summary=summary,
        evidence=tuple(Evidence(ref, note if ref == first.event.ref else "") for ref in _cited(incidents)),
        first_step=first.step,
        last_step=incidents[-1].step,
        facts=told | dict(facts or {}),
    )


def _cited(incidents: Sequence[Incident]) -> list[SourceRef]:
    """The first line, then one of each further rank, then the others, each line once."""
    seen_ranks: set[int | None] = set()
    ordered: list[SourceRef] = []
    rest: list[SourceRef] = []
    for one in incidents:
        target = rest if one.event.rank in seen_ranks and ordered else ordered
        seen_ranks.add(one.event.rank)
        target.append(one.event.ref)
    refs: dict[tuple[str, int], SourceRef] = {}
    for ref in (*ordered, *rest):
        refs.setdefault((ref.file, ref.line), ref)
    return list(refs.values())[:MAX_EVIDENCE]


def cut(text: str, limit: int) -> str:
    """At most `limit` letters of a text; `…` stands where letters are missing, so that nobody takes a part for the whole."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def ranges(numbers: Sequence[int]) -> str:
    """0,1,2,5 → `0-2,5`."""
    parts: list[str] = []
    start = previous = numbers[0]
    for number in (*numbers[1:], None):
        if number == previous + 1 and number is not None:
            previous = number
            continue
        parts.append(str(start) if start == previous else f"{start}-{previous}")
        if number is not None:
            start = previous = number
    return ",".join(parts)


def where(incidents: Sequence[Incident]) -> str:
    """` on rank 3` / ` on ranks 0-7` / '' and ` after step 41` as far as known: for the end of a summary."""
    ranks = sorted({one.event.rank for one in incidents if one.event.rank is not None})
    text = f" on rank{'s' if len(ranks) > 1 else ''} {ranges(ranks)}" if ranks else ""
    step = incidents[0].step
    return text + (f" after step {step}" if step is not None else "")
