"""How each rank fared: how far it came, what went wrong first with it, how it ended. Ranks that fared alike are one entry.

Of 64 ranks 63 tell the same; the one that does not is the one to look at, and it may be the one that says nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, ranges
from analyzer.model import FirstCause, RankFate
from parsers import Run, SourceRef, kinds

MAX_FATES: Final = 12
"""Entries that are told: ranks that fared in so many ways are no longer a story."""
MAX_ERROR: Final = 160
_REPORTS: Final = frozenset({kinds.CHILD_FAILED, kinds.SIGNAL, kinds.SCHEDULER})
"""What others say of a rank: how it ended, not what went wrong with it."""


def fates(run: Run, first: FirstCause | None) -> tuple[RankFate, ...]:
    """The entry of the first cause's rank first, then by the last step, then by rank; () where one rank or none is known."""
    incidents = Incidents(run)
    if not any(one.fate == "fatal" for one in incidents.all):
        return ()
    last, errors, ends = _last(run), _errors(incidents), _ends(incidents)
    culprit = first.rank if first else None
    ranks = {rank for rank in (*last, *errors, *ends, culprit) if rank is not None}
    if len(ranks) < 2:
        return ()
    groups: dict[tuple[bool, int, str, str], list[int]] = {}
    for rank in sorted(ranks):
        error = re.sub(r"\d+", "#", _text(errors[rank])) if rank in errors else ""
        step = last[rank][0] if rank in last else -1
        groups.setdefault((rank != culprit, step, error, ends.get(rank, "")), []).append(rank)
    ordered = sorted(groups.items(), key=lambda item: (item[0][0], item[0][1], item[1][0]))
    return tuple(_fate(group, last, errors, end) for (_, _, _, end), group in ordered[:MAX_FATES])


def _fate(group: Sequence[int], last: Mapping[int, tuple[int, SourceRef]], errors: Mapping[int, Incident], end: str) -> RankFate:
    rank = group[0]
    error, record = errors.get(rank), last.get(rank)
    return RankFate(
        ranks=ranges(group),
        count=len(group),
        last_step=record[0] if record else None,
        error=_text(error) if error else "",
        end=end,
        ref=error.event.ref if error else record[1] if record else None,
    )


def _last(run: Run) -> dict[int, tuple[int, SourceRef]]:
    """Rank → (its last step, where it stands)."""
    found: dict[int, tuple[int, SourceRef]] = {}
    for track in run.tracks:
        if track.rank is not None and track.is_text and len(track):
            step = track.steps[-1]
            if track.rank not in found or step > found[track.rank][0]:
                found[track.rank] = step, SourceRef(track.file_of(-1), track.lines[-1], "", track.rank)
    return found


def _errors(incidents: Incidents) -> dict[int, Incident]:
    """Rank → the first thing that went wrong with it, by its own words."""
    found: dict[int, Incident] = {}
    for one in incidents.all:
        if one.event.rank is not None and one.event.kind not in _REPORTS and one.fate != "handled":
            found.setdefault(one.event.rank, one)
    return found


def _ends(incidents: Incidents) -> dict[int, str]:
    """Rank → how a launcher says that it ended."""
    found: dict[int, str] = {}
    for one in incidents.of_kind(kinds.CHILD_FAILED):
        if one.event.rank is not None:
            signal, code = one.text("signal"), one.text("exit_code")
            found.setdefault(one.event.rank, f"exit code {code}" + (f" ({signal})" if signal else ""))
    return found


def _text(one: Incident) -> str:
    name, message = one.text("exception").rpartition(".")[2], one.text("message").split("\n", 1)[0]
    if one.event.kind == kinds.COLLECTIVE_TIMEOUT and one.text("op"):
        return f"waited in {one.text('op')}" + (f" number {one.text('seq')}" if one.text("seq") else "")
    return (f"{name}: {message}" if name and message else name or message or one.event.ref.text.strip())[:MAX_ERROR]
