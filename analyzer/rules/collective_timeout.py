"""A collective did not finish in time: somebody never came, and the others waited."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from analyzer.apart import apart, differing, odd, pair, parted
from analyzer.clock import Clocks
from analyzer.incidents import Incident, Incidents, finding, is_root, ranges
from analyzer.model import Finding
from analyzer.recorder import Recorded, recorded
from analyzer.rule import Threshold, rule
from parsers import Run, kinds
from parsers.model import Value

EARLY: Final = Threshold(5, "Sequence numbers up to this are set-up, not training.")
STALLED: Final = Threshold(
    1.5,
    "Waited longer than the limit by this factor: the watchdog itself stood still (suspended, frozen machine, held lock).",
)
AT_ONCE: Final = 60.0
"""Seconds between the beginning of a save or an evaluation in another rank's file and that of the wait for it."""
MAX_LISTED: Final = 64
_REPORTS: Final = frozenset({kinds.CHILD_FAILED, kinds.SIGNAL, kinds.SCHEDULER})
"""What others say of a rank: it may never have said a word itself."""
_EQUAL: Final = frozenset({"ALLREDUCE", "BROADCAST", "_ALLGATHER_BASE", "_REDUCE_SCATTER_BASE"})
"""Collectives to which every rank of a group brings as many elements as the others."""
_MUTUAL: Final = _EQUAL - {"BROADCAST"}
"""Collectives that no rank completes before every rank has brought its part; who broadcasts does not wait."""
_PHASES: Final = {
    "start-up": "the run was starting",
    kinds.CHECKPOINT: "a checkpoint was being saved",
    kinds.EVALUATION: "an evaluation was under way",
}


@rule(
    title="a collective timed out",
    severity="critical",
    events=(kinds.COLLECTIVE_TIMEOUT,),
    thresholds={
        "early": EARLY,
        "stalled": STALLED,
    },
)
def collective_timeout(run: Run) -> Iterator[Finding]:
    """One finding for all ranks that waited, with what their sequence numbers say about the one that did not come."""
    incidents = Incidents(run)
    found = incidents.of_kind(kinds.COLLECTIVE_TIMEOUT)
    if found:
        first = next((one for one in found if one.number("seq") is not None), found[0])
        dumps = recorded(run)
        facts = (
            _facts(first)
            | {"phase": _phase(run, first)}
            | _compared(run, found)
            | _missing(incidents, found)
            | _stacks(run, incidents, found)
            | _dumped(dumps)
        )
        ordered = [first, *(one for one in found if one is not first)]
        made = finding("collective-timeout", ordered, _summary(first, facts), note="the rank that waited", facts=facts)
        yield replace(made, evidence=(*made.evidence, *dumps.evidence)) if dumps else made


def _facts(one: Incident) -> dict[str, Value]:
    names = ("backend", "op", "seq", "numel", "group", "last_enqueued", "last_completed")
    facts: dict[str, Value] = {name: one.event.data[name] for name in names if one.event.data.get(name) is not None}
    timeout, ran = one.number("timeout_ms"), one.number("ran_ms")
    if timeout:
        facts["timeout_seconds"] = timeout / 1000
    if ran:
        facts["waited_seconds"] = ran / 1000
    if one.number("numel") == 1:
        facts["reading"] = (
            "one element: a barrier or a flag, so look for a rank that was busy on the host (saving, tokenising, evaluating)"
        )
    if timeout and ran and ran > STALLED.value * timeout:
        facts["reading"] = "waited far beyond the limit: the process itself stood still (suspended, frozen machine, held lock)"
        facts["is_stalled"] = True
    return facts


def _phase(run: Run, one: Incident) -> str:
    """What the run was at when it began to wait: start-up, checkpoint, evaluation, training or unknown."""
    seq = one.number("seq")
    if seq is not None and seq <= EARLY.value:
        return "start-up"
    ref, began = one.event.ref, Clocks(run).began(one.event)
    tracks = [track for track in run.tracks if track.file == ref.file and track.metric == "loss"]
    last = max((line for track in tracks for line in track.lines if line < ref.line), default=0)
    for event in reversed(run.events_of(kinds.CHECKPOINT, kinds.EVALUATION)):
        is_just_before = event.ref.file == ref.file and last < event.ref.line < ref.line
        is_then = event.time is not None and began is not None and abs(event.time - began) <= AT_ONCE
        if is_just_before or is_then:
            return event.kind
    return "training" if one.step is not None else "unknown"


def _compared(run: Run, found: Sequence[Incident]) -> dict[str, Value]:
    """What the ranks' positions say: at different collectives the programs went apart, the lowest is behind."""
    by_rank = {one.event.rank: one for one in found if one.event.rank is not None and one.number("seq") is not None}
    if len(by_rank) < 2:
        return {}
    positions = {(_call(one), one.text("group")) for one in by_rank.values()}
    facts: dict[str, Value] = {"is_desync": len(positions) > 1}
    if len(positions) == 1 or len({one.text("group") for one in by_rank.values()}) > 1:
        return facts
    enqueued = {rank: one.number("last_enqueued") or one.number("seq") or 0 for rank, one in by_rank.items()}
    behind = sorted(rank for rank, number in enqueued.items() if number == min(enqueued.values()))
    if len(behind) == len(enqueued):
        return facts | _alone(run, by_rank)
    if text := _mistaken(by_rank):
        return facts | parted(run, found[0], ranges(sorted(enqueued)), text)
    return facts | ({"rank_behind": behind[0]} if len(behind) == 1 else {"ranks_behind": ranges(behind)})


def _mistaken(by_rank: Mapping[int, Incident]) -> str:
    """Of two ranks one had completed the number that the other still waits for: they meant different collectives by it."""
    if len(by_rank) != 2:
        return ""
    rank, other = sorted(by_rank, key=lambda one: by_rank[one].number("seq") or 0)
    seq, done = by_rank[rank].number("seq"), by_rank[other].number("last_completed")
    if seq is None or done is None or done < seq or by_rank[rank].text("op") not in _MUTUAL:
        return ""
    return f"rank {rank} waited in number {seq:.0f}, which rank {other} had completed: they had called different collectives"


def _alone(run: Run, by_rank: Mapping[int, Incident]) -> dict[str, Value]:
    """Ranks that had enqueued as much as one another, but not the same: the one that is alone, or both of two."""
    at = {rank: _call(one) for rank, one in by_rank.items()}
    if found := odd(at):
        return {"rank_apart": found[0], "apart": found[1]}
    first = by_rank[min(by_rank)]
    return parted(run, first, ranges(sorted(at)), text) if (text := differing(at)) else {}


def _call(one: Incident) -> str:
    """`ALLREDUCE number 81 of 65536`."""
    numel = one.number("numel") if one.text("op") in _EQUAL else None
    return f"{one.text('op')} number {one.number('seq')}" + (f" of {numel:.0f}" if numel is not None else "")


def _missing(incidents: Incidents, found: Sequence[Incident]) -> dict[str, Value]:
    """Ranks that never complained of anything: they are the ones that did not come."""
    waiting = {one.event.rank for one in found if one.event.rank is not None}
    heard = {one.event.rank for one in incidents.all if one.fate != "handled" and one.event.kind not in _REPORTS}
    missing = sorted(set(incidents.world()) - waiting - heard) if waiting else []
    if missing:
        return {"ranks_silent": ranges(missing)} if len(missing) <= MAX_LISTED else {}
    return _raised(incidents, waiting, found[0].attempt)


def _raised(incidents: Incidents, waiting: Set[int | None], attempt: int) -> dict[str, Value]:
    """The one rank that did not wait but printed an error of its own, were it a line without a stack."""
    own = {
        one.event.rank: one for one in reversed(incidents.all)
        if one.attempt == attempt and one.event.rank is not None and one.event.rank not in waiting and one.fate != "handled"
        and one.event.kind not in _REPORTS and is_root(one)
    }  # fmt: skip
    if not waiting or len(own) != 1:
        return {}
    ((rank, one),) = own.items()
    what = one.text("exception").rpartition(".")[2] or one.text("message")[:80] or one.event.kind
    return {"rank_apart": rank, "apart": f"rank {rank} did not wait, it printed {what}"}


def _dumped(dumps: Recorded | None) -> dict[str, Value]:
    """What the flight recorders beside the log say, which is more than the watchdogs' lines do."""
    if dumps is None:
        return {}
    facts: dict[str, Value] = {"rank_apart": dumps.rank, "apart": dumps.text}
    return facts | ({"rank_behind": dumps.rank} if dumps.is_behind else {})


def _stacks(run: Run, incidents: Incidents, found: Sequence[Incident]) -> dict[str, Value]:
    """The one rank whose stack stood elsewhere than all others': it took another branch.

    A rank that lost its peer stood in a collective as well: who waited with it gave up first.
    """
    lost = incidents.of_kind(kinds.COMMUNICATION_ERROR)
    waiting = [*found, *(one for one in lost if one.event.data.get("is_peer") and one.attempt == found[0].attempt)]
    one = apart(waiting, incidents)
    if one:
        return {"rank_apart": one.rank, "apart": one.text}
    text = pair(waiting, incidents)
    return parted(run, found[0], "0-1", text) if text else {}


def _summary(first: Incident, facts: dict[str, Value]) -> str:
    who = f"rank {first.event.rank}" if first.event.rank is not None else "a rank"
    waited = facts.get("waited_seconds") or facts.get("timeout_seconds")
    how_long = f" {waited:.0f} s" if isinstance(waited, float) else ""
    op, seq = first.text("op"), first.text("seq")
    what = f" in {op}" + (f" number {seq}" if seq else "") if op else ""
    text = f"{who} waited{how_long}{what} for the others ({first.text('backend') or 'NCCL'})"
    if (phase := str(facts.get("phase"))) in _PHASES:
        text += f"; {_PHASES[phase]}"
    if facts.get("is_stalled"):
        text += f"; the limit is {facts['timeout_seconds']:.0f} s, so the process itself stood still"
    if facts.get("apart"):
        text += f"; {facts['apart']}"
    elif facts.get("is_desync"):
        text += "; the ranks stood at different collectives"
        if facts.get("rank_behind") is not None:
            text += f", rank {facts['rank_behind']} was behind"
        elif facts.get("ranks_behind"):
            text += f", ranks {facts['ranks_behind']} were behind"
    elif facts.get("ranks_silent"):
        silent = str(facts["ranks_silent"])
        text += f"; nothing was heard of rank{'' if silent.isdigit() else 's'} {silent}"
    return text
