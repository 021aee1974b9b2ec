"""True global steps for rows that were printed without one (the Trainer's dict lines, OVERFLOW lines).

In order of trust: the count of the progress bar that is redrawn right after a dict line (tqdm.write redraws it, so it
shows that line's own step), the rows' order times `logging_steps`, the epoch times steps per epoch, the mere count.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from parsers.model import Environment
from parsers.table import UNKNOWN, Table, Tables

OVERFLOW_NAMES = ("overflow", "overflow_hysteresis", "labels_masked")


@dataclass(frozen=True, slots=True)
class Clock:
    """The training bar's counts of one file, as parallel tuples ordered by `seq`."""

    seq: tuple[int, ...]
    step: tuple[int, ...]
    total: int | None

    def after(self, seq: int, until: int) -> int | None:
        """The count first drawn after `seq` and before `until`."""
        index = bisect_right(self.seq, seq)
        return self.step[index] if index < len(self.seq) and self.seq[index] < until else None

    def before(self, seq: int) -> int | None:
        """The last count drawn before `seq`."""
        index = bisect_left(self.seq, seq)
        return self.step[index - 1] if index else None


def resolve(tables: Tables, environment: Environment) -> str:
    """Fills in missing steps of a file's tables in place and says how: see `Run.step_source`."""
    stepless = [table for table in tables.by_key.values() if not table.has_steps]
    if not stepless:
        return "printed" if tables.by_key else "none"
    dicts = [table for table in stepless if not set(table.names) & set(OVERFLOW_NAMES)]
    train = [table for table in dicts if table.kind == "train"]
    clock = training_clock(tables, train, environment)
    source = _resolve_train(train, clock, tables, environment) if train else "none"
    anchors = _anchors(tables, clock)
    for table in stepless:
        if table not in train:
            _resolve_by_anchor(table, clock, anchors, offset=0 if table in dicts else 1)
    return source


def training_clock(tables: Tables, train: Sequence[Table], environment: Environment) -> Clock:
    """The bar that counts training steps: the one whose total is planned, or that is redrawn after training rows."""
    ticks = tables.ticks
    votes: Counter[int] = Counter()
    for table in train:
        for seq in table.seq:
            index = bisect_right(ticks.seq, seq)
            if index < len(ticks):
                votes[ticks.total[index]] += 1
    planned = environment.number("run:planned_steps") or environment.number("arg:max_steps")
    total: int | None = None
    if planned and planned > 0 and int(planned) in ticks.total:
        total = int(planned)
    elif votes:
        total = max(votes.items(), key=lambda item: (item[1], item[0]))[0]
    elif ticks.total:
        total = max(Counter(ticks.total).items(), key=lambda item: (item[1], item[0]))[0]
    if total is None:
        return Clock((), (), None)
    chosen = [i for i in range(len(ticks)) if ticks.total[i] == total]
    return Clock(tuple(ticks.seq[i] for i in chosen), tuple(ticks.step[i] for i in chosen), total)


def _rows(train: Sequence[Table]) -> list[tuple[int, Table, int]]:
    """(seq, table, index) of rows of the first rank only, in order: copies by other ranks must not count twice."""
    return sorted(((table.seq[i], table, i) for table in train for i in range(len(table))), key=lambda row: row[0])


def _resolve_train(train: Sequence[Table], clock: Clock, tables: Tables, environment: Environment) -> str:
    source = "none"
    for key in {(table.reader, table.rank, table.engine): None for table in train}:
        group = [table for table in train if (table.reader, table.rank, table.engine) == key]
        source = _resolve_group(_rows(group), clock, tables, environment)
    return source


def _resolve_group(
    rows: list[tuple[int, Table, int]], clock: Clock, tables: Tables, environment: Environment
) -> str:
    seen = [
        clock.after(seq, rows[k + 1][0] if k + 1 < len(rows) else tables.seq + 1) for k, (seq, _, _) in enumerate(rows)
    ]
    interval, source = _interval(rows, seen, clock, environment)
    starts = iter([*tables.starts, tables.seq + 1])
    start = next(starts)
    step = 0
    for k, (seq, table, index) in enumerate(rows):
        if seq > start:  # the program started again: count from what its bar shows, or from nothing
            while seq > start:
                start = next(starts)
            before = clock.before(seq)
            step = before - before % interval if before is not None and k and before < step else (step if k else 0)
        shown = seen[k]
        if shown is None and k == 0:
            shown = _first_step(clock.before(seq), interval)
        step = shown if shown is not None else step + interval
        table.step[index] = step
    return source


def _first_step(before: int | None, interval: int) -> int | None:
    if before is None:
        return None
    return max(interval, before + interval - 1 - (before - 1) % interval)


def _interval(
    rows: list[tuple[int, Table, int]], seen: Sequence[int | None], clock: Clock, environment: Environment
) -> tuple[int, str]:
    """(steps between two rows, source): from the bar's counts, `logging_steps`, the epochs, or 1."""
    gaps = Counter(
        later - earlier
        for earlier, later in zip(seen, seen[1:], strict=False)
        if earlier is not None and later is not None and later > earlier
    )
    if gaps and sum(gaps.values()) >= 0.3 * (len(rows) - 1):
        return gaps.most_common(1)[0][0], "progress-bar"
    stated = environment.number("arg:logging_steps") or environment.number("run:logging_steps")
    if stated and stated >= 1:
        return int(stated), "logging_steps"
    by_epoch = _interval_by_epoch(rows, environment)
    if by_epoch:
        return by_epoch, "epoch"
    planned = clock.total or environment.number("run:planned_steps")
    if planned and seen and seen[-1] == planned and len(rows) > 1:
        return max(1, round(planned / len(rows))), "progress-bar"
    return 1, "progress-bar" if any(s is not None for s in seen) else "count"


def _interval_by_epoch(rows: list[tuple[int, Table, int]], environment: Environment) -> int | None:
    planned = environment.number("run:planned_steps")
    epochs = environment.number("run:planned_epochs") or environment.number("arg:num_train_epochs")
    if not planned or not epochs or len(rows) < 2:
        return None
    first, last = (_value(row, "epoch") for row in (rows[0], rows[-1]))
    if first is None or last is None or last <= first:
        return None
    return max(1, round((last - first) / (len(rows) - 1) * planned / epochs))


def _value(row: tuple[int, Table, int], name: str) -> float | None:
    _, table, index = row
    return table.columns[table.names.index(name)][index] if name in table.names else None


def _anchors(tables: Tables, clock: Clock) -> tuple[list[int], list[int]]:
    """(seq, step) of everything in the file that has a step by now, in order."""
    known = [
        (table.seq[i], table.step[i])
        for table in tables.by_key.values()
        for i in range(len(table))
        if table.step[i] != UNKNOWN
    ]
    known += zip(clock.seq, clock.step, strict=True)
    known.sort()
    return [seq for seq, _ in known], [step for _, step in known]


def _resolve_by_anchor(table: Table, clock: Clock, anchors: tuple[list[int], list[int]], offset: int) -> None:
    seqs, steps = anchors
    for index in range(len(table)):
        if table.step[index] != UNKNOWN:
            continue
        at = bisect_left(seqs, table.seq[index])
        shown = clock.after(table.seq[index], seqs[at + 1] + 1 if at + 1 < len(seqs) else 2**62) if not offset else None
        if shown is not None:
            table.step[index] = shown
        else:
            table.step[index] = (steps[at - 1] + offset) if at else offset
