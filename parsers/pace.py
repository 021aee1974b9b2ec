"""How many steps lie between two rows that were printed without one, and where counting begins."""

from __future__ import annotations

import math
from array import array
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from parsers import many_steps
from parsers.bar_clock import Clock, last_by_speed
from parsers.model import Environment
from parsers.past import Writer
from parsers.table import UNKNOWN, Table, Tables

COUNTED: Final = frozenset({"logging_steps", "speed", "epoch", "count"})
"""Sources of steps that count rows from the first one on."""


class Group:
    """The rows of one writer in the order of the file; where earlier ones were settled, the first row is the last of those."""

    def __init__(self, tables: Sequence[Table], starts: Sequence[int], context: tuple[Table, int] | None) -> None:
        self.tables = list(tables)
        self.has_context = context is not None
        if context and len(tables) == 1 and context[0] is tables[0]:
            starts, context = [context[1]], None
        self.seq, self._which, self._at = many_steps.merged([table.seq for table in tables], starts)
        if context:
            table, at = context
            self.tables.append(table)
            self.seq.insert(0, table.seq[at])
            self._which.insert(0, len(self.tables) - 1)
            self._at.insert(0, at)
        self.epoch = self._epochs()

    def __len__(self) -> int:
        return len(self.seq)

    def _epochs(self) -> array[float]:
        """The epoch of each row, NaN where it has none that is finite."""
        columns = [table.columns[table.names.index("epoch")] if "epoch" in table.names else None for table in self.tables]
        if len(self.tables) == 1 and columns[0] is not None and all(map(math.isfinite, columns[0])):
            return columns[0][self._at[0] : self._at[0] + len(self)] if len(self) else array("d")
        found = array("d")
        for which, at in zip(self._which, self._at, strict=True):
            column = columns[which]
            value = math.nan if column is None else column[at]
            found.append(value if math.isfinite(value) else math.nan)
        return found

    def step(self, k: int) -> int:
        """The step of row `k`."""
        return self.tables[self._which[k]].step[self._at[k]]

    def fill(self, steps: array[int]) -> None:
        """Gives the rows these steps."""
        if len(self.tables) == 1 and len(self):
            self.tables[0].step[self._at[0] : self._at[0] + len(self)] = steps
            return
        for which, at, step in zip(self._which, self._at, steps, strict=True):
            self.tables[which].step[at] = step


def first_step(rows: Group, seen: Sequence[int], pace: int, clock: Clock) -> int:
    """The step of a first row that no bar follows: from the next row that one follows, else from the bar before it."""
    known = next((k for k, step in enumerate(seen) if step != UNKNOWN), None)
    if known is not None and known < 20:
        return max(1, seen[known] - known * pace)
    before = clock.before(rows.seq[0])
    if before is None or known is None:
        return pace
    return max(pace, before + pace - 1 - (before - 1) % pace)


def restart_step(rows: Group, k: int, pace: int, last: int) -> int | None:
    """The step of the first row after a restart: that of an earlier row with its epoch, else in proportion to it.

    `last` is the step of the row before.
    """
    epoch, before = rows.epoch[k], rows.epoch[k - 1]
    if math.isnan(epoch) or math.isnan(before) or before <= 0:
        return None
    if epoch >= before:
        return last + max(pace, round((epoch - before) * last / before / pace) * pace)
    return max(pace, round(epoch * last / before / pace) * pace)


def first_is_one(rows: Group, pace: int, environment: Environment) -> bool:
    """`logging_first_step`: the first row is step 1 and the second the first multiple of the pace."""
    if environment.value("arg:logging_first_step") is True:
        return pace > 1
    epochs = rows.epoch[:4]
    if pace < 2 or len(epochs) < 4 or any(map(math.isnan, epochs)):
        return False
    first, second, third, fourth = epochs
    usual = (fourth - second) / 2
    return usual > 0.05 and first < 0.5 * usual and abs(third - second - usual) < 0.02 and second - first < usual


def pace_of(
    rows: Group, gaps: Counter[int], is_seen: bool, clock: Clock, tables: Tables, environment: Environment, earlier: Writer | None
) -> tuple[int, str]:
    """(steps between two rows, source): from the bar's counts, `logging_steps`, the whole run's speed, the epochs, or 1.

    `gaps` are the differences between the bar's counts at neighbouring rows, `earlier` what was counted before these rows.
    """
    size = len(rows) + (earlier.rows - rows.has_context if earlier else 0)
    is_restarted = any(len(rows) and (earlier is not None or start > rows.seq[0]) for start in tables.starts)
    if gaps:
        return gaps.most_common(1)[0][0], "progress-bar"
    stated = _stated(clock, environment)
    if stated:
        return stated, "logging_steps"
    last = last_by_speed(tables)
    if last and size > 2 and not is_restarted:
        return _roundest(last / (size + 1) + 1e-9, last / size + 0.02), "speed"
    if earlier and earlier.source == "epoch":
        return earlier.pace, earlier.source
    by_epoch = _pace_by_epoch(rows, clock, environment)
    if by_epoch:
        return by_epoch, "epoch"
    if clock.step and size > 2:
        return _roundest(max(clock.step) / (size + 1) + 1e-9, max(clock.step) / size), "progress-bar"
    return 1, "progress-bar" if is_seen else "count"


def _stated(clock: Clock, environment: Environment) -> int | None:
    """`logging_steps` as stated; below 1 it is a share of all steps."""
    stated = environment.number("arg:logging_steps") or environment.number("run:logging_steps")
    strategy = environment.value("arg:logging_strategy")
    if not stated or stated <= 0 or not math.isfinite(stated) or (strategy and not str(strategy).lower().endswith("steps")):
        return None
    if stated >= 1:
        return int(stated)
    planned = environment.number("run:planned_steps") or environment.number("arg:max_steps") or clock.total
    return max(1, math.ceil(stated * planned)) if planned and planned > 0 else None


def _pace_by_epoch(rows: Group, clock: Clock, environment: Environment) -> int | None:
    """From the epochs that the rows show and the steps of one epoch; what the epochs' rounding leaves open is rounded."""
    per_epoch = _steps_per_epoch(clock, environment)
    if not per_epoch or len(rows) < 3:
        return None
    epochs = [epoch for epoch in rows.epoch if not math.isnan(epoch)]
    rises = [b - a for a, b in pairwise(epochs) if b >= a]
    if not rises or not sum(rises):
        return None
    pace, unsure = sum(rises) / len(rises) * per_epoch, 0.01 / len(rises) * per_epoch
    return _roundest(max(1.0, pace - unsure), pace + unsure) if unsure > 0.5 else max(1, round(pace))


def _steps_per_epoch(clock: Clock, environment: Environment) -> float | None:
    stated = environment.number("run:steps_per_epoch")
    examples, batch = environment.number("run:train_examples"), environment.number("run:train_batch_size")
    if stated or (examples and batch):
        return stated or math.ceil((examples or 0) / (batch or 1))
    planned = clock.total or environment.number("run:planned_steps")
    epochs = environment.number("run:planned_epochs") or environment.number("arg:num_train_epochs")
    limit = environment.number("arg:max_steps")
    return planned / epochs if planned and epochs and epochs > 0 and not (limit and limit > 0) else None


def _roundest(low: float, high: float) -> int:
    """The roundest whole number within two bounds, or the nearest to them."""
    first, last = math.ceil(low), math.floor(high)
    if first > last:
        return max(1, round((low + high) / 2))
    if last - first > 10_000:
        return max(1, last)
    return max(range(max(1, first), max(1, last) + 1), key=lambda pace: (_roundness(pace), -pace))


def _roundness(value: int) -> int:
    return next((r for r in (1000, 500, 100, 50, 20, 10, 5, 2) if value % r == 0), 3 if value == 1 else 1)
