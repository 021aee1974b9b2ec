"""Ranks of lines that name only a process of Ray (`(RayTrainWorker pid=7411, ip=10.0.59.242) …`), where a list says them.

Ray leaves the address out for processes of the driver's own node. A number that stands for processes of several nodes and
comes without an address is nobody's.

srun's tasks are ranks, unless another launcher started several ranks in each.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from parsers import kinds
from parsers.model import Event

_WRITER: Final = re.compile(r"\(\w{1,60} pid=(?P<pid>\d{1,9})(?:, ip=(?P<ip>[\w.:]{1,60}))?\)")
_BEFORE: Final = 120
"""Characters at the beginning of a line in which its process is named."""


def with_ranks(events: Sequence[Event], tasks_are_nodes: bool = False) -> Sequence[Event]:
    """The events, those of a process of a known rank with this rank, those of a node without one."""
    if tasks_are_nodes:
        events = [replace(e, rank=None) if "tasks" in e.data and e.rank is not None else e for e in events]
    ranks: dict[tuple[object, str], set[int]] = {}
    for event in events:
        if event.kind == kinds.PROCESS_START and event.rank is not None:
            for ip in {str(event.data.get("ip") or ""), ""}:
                ranks.setdefault((event.data.get("pid"), ip), set()).add(event.rank)
    return [_ranked(event, ranks) for event in events] if ranks else events


def _ranked(event: Event, ranks: dict[tuple[object, str], set[int]]) -> Event:
    if event.rank is not None or not (writer := _WRITER.search(event.ref.text[:_BEFORE])):
        return event
    known = ranks.get((int(writer["pid"]), writer["ip"] or "")) or ranks.get((int(writer["pid"]), ""), set())
    if len(known) != 1:
        return event
    (rank,) = known
    return replace(event, rank=rank, ref=replace(event.ref, rank=rank))
