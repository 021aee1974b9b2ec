"""Steps of messages between the training rows: overflow lines, memory reports, timers."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from parsers import many_steps
from parsers.past import Past
from parsers.table import UNKNOWN, Table

if TYPE_CHECKING:
    from numpy.typing import NDArray

ATTEMPTS: Final = frozenset({"overflow", "overflow_hysteresis", "timer_forward"})
"""Each of these rows is an optimizer step of its own: the one after the last that is known."""

Anchors = tuple[Sequence[int], Sequence[int]]
"""(seq, step) of everything in a file that has a step by now, in order."""
Writer = tuple[str, "int | None", bool]
UnderWay = dict[Writer, tuple[int, int]]
"""Writer → (`seq` of the anchor before its last attempt, -1 before all; that attempt's step)."""


def resolve_aside(tables: Sequence[Table], anchors: Anchors, past: Past | None, under_way: UnderWay) -> None:
    """Each overflow is the next step after the last one known, others belong to the step that is under way."""
    begin = past.seq if past else -1
    writers: dict[Writer, list[Table]] = {}
    for table in tables:
        writers.setdefault((table.reader, table.rank, "timer_forward" in table.names), []).append(table)
    for writer, own in writers.items():
        starts = [bisect_right(table.seq, begin) for table in own]
        is_few = many_steps.is_few(sum(map(len, own)) - sum(starts))
        if is_few and writer not in under_way and not any(ATTEMPTS & set(table.names) for table in own):
            _idle(own, starts, anchors)
            continue
        rows = many_steps.merged([table.seq for table in own], starts)
        if is_few:
            _one_by_one(own, anchors, rows, writer, under_way)
        else:
            _at_once(own, anchors, rows, writer, under_way)


def _idle(tables: Sequence[Table], starts: Sequence[int], anchors: Anchors) -> None:
    """Rows of which none is an attempt belong to the last step that is known."""
    seqs, steps = anchors[0], (0, *anchors[1])
    for table, start in zip(tables, starts, strict=True):
        rows = zip(table.seq[start:], table.step[start:], strict=True)
        table.step[start:] = array("q", [steps[bisect_left(seqs, seq)] if step == UNKNOWN else step for seq, step in rows])


def _one_by_one(tables: Sequence[Table], anchors: Anchors, rows: many_steps.Places, writer: Writer, under_way: UnderWay) -> None:
    seqs, steps = anchors
    attempts = [bool(ATTEMPTS & set(table.names)) for table in tables]
    for seq, which, index in zip(*rows, strict=True):
        table = tables[which]
        if table.step[index] != UNKNOWN:
            continue
        at = bisect_left(seqs, seq)
        last, before = (steps[at - 1], seqs[at - 1]) if at else (0, -1)
        anchor, attempt = under_way.get(writer, (-2, 0))
        if attempts[which]:
            is_first_of_zero = not at and len(steps) > 0 and steps[0] == 0  # a script that counts from 0 may skip its step 0
            attempt = attempt + 1 if anchor == before else last + (not is_first_of_zero)
            under_way[writer] = (before, attempt)
            table.step[index] = _bounded(attempt, last, steps, at)
        else:
            table.step[index] = attempt if anchor == before else last


def _bounded(attempt: int, last: int, steps: Sequence[int], at: int) -> int:
    """A step between the last that is known and the next, where the next is later at all."""
    following = steps[at] if at < len(steps) else None
    return min(attempt, following) if following is not None and following > last else attempt


def _at_once(tables: Sequence[Table], anchors: Anchors, rows: many_steps.Places, writer: Writer, under_way: UnderWay) -> None:
    import numpy as np

    seqs, which, places = (np.frombuffer(column, np.int64) for column in rows)
    known = many_steps.integers(anchors[0]), many_steps.integers(anchors[1])
    attempts = [bool(ATTEMPTS & set(table.names)) for table in tables]
    is_attempt = np.full(len(seqs), attempts[0]) if len(tables) == 1 else np.array(attempts)[which]
    steps = [np.array(table.step, np.int64) for table in tables]
    held = steps[0][places[0] :] if len(tables) == 1 else np.empty(len(seqs), np.int64)  # a view, or a copy
    if len(tables) > 1:
        for number, column in enumerate(steps):
            held[which == number] = column[places[which == number]]
    is_open = held == UNKNOWN
    held[is_open] = _attempts(seqs[is_open], is_attempt[is_open], known, writer, under_way)
    for number, (table, column) in enumerate(zip(tables, steps, strict=True)):
        if len(tables) > 1:
            column[places[which == number]] = held[which == number]
        table.step = many_steps.column(column)


def _attempts(
    seqs: NDArray[Any], is_attempt: NDArray[Any], known: tuple[NDArray[Any], NDArray[Any]], writer: Writer, under_way: UnderWay
) -> NDArray[Any]:
    """The steps of one writer's messages: see `_one_by_one`."""
    import numpy as np

    anchors, steps = known
    if not len(seqs):
        return seqs
    at = np.searchsorted(anchors, seqs, "left")
    padded, padded_anchors = np.concatenate([[0], steps]), np.concatenate([[-1], anchors])
    last, before = padded[at], padded_anchors[at]
    if not is_attempt.any() and writer not in under_way:
        return last
    begins = np.concatenate([[True], at[1:] != at[:-1]])
    place = np.maximum.accumulate(np.where(begins, np.arange(len(at)), 0))
    count = np.cumsum(is_attempt)
    made = count - (count[place] - is_attempt[place])  # attempts since the anchor, this row's included
    is_first_of_zero = (at == 0) & (len(steps) > 0 and steps[0] == 0)
    carried, base = under_way.get(writer, (-2, 0))
    goes_on = before == carried
    attempt = np.where(goes_on, base + made, last + ~is_first_of_zero + made - 1)
    following = np.concatenate([steps, [UNKNOWN]])[at]
    bounded = np.where(following > last, np.minimum(attempt, following), attempt)
    if made[-1] or goes_on[-1]:
        under_way[writer] = (int(before[-1]), int(attempt[-1]))
    idle: NDArray[Any] = np.where((made > 0) | goes_on, attempt, last)
    result: NDArray[Any] = np.where(is_attempt, bounded, idle)
    return result
