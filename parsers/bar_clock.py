"""Which of a file's progress bars counts training steps, and what it showed after each row."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from parsers import many_steps
from parsers.model import Environment
from parsers.table import Table, Tables

ASIDE: Final = frozenset(
    {"overflow", "overflow_hysteresis", "labels_masked", "memory_gpu", "memory_host", "timer_forward", "throughput_samples"}
)
"""Rows with one of these and no loss are messages between the training rows: they never count steps for others."""

MIN_TICKED: Final = 0.5
"""Share of rows that a bar must follow before bars are believed row by row."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The training bar's counts of one file, as parallel sequences ordered by `seq`; `at` are their places among the ticks."""

    seq: Sequence[int]
    step: Sequence[int]
    total: int | None
    at: Sequence[int] = ()

    def after(self, seq: int, until: int) -> int | None:
        """The count first drawn after `seq` and before `until`."""
        index = bisect_right(self.seq, seq)
        return self.step[index] if index < len(self.seq) and self.seq[index] < until else None

    def before(self, seq: int) -> int | None:
        """The last count drawn before `seq`."""
        index = bisect_left(self.seq, seq)
        return self.step[index - 1] if index else None


def is_aside(table: Table) -> bool:
    """Whether its rows are messages between the training rows."""
    names = set(table.names)
    return not table.holds_loss and (bool(ASIDE & names) or names == {"loss_scale"})


def training_clock(tables: Tables, train: Sequence[Table], environment: Environment, is_unprinted: bool = False) -> Clock:
    """The bars that count training steps: those whose total is planned, or that are redrawn after training rows.

    `total` is None where no training row says which bar that is. `is_unprinted`: whether `train` are the tables without
    printed steps, or all.
    """
    ticks = tables.ticks
    train = [table for table in train if not is_aside(table)]
    if not len(ticks):
        return Clock((), (), None)
    votes, voters = all_votes(tables, train, is_unprinted)
    planned = environment.number("run:planned_steps") or environment.number("arg:max_steps")
    if planned and planned > 0 and int(planned) in ticks.total:
        total = int(planned)
    elif votes and sum(votes.values()) >= MIN_TICKED * voters:
        total = max(votes, key=lambda total: (votes[total], total))
    else:
        total = _longest(tables)
    # A sweep or a second stage has a bar of its own: every total that follows many rows counts training steps.
    enough = max(2.0, 0.1 * max(votes.values(), default=0))
    totals = {total, *(other for other, count in votes.items() if count >= enough)}
    chosen = many_steps.among(ticks.total, totals)
    if len(chosen) == len(ticks):
        return Clock(ticks.seq, ticks.step, total if train else None, chosen)
    at = array("q", chosen)
    return Clock(many_steps.taken(ticks.seq, at), many_steps.taken(ticks.step, at), total if train else None, chosen)


class Clocks:
    """The training clocks of files whose rows and bars do not change meanwhile, each worked out once."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._known: dict[tuple[int, bool, tuple[int, ...]], Clock] = {}

    def of(self, tables: Tables, train: Sequence[Table], is_unprinted: bool = False) -> Clock:
        """As `training_clock`."""
        train = [table for table in train if not is_aside(table)]
        key = id(tables), is_unprinted and tables.past is not None, tuple(map(id, train))
        clock = self._known.get(key)
        if clock is None:
            clock = self._known[key] = training_clock(tables, train, self._environment, is_unprinted)
        return clock


def all_votes(tables: Tables, train: Sequence[Table], is_unprinted: bool) -> tuple[Counter[int], int]:
    """(total → how many training rows a bar with that total was the first to follow, how many rows there are).

    Of rows that were thinned since, what they said is remembered.
    """
    past, ticks = tables.past, tables.ticks
    begin = past.seq if past else -1
    starts = [bisect_right(table.seq, begin) for table in train]
    voters = sum(map(len, train)) - sum(starts)
    votes: Counter[int] = Counter()
    if len(ticks) and voters:
        seqs = many_steps.merged([table.seq for table in train], starts)[0]
        votes = many_steps.counted(many_steps.taken(ticks.total, many_steps.first_after(ticks.seq, seqs, tables.seq + 1)))
    if past:
        votes = votes + (past.votes if is_unprinted else past.all_votes)
        voters += past.voters if is_unprinted else past.all_voters
    return votes, voters


def _longest(tables: Tables) -> int:
    """The total that the whole run's speed gives, else that of the bar that ran longest (evaluations are shorter)."""
    ticks, last = tables.ticks, last_by_speed(tables)
    if last and round(last) in ticks.total:
        return round(last)
    seconds = [0.0 if math.isnan(s) else s for s in ticks.seconds]
    drawn = list(zip(seconds, ticks.step, strict=True))
    return ticks.total[drawn.index(max(drawn))]


def last_by_speed(tables: Tables) -> float | None:
    """The steps of a whole run, from the final dict: its seconds times its steps a second."""
    for table in tables.by_key.values():
        if table.kind == "summary" and {"train_runtime", "train_steps_per_second"} <= set(table.names):
            seconds, speed = (table.columns[table.names.index(name)] for name in ("train_runtime", "train_steps_per_second"))
            steps = seconds[0] * speed[0]
            if len(set(seconds)) == 1 and math.isfinite(steps) and steps >= 1 and speed[0] >= 0.02:
                return steps
    return None
