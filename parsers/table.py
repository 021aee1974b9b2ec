"""Rows and ticks as columns, in the order of the file: what a log of a million metric lines is kept in."""

from __future__ import annotations

import math
import sys
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from dataclasses import dataclass, field
from itertools import compress
from operator import eq, gt
from typing import Any, Final

from parsers.model import Columns, Record, Row, RowKind, Tick
from parsers.past import Past
from parsers.said import Rows, Said, pick
from parsers.said import Ticks as Many

UNKNOWN: Final = -(2**62)
"""Stands for "no step printed" in integer columns."""
_UNKNOWN: Final = UNKNOWN.to_bytes(8, sys.byteorder, signed=True)
MAX_STEP: Final = 2**53
"""What is printed as a step and is larger is none: no run counts so far, and no axis could show it."""
MAX_TABLES: Final = 8192
"""Tables of one file that its rows may begin: kinds of rows of a few thousand ranks. Of rows beyond, the names are kept that are
known by then, in as many tables again; what belongs to none of those is dropped."""


def holds_loss(kind: RowKind, names: Iterable[str]) -> bool:
    """Whether rows of these names have a loss (of any name) of training or evaluation."""
    return kind != "summary" and any("loss" in (low := name.lower()) and "scale" not in low for name in names)


@dataclass(slots=True)
class Table:
    """The rows that one reader found with one set of metric names, for one rank and engine of one file.

    `seq` orders rows and ticks of a file among each other (a line number cannot: a bar and a metric share a line).
    """

    file: str
    reader: str
    kind: RowKind
    rank: int | None
    engine: str
    names: tuple[str, ...]
    is_text: bool = True
    seq: array[int] = field(default_factory=lambda: array("q"))
    line: array[int] = field(default_factory=lambda: array("q"))
    step: array[int] = field(default_factory=lambda: array("q"))
    time: array[float] = field(default_factory=lambda: array("d"))
    columns: tuple[array[float], ...] = ()
    cuts: array[int] = field(default_factory=lambda: array("q"))
    """`seq` of the rows before which others were dropped (`thin.py`)."""
    dropped: int = 0
    """How many rows were."""

    def __post_init__(self) -> None:
        self.columns = tuple(array("d") for _ in self.names)

    def __len__(self) -> int:
        return len(self.seq)

    @property
    def has_steps(self) -> bool:
        """Whether every row came with a printed step."""
        return _UNKNOWN not in self.step.tobytes() or UNKNOWN not in self.step  # the bytes are looked through at once

    @property
    def holds_loss(self) -> bool:
        """Whether these are rows with a loss (of any name) of training or evaluation."""
        return holds_loss(self.kind, self.names)

    def append(self, seq: int, row: Row) -> None:
        """Adds a row whose names are this table's."""
        self.seq.append(seq)
        self.line.append(row.line)
        self.step.append(row.step if row.step is not None and abs(row.step) <= MAX_STEP else UNKNOWN)
        self.time.append(math.nan if row.time is None else row.time)
        for column, (_, value) in zip(self.columns, row.values, strict=True):
            column.append(value)

    def extend(self, seqs: Sequence[int], rows: Rows) -> None:
        """Adds many rows whose names are this table's; `sort` puts them where they belong."""
        size = len(seqs)
        _extend(self.seq, seqs)
        _extend(self.line, rows.lines)
        _extend(self.step, array("q", [UNKNOWN]) * size if rows.steps is None else _possible(rows.steps))
        _extend(self.time, array("d", [math.nan]) * size if rows.times is None else rows.times)
        for column, values in zip(self.columns, rows.columns, strict=True):
            _extend(column, values)

    def sort(self, after: int) -> None:
        """Brings the rows behind this `seq` into their order."""
        start = bisect_right(self.seq, after)
        tail = self.seq[start:]
        if not any(map(gt, tail, tail[1:])):
            return
        order = sorted(range(len(tail)), key=tail.__getitem__)
        columns: tuple[array[Any], ...] = (self.seq, self.line, self.step, self.time, *self.columns)
        for column in columns:
            column[start:] = array(column.typecode, [column[start + at] for at in order])

    def thin(self, first: int, last: int) -> None:
        """Drops rows from the middle: what stays are the first, the last, and `first` rows that are not finite."""
        size = len(self)
        if size <= first + last:
            return
        self.keep([*range(first), *self._non_finite(first, size - last, first), *range(size - last, size)])

    def keep(self, kept: Sequence[int]) -> None:
        """Drops all rows but these."""
        for name in ("seq", "line", "step", "time"):
            column = getattr(self, name)
            setattr(self, name, array(column.typecode, (column[i] for i in kept)))
        self.columns = tuple(array("d", (column[i] for i in kept)) for column in self.columns)

    def _non_finite(self, start: int, stop: int, most: int) -> list[int]:
        found = {i for column in self.columns for i in range(start, stop) if not math.isfinite(column[i])}
        return sorted(found)[:most]


def _extend(column: array[Any], values: Sequence[float]) -> None:
    """Adds values; those of an array with the column's type are copied as they are."""
    is_alike = isinstance(values, array) and values.typecode == column.typecode
    column.extend(values if is_alike else array(column.typecode, values))


def _drop(column: array[Any], begin: int, dropped: Collection[int]) -> None:
    """Takes values out of a column; their places are counted from `begin` on."""
    if len(dropped) <= FEW:
        for at in sorted(dropped, reverse=True):
            del column[begin + at]
        return
    column[begin:] = array(column.typecode, [value for at, value in enumerate(column[begin:]) if at not in dropped])


def _repeats(values: Sequence[int]) -> Sequence[int]:
    """The places of the values that are the one before again."""
    if isinstance(values, array) and values.typecode == "q" and len(values) > SOME and "numpy" in sys.modules:
        import numpy as np

        held = np.frombuffer(values, np.int64)
        places: list[int] = (np.flatnonzero(held[1:] == held[:-1]) + 1).tolist()
        return places
    return list(compress(range(1, len(values)), map(eq, values, values[1:])))


def _possible(steps: Sequence[int]) -> Sequence[int]:
    """Steps, those unknown that are too large to be some."""
    if isinstance(steps, array) and steps.typecode == "q" and len(steps) > SOME and "numpy" in sys.modules:
        import numpy as np

        held = np.frombuffer(steps, np.int64)
        is_possible = held.min() >= -MAX_STEP and held.max() <= MAX_STEP
    else:
        is_possible = min(steps, default=0) >= -MAX_STEP and max(steps, default=0) <= MAX_STEP
    if is_possible:
        return steps
    return [step if abs(step) <= MAX_STEP else UNKNOWN for step in steps]


SOME: Final = 500
"""Steps that are looked through at once where NumPy is loaded anyway."""
FEW: Final = 16
"""Values that are taken out of a column one by one."""
LATE: Final = 60.0
"""Seconds after which the redraw of a count is worth keeping."""


@dataclass(slots=True)
class Ticks:
    """What progress bars showed, redraws of the same count folded."""

    seq: array[int] = field(default_factory=lambda: array("q"))
    line: array[int] = field(default_factory=lambda: array("q"))
    step: array[int] = field(default_factory=lambda: array("q"))
    total: array[int] = field(default_factory=lambda: array("q"))
    seconds: array[float] = field(default_factory=lambda: array("d"))
    last: int = -1
    """`seq` of the last tick that was offered."""
    cuts: array[int] = field(default_factory=lambda: array("q"))
    """`seq` of the ticks before which others were dropped."""

    def __len__(self) -> int:
        return len(self.seq)

    def append(self, seq: int, tick: Tick) -> None:
        """Adds a tick. A redraw of the same count with nothing between is dropped; one after a row says that row's step.

        A redraw that comes late is kept: it says how long nothing had moved when the program ended.
        """
        is_redraw = self.last == seq - 1 and self.step and (self.step[-1], self.total[-1]) == (tick.step, tick.total)
        self.last = seq
        if is_redraw and not (tick.seconds or 0.0) - self.seconds[-1] >= LATE:
            return
        self.seq.append(seq)
        self.line.append(tick.line)
        self.step.append(tick.step)
        self.total.append(tick.total)
        self.seconds.append(math.nan if tick.seconds is None else tick.seconds)

    def extend(self, seqs: Sequence[int], ticks: Many) -> None:
        """Adds many ticks, as `append` does one after the other."""
        steps, totals, seconds = ticks.steps, ticks.totals, ticks.seconds
        dropped: set[int] = set()
        is_redraw = self.last == seqs[0] - 1 and self.step and (self.step[-1], self.total[-1]) == (steps[0], totals[0])
        shown = self.seconds[-1] if is_redraw else 0.0
        if is_redraw and not seconds[0] - shown >= LATE:
            dropped.add(0)
        for at in _repeats(steps):
            if at - 1 not in dropped:
                shown = seconds[at - 1]
            if seqs[at] == seqs[at - 1] + 1 and totals[at] == totals[at - 1] and not seconds[at] - shown >= LATE:
                dropped.add(at)
        self.last = seqs[-1]
        columns = (self.seq, seqs), (self.line, ticks.lines), (self.step, steps), (self.total, totals), (self.seconds, seconds)
        for column, values in columns:
            begin = len(column)
            _extend(column, values)
            if dropped:
                _drop(column, begin, dropped)


@dataclass(slots=True)
class Tables:
    """Everything countable of one file."""

    file: str
    by_key: dict[tuple[object, ...], Table] = field(default_factory=dict)
    ticks: Ticks = field(default_factory=Ticks)
    starts: list[int] = field(default_factory=list)
    """`seq` of each sign that a program (re)started."""
    seq: int = 0
    bulk: list[tuple[str, Columns]] = field(default_factory=list)
    """(reader, points) of metrics that came whole: they have their steps and are shared, not copied."""
    parts: list[tuple[int, str]] = field(default_factory=list)
    """(`seq` before its first row, file) of each piece of a rotated log; empty where `file` is all there is."""
    past: Past | None = None
    """How far steps are final, once rows were thinned."""
    _names: frozenset[str] = frozenset()
    """All names of metrics, once there are `MAX_TABLES` tables."""

    def add(self, reader: str, record: Row | Columns | Tick, is_text: bool = True) -> None:
        """Files a row or a tick under its table, as the next in order."""
        self.seq += 1
        if isinstance(record, Tick):
            self.ticks.append(self.seq, record)
            return
        if isinstance(record, Columns):
            self.bulk.append((reader, record))
            return
        names = tuple([name for name, _ in record.values])
        table = self.by_key.get((reader, record.kind, record.rank, record.engine, names))
        if table is None:
            if len(self.by_key) >= MAX_TABLES:
                record = self._in_known_names(record)
                names = tuple([name for name, _ in record.values])
            key = (reader, record.kind, record.rank, record.engine, names)
            table = self.by_key.get(key)
            if table is None and (not names or len(self.by_key) >= 2 * MAX_TABLES):
                return
        if table is None:
            table = Table(self.file, reader, record.kind, record.rank, record.engine, names, is_text)
            self.by_key[key] = table
        table.append(self.seq, record)

    def _in_known_names(self, record: Row) -> Row:
        self._names = self._names or frozenset(name for table in self.by_key.values() for name in table.names)
        return record._replace(values=tuple([pair for pair in record.values if pair[0] in self._names]))

    def place(self, said: Said, add: Callable[[str, Record], None]) -> None:
        """Files what was said of a block, in its order. `add` files a single record, if need be with this object's `add`."""
        if not said.many:
            for _, reader, record in said.singles:
                add(reader, record)
            return
        base, known = self.seq, len(self.by_key)
        numbers, ticks, added = said.numbers(base + 1), list[tuple[int, Tick]](), list[int]()
        has_bars = said.singles and any(isinstance(part, Many) for _, part in said.many)
        for at, reader, record in said.singles:
            self.seq = seq = numbers[at] - 1 + len(added)
            if has_bars and isinstance(record, Tick):
                self.seq += 1
                ticks.append((self.seq, record))
            else:
                add(reader, record)
            added += [at] * (self.seq - seq)
        self._place_many(said, said.numbers(base + 1, added) if added else numbers, ticks, base, known)

    def _place_many(self, said: Said, numbers: Sequence[int], ticks: Sequence[tuple[int, Tick]], base: int, known: int) -> None:
        """Files columns. `numbers`: the `seq` of a row of each fragment, and of what follows; `known`: tables before."""
        self._place_rows(said, numbers, base)
        if len(self.by_key) > known + 1:  # in the order of their first rows
            items = list(self.by_key.items())
            self.by_key = dict(items[:known] + sorted(items[known:], key=lambda item: item[1].seq[0]))
        self._place_ticks([part for _, part in said.many if isinstance(part, Many)], ticks, numbers)
        self.seq = numbers[-1] - 1

    def _place_rows(self, said: Said, numbers: Sequence[int], base: int) -> None:
        touched: dict[int, tuple[Table, int]] = {}
        for reader, rows in said.many:
            if isinstance(rows, Many):
                continue
            key = (reader, rows.kind, rows.rank, rows.engine, rows.names)
            table = self.by_key.get(key)
            if table is None and len(self.by_key) >= MAX_TABLES:
                for index, at in enumerate(rows.at):
                    self.seq = numbers[at] - 1 + rows.nth
                    self.add(reader, rows.row(index))
                continue
            if table is None:
                table = self.by_key[key] = Table(self.file, reader, rows.kind, rows.rank, rows.engine, rows.names)
            seqs = pick(numbers, rows.at)
            table.extend([seq + rows.nth for seq in seqs] if rows.nth else seqs, rows)
            touched[id(table)] = table, touched[id(table)][1] + 1 if id(table) in touched else 1
        for table, parts in touched.values():
            if parts > 1 or said.singles:
                table.sort(base)

    def _place_ticks(self, bars: Sequence[Many], singles: Sequence[tuple[int, Tick]], numbers: Sequence[int]) -> None:
        if not bars:
            return
        seqs = [pick(numbers, bar.at) for bar in bars]
        if len(bars) == 1 and not singles:
            self.ticks.extend(seqs[0], bars[0])
            return
        found = [
            (seq, line, step, total, math.nan if seconds is None else seconds) for seq, (line, step, total, seconds) in singles
        ]
        for own, bar in zip(seqs, bars, strict=True):
            found += zip(own, *bar[1:], strict=True)
        found.sort()
        order, *columns = zip(*found, strict=True)
        self.ticks.extend(order, Many((), *columns))

    def parts_of(self, seqs: Sequence[int]) -> tuple[tuple[int, str], ...]:
        """(first index, file) for points with these `seq`, in order: see `Series.parts`."""
        found = ((bisect_right(seqs, start), file) for start, file in self.parts)
        return tuple((first, file) for first, file in found if first < len(seqs))

    @property
    def readers(self) -> set[str]:
        """The readers whose rows are here."""
        return {table.reader for table in self.by_key.values()} | {reader for reader, _ in self.bulk}

    def drop_fallbacks(self, fallbacks: Set[str]) -> None:
        """Drops the rows of these readers where another one found losses: asked at the end of a file, so that
        any chunking gives the same. Step reports without a loss (DeepSpeed's own lines beside a script's prints) do not
        outrank them.
        """
        if any(table.holds_loss for table in self.by_key.values() if table.reader not in fallbacks):
            self.by_key = {key: table for key, table in self.by_key.items() if table.reader not in fallbacks}

    def set_rank(self, rank: int) -> None:
        """Gives the file's rank to tables whose lines named none."""
        for table in self.by_key.values():
            table.rank = rank if table.rank is None else table.rank

    def thin(self, first: int, last: int) -> None:
        """Drops rows and ticks from the middle; their steps must be known. See `Table.thin`."""
        for table in self.by_key.values():
            table.thin(first, last)
        for name in ("seq", "line", "step", "total", "seconds"):
            setattr(self.ticks, name, getattr(self.ticks, name)[-last:])

    def mark_start(self) -> None:
        """A program starts here: rows after it belong to a new segment if their steps begin again."""
        if not self.starts or self.starts[-1] != self.seq:  # what is said twice with nothing between is said once
            self.seq += 1
            self.starts.append(self.seq)
