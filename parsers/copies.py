"""Rows that several processes printed alike count once.

Up to transformers 4.36 the first process of every *node* prints the Trainer's dict, and some scripts let every rank print.
In a merged log without rank prefixes each row then stands there N times, word for word, and a count of rows would give N times
as many steps. Rows are taken for copies only where nearly every row with a telling loss comes N times, close together: a loss
of 0 or NaN at an epoch rounded to two decimals repeats by itself.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from itertools import islice, repeat
from typing import Any, Final, NamedTuple

from parsers.table import MAX_STEP, Table, Tables

MIN_ROWS: Final = 3
"""Different rows that must all come N times."""
NEAR: Final = 3
"""Copies of a row lie within this many times N rows: nodes print at nearly the same time, a second run does not."""

LOOK: Final = 1000
"""Rows at the beginning of a long log that are looked at first."""


class _Place(NamedTuple):
    seq: int
    table: Table
    at: int


def drop_copies(tables: Tables) -> None:
    """Drops repeated rows of training from tables without printed steps, in place; rows that were settled stay."""
    begin = tables.past.seq if tables.past else -1
    writers: dict[tuple[object, ...], list[Table]] = {}
    for table in tables.by_key.values():
        if table.kind == "train" and "epoch" in table.names and "loss" in table.names and len(table) and not table.has_steps:
            writers.setdefault((table.reader, table.rank, table.engine), []).append(table)
    for several in writers.values():
        starts = [bisect_right(table.seq, begin) for table in several]
        if _is_single(several, starts):
            continue
        rows = _rows(several, starts)
        copies = _copies(rows, begin >= 0)
        if copies > 1:
            _thin(several, rows, copies)


def _key(row: _Place) -> tuple[object, ...]:
    values = [column[row.at] for column in row.table.columns]
    return row.table.names, *(value if value == value else None for value in values)


def _rows(tables: Sequence[Table], starts: Sequence[int], most: int = MAX_STEP) -> list[_Place]:
    """The rows of several tables in order; of each at most `most` from its start on."""
    rows = [
        _Place(table.seq[at], table, at)
        for table, start in zip(tables, starts, strict=True)
        for at in range(start, min(start + most, len(table)))
    ]
    rows.sort(key=lambda row: row.seq)
    return rows


def _is_single(tables: Sequence[Table], starts: Sequence[int]) -> bool:
    """Whether the first rows of many show one that has no copy near it: the rest need not be looked at."""
    if sum(map(len, tables)) - sum(starts) < 2 * LOOK:
        return _has_single_rows(tables, starts)
    if len(tables) == 1:  # mostly a loss alone tells
        table, start = tables[0], starts[0]
        losses = table.columns[table.names.index("loss")][start : start + LOOK]
        counts = Counter(losses)
        if any(counts[loss] == 1 and loss != 0 and math.isfinite(loss) for loss in losses[LOOK // 4 : LOOK // 2]):
            return True
    rows = _rows(tables, starts, LOOK)[:LOOK]
    near = Counter(map(_key, rows))
    return any(near[_key(row)] == 1 and _is_telling(row) for row in rows[LOOK // 4 : LOOK // 2])


def _has_single_rows(tables: Sequence[Table], starts: Sequence[int]) -> bool:
    """Whether three telling rows come once: one of them at least is neither the first nor the last, so nothing comes N times.

    What `_copies` would say too; a growing log asks ever again, and almost every one has such rows.
    """
    losses: Counter[float] = Counter()
    for table, start in zip(tables, starts, strict=True):
        losses.update(table.columns[table.names.index("loss")][start:])
    alone = (loss for loss, count in losses.items() if count == 1 and loss != 0 and math.isfinite(loss))
    if sum(1 for _ in islice(alone, MIN_ROWS)) == MIN_ROWS:  # whatever stands beside them
        return True
    counts: Counter[tuple[object, ...]] = Counter()
    for table, start in zip(tables, starts, strict=True):
        columns = [column[start:] if start else column for column in table.columns]
        counts.update(zip(repeat(table.names), *columns))
    single = (key for key, count in counts.items() if count == 1 and all(value == value for value in key))
    return sum(1 for _ in islice((key for key in single if _tells(key)), MIN_ROWS)) == MIN_ROWS


def _tells(key: tuple[object, ...]) -> bool:
    names: Any = key[0]
    loss: Any = key[1 + names.index("loss")]
    return math.isfinite(loss) and loss != 0


def _copies(rows: Sequence[_Place], goes_on: bool) -> int:
    """How often each row was printed: 1 where the rows do not say so. `goes_on`: the first may be a copy of one before."""
    places: dict[tuple[object, ...], list[int]] = {}
    for number, row in enumerate(rows):
        places.setdefault(_key(row), []).append(number)
    told = [spots for key, spots in places.items() if _is_telling(rows[spots[0]])]
    told = told[:-1] if len(told) > MIN_ROWS else told  # the log may end between two copies
    told = told[1:] if goes_on and len(told) > MIN_ROWS else told
    if len(told) < MIN_ROWS:
        return 1
    copies = reduce(math.gcd, (len(spots) for spots in told))
    is_near = all(spots[at + copies - 1] - spots[at] < NEAR * copies for spots in told for at in range(0, len(spots), copies))
    return copies if copies > 1 and is_near else 1


def _is_telling(row: _Place) -> bool:
    loss = row.table.columns[row.table.names.index("loss")][row.at]
    return math.isfinite(loss) and loss != 0


def _thin(tables: Sequence[Table], rows: Sequence[_Place], copies: int) -> None:
    seen: dict[tuple[object, ...], int] = {}
    kept: dict[int, list[int]] = {id(table): [] for table in tables}
    for row in rows:
        key = _key(row)
        count = seen[key] = seen.get(key, -1) + 1
        if count % copies == 0:
            kept[id(row.table)].append(row.at)
    first = rows[0].seq
    for table in tables:
        table.keep([*range(bisect_left(table.seq, first)), *kept[id(table)]])
