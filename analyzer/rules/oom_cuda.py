"""Device memory is exhausted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

ABSURD: Final = 2.0**50
"""Bytes: nobody asks a GPU for a petabyte; after a broadcast timed out a size read from garbage looks so."""
GIB: Final = 2.0**30


@rule(title="the GPU ran out of memory", severity="critical", events=(kinds.CUDA_OOM,))
def oom_cuda(run: Run) -> Iterator[Finding]:
    """One finding for all ranks; an allocation that was caught and tried again is none."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.CUDA_OOM) if not _is_absurd(one, incidents)]
    if found:
        sized = next((one for one in found if one.number("tried")), found[0])
        yield finding("oom-cuda", found, _summary(sized, found), note="the allocation that failed", facts=_facts(sized))


def _is_absurd(one: Incident, incidents: Incidents) -> bool:
    tried = one.number("tried") or 0
    return tried > ABSURD and bool(incidents.of_kind(kinds.COLLECTIVE_TIMEOUT))


def _summary(one: Incident, found: Sequence[Incident]) -> str:
    gpu = one.event.data.get("gpu")
    text = f"GPU {gpu} is out of memory" if gpu is not None else "the GPU is out of memory"
    tried, free, total, other = (one.number(key) for key in ("tried", "free", "total", "other"))
    if tried is not None:
        text += f": {_gib(tried)} were asked for"
        if free is not None and total is not None:
            text += f", {_gib(free)} of {_gib(total)} were free"
        if other:
            text += f", other processes hold {_gib(other)}"
    return text + where(found)


def _gib(size: float) -> str:
    return f"{size / GIB:.2f} GiB" if size >= GIB else f"{size / 2**20:.1f} MiB"


def _facts(one: Incident) -> dict[str, Value]:
    names = ("tried", "total", "free", "allocated", "reserved", "own", "other", "gpu", "sender")
    return {name: one.event.data[name] for name in names if one.event.data.get(name) is not None}
