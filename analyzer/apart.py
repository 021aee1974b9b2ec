"""The rank that did something else than all others: told by what they were at, or by who is missing among the victims.

Where ranks disagree everybody complains alike, so nobody's own words name the culprit. What does:

- torch's check of collectives (`TORCH_DISTRIBUTED_DEBUG=DETAIL`) prints what each rank was running;
- the stacks of ranks that waited in vain: the one that stood at another line took another branch; of two ranks nobody
  can say which one is wrong, so both are told (`pair`), unless one alone had just begun to save (`lone_saver`);
- a message without a rank belongs to the only rank that the launcher saw fail, to the only one that aborted, or to the only
  one that did not lose its peer.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from analyzer.incidents import Incident, Incidents
from parsers import Run, kinds
from parsers.model import Value

_FINGERPRINT: Final = re.compile(
    r"Rank (?P<rank>\d{1,6}) is running collective: CollectiveFingerPrint\((?:SequenceNumber=(?P<seq>\d{1,18}), )?"
    r"OpType=(?P<op>\w{1,40})(?:, TensorShape=\[(?P<shape>[\d, ]{0,60})\])?"
)
_VICTIMS: Final = frozenset({kinds.COMMUNICATION_ERROR, kinds.COLLECTIVE_TIMEOUT})


class Apart(NamedTuple):
    """One rank, its message, and in words what it did where the others did something else."""

    rank: int
    incident: Incident
    text: str


def apart(incidents: Sequence[Incident], everything: Incidents) -> Apart | None:
    """The one rank of at least three that was running something else than the rest; None where no single one was."""
    mine = {one.event.rank: one for one in incidents if one.event.rank is not None}
    ran = {rank: found for rank, one in mine.items() if (found := _running(one))}
    return _odd(ran, mine) or _odd(_frames(mine, everything), mine)


def pair(incidents: Sequence[Incident], everything: Incidents) -> str:
    """What either of two ranks was at, where that is not the same: two have no majority. '' where it is or more are known."""
    mine = {one.event.rank: one for one in incidents if one.event.rank is not None}
    if len(mine) != 2 or len(everything.world()) > 2:
        return ""
    ran = {rank: found for rank, one in mine.items() if (found := _running(one))}
    return differing(ran) or differing(_frames(mine, everything))


def lone_saver(run: Run, at: Incident) -> int | None:
    """The rank that said, after the last record before a failure, that it saves a checkpoint, where no other rank said so."""
    ref = at.event.ref
    rows = (line for track in run.tracks if track.file == ref.file and track.metric == "loss" for line in track.lines)
    last = max((line for line in rows if line < ref.line), default=0)
    saves = [one for one in run.events_of(kinds.CHECKPOINT) if one.ref.file == ref.file and last < one.ref.line < ref.line]
    ranks = {one.rank for one in saves}
    return ranks.pop() if len(ranks) == 1 else None


def parted(run: Run, at: Incident, ranks: str, text: str) -> dict[str, Value]:
    """Facts of two ranks that went different ways: both, and the one that alone had begun to save, where one had."""
    saver = lone_saver(run, at)
    if saver is None:
        return {"ranks_apart": ranks, "apart": text}
    return {"ranks_apart": ranks, "rank_apart": saver, "apart": f"{text}; rank {saver} alone had begun to save a checkpoint"}


def differing(at: Mapping[int, str]) -> str:
    """`rank 0 was at ALLREDUCE, rank 1 at ALLGATHER`; '' where both are at the same or not two are known."""
    if len(at) != 2 or len(set(at.values())) < 2:
        return ""
    (one, here), (other, there) = sorted(at.items())
    return f"rank {one} was at {here}, rank {other} at {there}"


def _running(one: Incident) -> str | None:
    """`ALLGATHER of [17]` from a mismatch message, which begins with the rank's own collective."""
    found = _FINGERPRINT.search(one.text("message"))
    if not found or int(found["rank"]) != one.event.rank:
        return None
    shape, seq = found["shape"], found["seq"]
    return found["op"] + (f" of [{shape}]" if shape else "") + (f" as number {seq}" if seq else "")


def _frames(mine: Mapping[int, Incident], everything: Incidents) -> dict[int, str]:
    """Where each rank's stack stood: what the program had called and where, else the innermost frame's file and line."""
    places = {one.place: rank for rank, one in mine.items()}
    found = {}
    for one in everything.all:
        if one.event.kind == kinds.TRACEBACK and one.place in places and one.text("frame"):
            found[places[one.place]] = one.text("call") or f"{one.text('frame').rpartition('/')[2]}:{one.text('frame_line')}"
    return found


def odd(at: Mapping[int, str]) -> tuple[int, str] | None:
    """(the one rank of at least three that was at something else than the rest, in words); None where no single one was."""
    counts = Counter(at.values())
    if len(at) < 3 or len(counts) != 2:
        return None
    (usual, _), (other, number) = counts.most_common()
    if number != 1:
        return None
    rank = next(rank for rank, what in at.items() if what == other)
    return rank, f"rank {rank} was at {other} where the others were at {usual}"


def _odd(at: Mapping[int, str], mine: Mapping[int, Incident]) -> Apart | None:
    found = odd(at)
    return Apart(found[0], mine[found[0]], found[1]) if found else None


def slowest(run: Run) -> tuple[int, str] | None:
    """The one rank whose records end before those of all others, in words; None where no single one does."""
    last: dict[int, int] = {}
    for track in run.tracks:
        if track.rank is not None and track.is_text and len(track):
            last[track.rank] = max(last.get(track.rank, track.steps[-1]), track.steps[-1])
    least, most = min(last.values(), default=0), max(last.values(), default=0)
    behind = [rank for rank, step in last.items() if step == least]
    if len(last) < 2 or least == most or len(behind) != 1:
        return None
    return behind[0], f"the last record of rank {behind[0]} is step {least}, others came to step {most}"


def owner(incident: Incident, everything: Incidents) -> tuple[int | None, str]:
    """(rank that a message belongs to, how that is known where the message itself does not say it)."""
    if incident.event.rank is not None:
        return incident.event.rank, ""
    same = [one for one in everything.all if one.attempt == incident.attempt and one is not incident]
    pid = incident.event.data.get("pid")
    if pid is not None:
        return everything.rank_of_process(pid), ""
    failed = [one for one in same if one.event.kind == kinds.CHILD_FAILED and not everything.is_collateral(one)]
    is_abort = incident.event.data.get("is_abort") is True
    ranks = {one.event.rank for one in failed if (one.text("signal") == "SIGABRT") == is_abort} - {None}
    if len(ranks) == 1 and incident.event.kind != kinds.CHILD_FAILED and not _is_shared(incident, same):
        (rank,) = ranks
        return rank, f"rank {rank} is the only one that the launcher saw fail so"
    victims = {one.event.rank for one in same if one.event.kind in _VICTIMS} - {None}
    left = set(everything.world()) - victims
    if len(left) == 1 and len(victims) > 1:
        (rank,) = left
        return rank, f"by elimination rank {rank}'s: every other rank lost its peer"
    return None, ""


def _is_shared(incident: Incident, others: Sequence[Incident]) -> bool:
    """Whether another process printed the same: then the launcher's report names only the one that it saw end first."""
    return any(
        one.event.kind == incident.event.kind and one.text("message") == incident.text("message")
        and not one.event.data.get("is_copy") for one in others
    )  # fmt: skip
