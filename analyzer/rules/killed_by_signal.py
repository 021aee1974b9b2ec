"""A signal ended the run: a scheduler, the memory killer, a person, or a native crash."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, finding
from analyzer.model import Confidence, Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

VICTIMS: Final = frozenset({"SIGABRT", "SIGSEGV", "SIGBUS"})
"""Signals that come from inside a process: where something else went wrong before, the rule steps back for that."""
SOURCES: Final = {
    "SIGTERM": "a scheduler, a time limit or a person asked it to end",
    "SIGHUP": "its terminal or session was closed",
    "SIGKILL": "the kernel's memory killer, a scheduler or a person ended it",
    "SIGSEGV": "a native library crashed",
    "SIGBUS": "shared memory is full, or a mapped file was cut short",
}


@rule(title="the run was ended by a signal", severity="critical", events=(kinds.SIGNAL, kinds.SCHEDULER, kinds.CHILD_FAILED))
def killed_by_signal(run: Run) -> Iterator[Finding]:
    """Steps back for `oom-host`, for the user's own Ctrl-C, and for children that a launcher ended itself."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.SIGNAL, kinds.SCHEDULER, kinds.CHILD_FAILED) if _is_kill(one, incidents)]
    if found:
        first = min(found, key=lambda one: (one.event.kind != kinds.SCHEDULER, one.event.rank is None, one.place))
        ordered = [first, *(one for one in found if one is not first)]
        yield finding("killed-by-signal", ordered, _summary(first), confidence=_confidence(first), facts=_facts(first, found))


def _is_kill(one: Incident, incidents: Incidents) -> bool:
    if incidents.is_collateral(one) or (one.event.kind == kinds.CHILD_FAILED and not one.text("signal")):
        return False
    if one.text("signal") in VICTIMS:
        others = incidents.of_kind(kinds.COMMUNICATION_ERROR, kinds.COLLECTIVE_TIMEOUT)
        is_told = incidents.roots(one.attempt, besides=(kinds.SIGNAL, kinds.CHILD_FAILED)) or [
            o for o in others if o.attempt == one.attempt
        ]
        return not is_told and not (one.text("signal") == "SIGABRT" and one.event.kind == kinds.CHILD_FAILED)
    if one.text("signal") == "SIGKILL" or one.event.kind == kinds.SCHEDULER:
        return not any(oom.attempt == one.attempt for oom in incidents.of_kind(kinds.HOST_OOM))
    return True


def _summary(first: Incident) -> str:
    if first.event.kind == kinds.SCHEDULER:
        reason = first.text("reason")
        job = f" job {first.text('job')}" if first.text("job") else " the job"
        return f"{first.text('sender') or 'the scheduler'} ended{job}" + (
            f" ({reason.lower()})" if reason else " (cancelled, no reason given)"
        )
    signal = first.text("signal")
    who = (
        f"rank {first.event.rank}"
        if first.event.rank is not None
        else f"process {first.text('pid')}"
        if first.text("pid")
        else f"task {first.text('tasks')} on {first.text('host')}"
        if first.text("tasks").isdigit()
        else "the run"
    )
    step = f" after step {first.step}" if first.step is not None else ""
    return f"{who} was ended by {signal}{step}: {SOURCES.get(signal, 'from outside')}"


def _confidence(first: Incident) -> Confidence:
    return "medium" if first.text("signal") == "SIGKILL" and first.event.kind == kinds.CHILD_FAILED else "high"


def _facts(first: Incident, found: Sequence[Incident]) -> dict[str, Value]:
    names = ("signal", "number", "sender", "pid", "reason", "job", "node", "exit_code")
    facts = {name: first.event.data[name] for name in names if first.event.data.get(name) not in (None, "")}
    senders = sorted({one.text("sender") or one.text("launcher") for one in found} - {""})
    return facts | {"reported_by": ", ".join(senders)}
