"""What the ranks' flight recorders say beside a log: who had enqueued less than the others, or something else.

A watchdog's line tells what its own rank waited for; a dump of each rank tells where all of them were. Sequence numbers are
compared within one process group. Where the calls of one number are not the same, the ranks parted there, whatever they
waited for afterwards: the one that is alone took another branch, and of two the one whose call nobody had made before. Else
the rank with the lowest last-enqueued number did not come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from analyzer.model import Evidence
from parsers import Event, Run, kinds

EQUAL = frozenset({"all_reduce", "all_reduce_barrier", "broadcast", "_all_gather_base", "_reduce_scatter_base", "barrier"})
"""Collectives to which every rank of a group brings as many elements as the others."""


class Call(NamedTuple):
    """One collective of a rank. `times`: how often the rank had made it before; `kind`: what has to be the same on all ranks."""

    times: int
    kind: str
    text: str


class Recorded(NamedTuple):
    """One rank that stood behind or apart, what says so, and the records that show it."""

    rank: int
    is_behind: bool
    text: str
    evidence: tuple[Evidence, ...]


def recorded(run: Run) -> Recorded | None:
    """The rank that the dumps of at least two ranks point at; None where they all agree or too few are there."""
    for ranks in _groups(run):
        found = _parted(ranks) or _behind(ranks) or _apart(ranks)
        if found:
            return found
    return None


def _groups(run: Run) -> list[dict[int, Event]]:
    """Per process group the record of each rank, the groups with most ranks first."""
    groups: dict[str, dict[int, Event]] = {}
    for event in run.events_of(kinds.FLIGHT_RECORD):
        if event.rank is not None:
            groups.setdefault(str(event.data.get("group")), {}).setdefault(event.rank, event)
    return sorted((ranks for ranks in groups.values() if len(ranks) > 1), key=len, reverse=True)


def _parted(ranks: Mapping[int, Event]) -> Recorded | None:
    """The rank that made another call than the rest under one number, after calls that were the same."""
    tails = {rank: _tail(event) for rank, event in ranks.items()}
    shared = sorted(set[int].intersection(*(set(tail) for tail in tails.values())))
    differs = [number for number in shared if len({tail[number].kind for tail in tails.values()}) > 1]
    if not differs or differs[0] == shared[0]:
        return None
    calls = {rank: tail[differs[0]] for rank, tail in tails.items()}
    alone = _alone({rank: call.kind for rank, call in calls.items()})
    fresh = [rank for rank, call in calls.items() if not call.times]
    if alone is None and (len(calls) != 2 or len(fresh) != 1):
        return None
    rank = fresh[0] if alone is None else alone
    other = next(one for one in sorted(calls) if calls[one].kind != calls[rank].kind)
    who, before = (f"rank {other}", ", as before") if alone is None else ("the others", "")
    text = f"rank {rank} called {calls[rank].text} as number {differs[0]} where {who} called {calls[other].text}{before}"
    return Recorded(rank, False, f"{text} (flight recorder)", _shown(ranks, rank, other))


def _tail(event: Event) -> dict[int, Call]:
    """Number → call, of the last calls that a dump tells."""
    found = {}
    for line in str(event.data.get("tail") or "").splitlines():
        number, times, op, sizes, where = line.split("\t")
        if number.isdigit():
            text = f"{op} {sizes}".strip()
            found[int(number)] = Call(int(times), text if op in EQUAL else op, text + (f" ({where})" if where else ""))
    return found


def _behind(ranks: Mapping[int, Event]) -> Recorded | None:
    at = {rank: enqueued for rank, event in ranks.items() if (enqueued := _enqueued(event)) is not None}
    last = [rank for rank in sorted(at) if at[rank] == min(at.values())]
    if len(at) < 2 or len(last) != 1:
        return None
    (rank,), most = last, max(at.values())
    other = next(one for one in sorted(at) if at[one] == most)
    text = f"rank {rank} had enqueued {at[rank]} collectives where others had {most} (flight recorder)"
    return Recorded(rank, True, text, _shown(ranks, rank, other))


def _apart(ranks: Mapping[int, Event]) -> Recorded | None:
    at = {rank: f"{event.data['op']} {event.data['sizes']}".strip() for rank, event in ranks.items() if event.data.get("op")}
    rank = _alone(at)
    if rank is None:
        return None
    other, usual = at[rank], next(what for what in at.values() if what != at[rank])
    where = _place(ranks[rank])
    text = f"rank {rank} was at {other}{where} where the others were at {usual} (flight recorder)"
    return Recorded(rank, False, text, _shown(ranks, rank, next(one for one in sorted(at) if at[one] == usual)))


def _alone(at: Mapping[int, str]) -> int | None:
    """The one rank of at least three that was at something else than all others."""
    counts = Counter(at.values()).most_common()
    if len(at) < 3 or len(counts) != 2 or counts[1][1] != 1:
        return None
    return next(rank for rank, what in at.items() if what == counts[1][0])


def _enqueued(event: Event) -> int | None:
    """The number of collectives that a rank had enqueued: as it says, else its last record's number."""
    for name in ("last_enqueued", "seq"):
        value = event.data.get(name)
        if isinstance(value, int) and value >= 0:
            return value
    return None


def _place(event: Event) -> str:
    frame = str(event.data.get("frame") or "").rpartition("/")[2]
    return f" ({frame}:{event.data.get('frame_line')})" if frame else ""


def _shown(ranks: Mapping[int, Event], *wanted: int) -> tuple[Evidence, ...]:
    return tuple(Evidence(ranks[rank].ref, "the flight recorder of that rank") for rank in wanted)
