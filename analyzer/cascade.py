"""Many messages, one beginning: which finding came first, where its first sign stands, and on which rank.

A log of many ranks is a set of victims and at most one culprit, and the culprit prints least. So the findings are put
into tiers before they are put into order: hardware; what can begin an end (exceptions, memory, signals, numbers that went
wrong); failed communication; a collective that timed out (told by those who waited); a lost peer; a launcher's report.
The earliest of the best tier wins: by time where all have one, else by place. In the lower tiers the culprit itself is
not in the log: then the cause is inferred (`is_inferred`), and the text says from what.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from analyzer.apart import owner, slowest
from analyzer.clock import Clocks
from analyzer.incidents import Incident, Incidents, Place
from analyzer.model import Finding, FirstCause
from parsers import Run, kinds
from parsers.model import SourceRef

HARDWARE, ROOT, NETWORK, WAITED, PEER, POINTER = range(6)
_TIERS: Final = {
    "hardware-fault": HARDWARE, "communication-error": NETWORK, "collective-timeout": WAITED,
    "rank-failure": POINTER, "stall": WAITED,
}  # fmt: skip
_KINDS: Final = {
    kinds.COLLECTIVE_TIMEOUT: ("rank that waited in vain", "ranks that waited in vain"),
    kinds.COMMUNICATION_ERROR: ("lost connection", "lost connections"),
    kinds.SIGNAL: ("signal", "signals"),
    kinds.CHILD_FAILED: ("failed child", "failed children"),
    kinds.TRACEBACK: ("further exception", "further exceptions"),
    kinds.DEVICE_ASSERT: ("repeated CUDA error", "repeated CUDA errors"),
}
"""What mostly only follows, in the words of the summary."""
_CLEARED: Final = ("child that the launcher ended", "children that the launcher ended")
_ASKED: Final = frozenset({"SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", ""})
"""Signals by which somebody ends a run; what had gone wrong before them is the beginning."""


class Candidate(NamedTuple):
    """Finding number `number` with what orders it. `incident` is None where the finding is one of numbers."""

    number: int
    finding: Finding
    tier: int
    place: Place
    incident: Incident | None
    time: float | None


def first_cause(run: Run, findings: Sequence[Finding]) -> FirstCause | None:
    """Where it began: among critical findings, or among warnings where there is none."""
    loud = [(i, f) for i, f in enumerate(findings) if f.severity == "critical"]
    loud = loud or [(i, f) for i, f in enumerate(findings) if f.severity == "warning"]
    if not loud:
        return None
    incidents, clocks = Incidents(run), Clocks(run)
    order = {file.path: place for place, file in enumerate(run.files)}
    by_place = {(one.event.ref.file, one.event.ref.line): one for one in reversed(incidents.all)}
    candidates = [_candidate(index, finding, order, by_place, clocks) for index, finding in loud]
    first = _earliest(candidates)
    return _cause(first, incidents, slowest(run))


def _candidate(
    index: int, finding: Finding, order: dict[str, int], by_place: dict[tuple[str, int], Incident], clocks: Clocks
) -> Candidate:
    refs = [evidence.ref for evidence in finding.evidence]
    known = [one for ref in refs if (one := by_place.get((ref.file, ref.line))) is not None]
    fatal = [one for one in known if one.fate == "fatal"] or known
    dated = min(fatal, key=lambda one: _order(clocks.began(one.event), one.place), default=None) if _is_event(finding) else None
    incident = _undated_before(dated, fatal, clocks) if dated else None
    place = incident.place if incident else Place(order.get(refs[0].file, 0), refs[0].line)
    tier = _TIERS.get(finding.rule, ROOT)
    if tier == NETWORK and incident and incident.event.data.get("is_peer"):
        tier = PEER
    if finding.rule == "killed-by-signal" and incident and incident.text("signal") == "SIGABRT":
        tier = POINTER
    return Candidate(index, finding, tier, place, incident, clocks.began(dated.event) if dated else None)


def _undated_before(dated: Incident, found: Sequence[Incident], clocks: Clocks) -> Incident:
    """The rank's own earlier line without a stamp, else `dated`: within one rank the order of the file is that of time."""
    rank, place = dated.event.rank, dated.place
    own = [
        one for one in found
        if rank is not None and one.event.rank == rank and one.place.file == place.file and one.place < place
        and clocks.began(one.event) is None
    ]  # fmt: skip
    return min(own, key=lambda one: one.place, default=dated)


def _is_event(finding: Finding) -> bool:
    return "count" in finding.facts


def _order(time: float | None, place: Place) -> tuple[int, float, Place]:
    return (0, time, place) if time is not None else (1, 0.0, place)


def _earliest(candidates: Sequence[Candidate]) -> Candidate:
    candidates = [_after_asking(candidate, candidates) for candidate in candidates]
    tier = min(candidate.tier for candidate in candidates)
    best = [candidate for candidate in candidates if candidate.tier == tier]
    if all(candidate.time is not None for candidate in best):
        return min(best, key=lambda one: (one.time or 0.0, one.place))
    return min(best, key=lambda one: one.place)


def _after_asking(one: Candidate, candidates: Sequence[Candidate]) -> Candidate:
    """A run that was asked to end after something had gone wrong did not begin to end there."""
    if one.finding.rule != "killed-by-signal" or one.incident is None or one.incident.text("signal") not in _ASKED:
        return one
    is_late = any(other.place < one.place for other in candidates if other.number != one.number and other.tier < POINTER)
    return one._replace(tier=POINTER) if is_late else one


def _cause(first: Candidate, incidents: Incidents, last: tuple[int, str] | None) -> FirstCause:
    finding, incident = first.finding, first.incident
    ref = finding.evidence[0].ref if incident is None else incident.event.ref
    rank, how = (ref.rank, "") if incident is None else owner(incident, incidents)
    time = first.time
    inferred = _inference(first) or _silent(first, rank, incidents)
    apart = _as_rank(finding.facts.get("rank_apart"))
    if first.tier == NETWORK and apart is not None and incident is not None:
        ref = _own_line(incident, apart, incidents)
    told = finding.summary + (f"; {how}" if how else "")
    if inferred is None:
        rank = rank if apart is None else apart
        rank = _only_rank(finding) if rank is None else rank
        return FirstCause(first.number, ref, rank, time, False, told + _echoes(first, rank, incidents))
    culprit, why = inferred
    if culprit is None and last is not None:
        culprit, why = last[0], f"{why}; {last[1]}"
    return FirstCause(first.number, ref, culprit, time, True, f"{told}; inferred: {why}" + _echoes(first, culprit, incidents))


def _inference(first: Candidate) -> tuple[int | None, str] | None:
    """(rank, from what) where the culprit itself left no message, None where it did."""
    facts = first.finding.facts
    apart = _as_rank(facts.get("rank_apart"))
    if first.tier in (NETWORK, WAITED) and (both := facts.get("ranks_apart")) is not None and apart is None:
        return None, f"ranks {both} went different ways, and nothing says which one is wrong"
    if first.tier == NETWORK and apart is not None and "ranks_apart" in facts:
        return apart, f"rank {apart} alone had begun to save"
    if first.tier == WAITED and first.finding.rule == "collective-timeout":
        behind = facts.get("rank_behind")
        if apart is not None:
            return apart, f"rank {apart} alone was elsewhere"
        if isinstance(behind, int):
            return behind, f"the ranks stood at different collectives and rank {behind} was the furthest behind"
        if several := facts.get("ranks_behind"):
            return None, f"the ranks stood at different collectives and ranks {several} were the furthest behind"
        silent = str(facts.get("ranks_silent") or "")
        if silent.isdigit():
            return int(silent), f"rank {silent} never complained, so it is the one that did not come"
        if silent:
            return None, f"ranks {silent} never complained, so one of them did not come"
        if facts.get("is_desync"):
            return None, "the ranks stood at different collectives"
        return None, "those who wait report, the one that did not come is silent"
    if first.tier == PEER:
        return None, "a peer went first, and its own messages are not in this log"
    if first.tier == POINTER and facts.get("signal") == "SIGABRT":
        return None, "the launcher saw this process end first, but an abort is mostly a victim's"
    if first.tier == POINTER and first.incident is not None:
        return _as_rank(facts.get("rank")), "only the launcher's report is here, the process's own messages are not"
    return None


def _own_line(incident: Incident, rank: int, incidents: Incidents) -> SourceRef:
    """Where a rank itself says what another rank said first."""
    same = (one for one in incidents.all if one.event.kind == incident.event.kind and one.attempt == incident.attempt)
    return next((one.event.ref for one in same if one.event.rank == rank), incident.event.ref)


def _silent(first: Candidate, rank: int | None, incidents: Incidents) -> tuple[int, str] | None:
    """The rank that a launcher did not name: the only one that printed nothing while the others lost their peer."""
    if rank is not None or first.incident is None or first.incident.event.kind not in (kinds.CHILD_FAILED, kinds.SIGNAL):
        return None
    same = [one for one in incidents.all if one.attempt == first.incident.attempt and one.event.rank is not None]
    if not any(one.event.data.get("is_peer") for one in same):
        return None
    silent = set(incidents.world()) - {one.event.rank for one in same}
    if len(silent) != 1:
        return None
    (culprit,) = silent
    return culprit, f"rank {culprit} printed nothing while the others lost their peer"


def _only_rank(finding: Finding) -> int | None:
    """The rank of a finding whose first line names none, where its other lines agree on one."""
    ranks = str(finding.facts.get("ranks") or "")
    return int(ranks) if ranks.isdigit() else None


def _as_rank(value: object) -> int | None:
    return value if isinstance(value, int) else None


def _is_told(one: Incident, first: Incident) -> bool:
    """Whether the first cause's own finding speaks of this message, too: it cites a few lines of all that it counts."""
    if one.event.kind == kinds.COLLECTIVE_TIMEOUT:
        return first.event.kind == kinds.COLLECTIVE_TIMEOUT
    if one.event.kind != kinds.TRACEBACK:
        return False
    return _words(one) == _words(first) or one.text("owner") == first.event.kind == kinds.CUDA_OOM


def _words(one: Incident) -> tuple[str, str]:
    return one.text("exception"), re.sub(r"\d+", "#", one.text("message"))[:120]


def _echoes(first: Candidate, rank: int | None, incidents: Incidents) -> str:
    """What followed in the same attempt and is no cause of its own, counted: a process or a message once."""
    if first.incident is None:
        return ""
    cited = {(evidence.ref.file, evidence.ref.line) for evidence in first.finding.evidence}
    counts: dict[tuple[str, str], set[object]] = {}
    own = [first.incident, *(one for one in incidents.all if rank is not None and one.event.rank == rank)]
    told: set[object] = {pid for one in own if (pid := one.event.data.get("pid")) is not None}
    for one in incidents.all:
        data, place = one.event.data, (one.event.ref.file, one.event.ref.line)
        if one.attempt != first.incident.attempt or place in cited or one.fate == "handled" or data.get("owner") == "launcher":
            continue
        if _is_told(one, first.incident):
            continue
        name = _CLEARED if data.get("is_collateral") else _KINDS.get(one.event.kind)
        what = place if data.get("pid") is None else data["pid"]
        if name and what not in told:
            told.add(what)
            counts.setdefault(name, set()).add(what)
    text = ", ".join(f"{len(found)} {one if len(found) == 1 else many}" for (one, many), found in counts.items())
    return f"; then {text}" if text else ""
