"""A launcher reports that one of its children ended with an error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, finding, ranges
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

MEANINGS: Final = {
    "SIGKILL": "the memory killer, a scheduler or a person",
    "SIGABRT": "mostly a victim: NCCL's watchdog or a C++ assertion",
    "SIGSEGV": "a native library crashed",
    "SIGBUS": "shared memory is full, or a mapped file was cut short",
    "SIGILL": "a binary for another processor",
}


@rule(title="a launcher reports a failed rank", severity="critical", events=(kinds.CHILD_FAILED,))
def rank_failure(run: Run) -> Iterator[Finding]:
    """One finding a run: what the launcher pointed at; children that it ended itself are collateral."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.CHILD_FAILED) if not incidents.is_collateral(one)]
    if not found:
        return
    worst = [one for one in found if one.fate == "fatal"] or found
    pointed = [one for one in worst if one.event.data.get("is_root")] or worst
    first = min(pointed, key=lambda one: (one.event.time is None, one.event.time or 0.0, one.place))
    yield finding(
        "rank-failure", [first, *(one for one in found if one is not first)], _summary(first, found), facts=_facts(first, found)
    )


def _summary(first: Incident, found: Sequence[Incident]) -> str:
    who = (
        f"rank {first.event.rank}"
        if first.event.rank is not None
        else f"local rank {first.text('local_rank')}"
        if first.text("local_rank")
        else "a process"
    )
    where = "".join(f" on {first.text('host')}" for _ in [0] if first.text("host") not in ("", "localhost"))
    signal, code = first.text("signal"), first.text("exit_code")
    how = f"ended by {signal} ({MEANINGS.get(signal, f'exit code {code}')})" if signal else f"ended with exit code {code}"
    failed = _ranks(found)
    more = f"; ranks {ranges(failed)} failed" if len(failed) > 1 else ""
    return f"{first.text('launcher') or 'the launcher'}: {who}{where} {how}{more}"


def _ranks(found: Sequence[Incident]) -> list[int]:
    return sorted({one.event.rank for one in found if one.event.rank is not None})


def _facts(first: Incident, found: Sequence[Incident]) -> dict[str, Value]:
    names = ("launcher", "exit_code", "signal", "local_rank", "pid", "host", "tasks")
    facts = {name: first.event.data[name] for name in names if first.event.data.get(name) not in (None, "")}
    if first.event.rank is not None:
        facts["rank"] = first.event.rank
    return facts | {"reports": len(found)}
