"""Lines of rows whose form nobody wrote down: learned from one of them, and read as columns from then on.

A reader may say that it is *regular*: a function of it (`Parse`) tells what a line says without any memory, and lines that
differ in digits alone differ in what they say in those digits alone. Of a line with a new skeleton that function is asked
once, and again of the line with other numbers in it, longer and shorter ones too. So it is seen which word each value is the
number of, and which words must stay as they are because what is said changes with them. What cannot be told so is not
learned, and is read line by line as before.

What needs a memory (a step that goes on counting over epochs, a plan that is told once) the function says as values whose names
begin with `@`; the reader's `columns` works with them (`rows_of`).
"""

from __future__ import annotations

import json
import math
import random
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NamedTuple

from parsers.layout import Layout
from parsers.line import Line, make_line, plain_stamp
from parsers.model import Record, Row, RowKind
from parsers.plain import Part
from parsers.said import Rows
from parsers.values import duration_seconds

Parse = Callable[[Line], Iterable[Row]]
"""What a line says without any memory; values that the reader needs for its own have names that begin with `@`."""

MAX_LENGTH: Final = 4000
"""Bytes of the longest line that is learned."""
MAX_TRIED: Final = 4000
MAX_LEARNED: Final = 500
"""Lines that are looked at, and of which something is learned, by one process: hostile logs have no two lines alike."""
MAX_AGAIN: Final = 200
"""Times that lines of a known skeleton are looked at again."""
MOST_WORK: Final = 8 * 2**20
"""Bytes of variants that are read in all: a line's are its words times its length, so one long line costs as much as thousands
of short ones. About two seconds."""
VARIANTS: Final = 10
_TIMES: Final = 3
"""Variants that a single word is tried with."""
_FACTORS: Final = (1.0, 1e-3, 1 / 1024)
"""What readers multiply numbers by."""
_INVERSE: Final = -1.0
"""Stands for one through the number."""
_DAY: Final = re.compile(rb"\d{4}-\d\d-\d\d|\d\d/\d\d/\d{4}|\d{4}/\d\d/\d\d")
_CLOCK: Final = re.compile(rb"(?<![\d:])\d\d:\d\d:\d\d(?![\d:])")
_DIGITS: Final = re.compile(rb"\d+")
_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:,\d{3})?(?![.,]?\d)")
_NUMBER: Final = re.compile(rb"[-+]?(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_UNSIGNED: Final = re.compile(rb"(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_EXPONENT: Final = re.compile(rb"\d\.?[eE][-+]?$")
_DURATION: Final = re.compile(rb"\d{1,4}(?::\d\d){1,2}(?![:\d])")
_HIDE: Final = bytes.maketrans(b"0123456789", bytes(range(1, 11)))
_SHOW: Final = bytes.maketrans(bytes(range(1, 11)), b"0123456789")


class Source(NamedTuple):
    """Where a value comes from: a group of the form, times a factor (`_INVERSE`: one through it); or what it always is."""

    group: int
    factor: float
    always: str = ""


class Learned(NamedTuple):
    """What one row of a form says. `step`, `time`: groups, 0 where there is none; see `_time`."""

    names: tuple[str, ...]
    sources: tuple[Source, ...]
    step: int
    time: int
    kind: RowKind
    engine: str
    rank: int | None


class Found:
    """A learned form at its line: what `Layout` asks of a match. The first group is what was learned, without digits."""

    def __init__(self, line: bytes, spans: Sequence[tuple[int, int]], pinned: Sequence[tuple[int, int]], learned: bytes) -> None:
        self._line = line
        self._spans = spans
        self._pinned = pinned
        self._learned = learned

    @property
    def re(self) -> Found:
        """Stands for the pattern."""
        return self

    def match(self, line: bytes) -> bool:
        """Whether the words that must stay are those of the example."""
        return all(line[start:end] == self._line[start:end] for start, end in self._pinned)

    def groups(self) -> tuple[bytes, ...]:
        """What was learned, and the numbers."""
        return (self._learned, *(self._line[start:end] for start, end in self._spans))

    def span(self, group: int) -> tuple[int, int]:
        """Where a number stands."""
        return self._spans[group - 2]


class Learner:
    """Stands for the pattern of a form that is not known yet."""

    def __init__(self, parse: Parse) -> None:
        self._parse = parse
        self._tried = 0
        self._learned = 0
        self._again = 0
        self._left = MOST_WORK

    def match(self, line: bytes) -> Found | None:
        """What can be learned of lines like this one, None where nothing can."""
        line = line.rstrip()
        if self._tried >= MAX_TRIED or self._learned >= MAX_LEARNED or len(line) > MAX_LENGTH:
            return None
        self._tried += 1
        rows = self._rows(line)
        if not rows:
            return None
        self._learned += 1
        found = self._learn(line, rows)
        try:
            if found is not None:
                Layout(line, found, None)  # type: ignore[arg-type]
        except ValueError:
            return None
        return found

    def again(self, line: bytes) -> Found | None:
        """The same where what was learned does not fit any more."""
        self._again += 1
        return self.match(line) if self._again <= MAX_AGAIN else None

    def _rows(self, line: bytes) -> list[Row] | None:
        """What a line says; None where it names its rank, or its reader fails."""
        made = make_line("", 1, line)
        if made.rank is not None or made.repeats != 1:
            return None
        try:
            rows = list(self._parse(made))
        except Exception:  # it will fail again where that is handled
            return None
        return None if any(all(name.startswith("@") for name, _ in row.values) for row in rows) else rows

    def _learn(self, line: bytes, rows: Sequence[Row]) -> Found | None:
        luck = random.Random(len(line))  # noqa: S311 - the same numbers every time
        words = [found.span() for found in _DIGITS.finditer(line)]
        if (work := _work(line, len(words), rows)) > self._left:
            return None
        self._left -= work
        structure, pinned, fixed = _structure(rows), set[tuple[int, int]](), _fixed(line)
        for word in words:
            if any(_structure(self._rows(_varied(line, luck, {word}, fixed)[0]) or []) != structure for _ in range(_TIMES)):
                pinned.add(word)
        free = set(words) - pinned
        tokens = _tokens(line)
        seen: list[tuple[Sequence[Row], Mapping[tuple[int, int], bytes]]] = [
            (rows, {span: line[slice(*span)] for span in tokens})
        ]
        for _ in range(VARIANTS):
            text, moved = _varied(line, luck, free, fixed)
            said = self._rows(text)
            if not said or _structure(said) != structure:
                return None
            seen.append((said, {span: text[moved(span[0]) : moved(span[1])] for span in tokens}))
        return _found(line, rows, seen, pinned)


def _structure(rows: Iterable[Row]) -> object:
    """What rows say besides numbers."""
    return [
        ([name for name, _ in row.values], row.kind, row.rank, row.engine, row.step is None, row.time is None, row.line)
        for row in rows
    ]


def _tokens(line: bytes) -> list[tuple[int, int]]:
    return [found.span() for pattern in (_STAMP, _DURATION, _NUMBER, _UNSIGNED) for found in pattern.finditer(line)]


def _work(line: bytes, words: int, rows: Sequence[Row]) -> int:
    """Bytes of variants that are read to learn a line; a value's search among the numbers counts as some bytes a number."""
    return words * (_TIMES * len(line) + 20 * sum(len(row.values) for row in rows))


def _fixed(line: bytes) -> set[int]:
    """The places of a line's stamps."""
    return {place for pattern in (_DAY, _CLOCK) for found in pattern.finditer(line) for place in range(*found.span())}


def _varied(
    line: bytes, luck: random.Random, chosen: Iterable[tuple[int, int]], fixed: set[int]
) -> tuple[bytes, Callable[[int], int]]:  # fmt: skip
    """(a line with other digits in some of its numbers, where what stood at a place stands now). Stamps (`fixed`) stay stamps."""
    parts, ends, shifts, cursor, moved = list[bytes](), list[int](), [0], 0, 0
    for start, end in sorted(chosen):
        size = end - start
        digits = _of_stamp(line, start, luck) if start in fixed else _digits(line, start, size, luck)
        parts += [line[cursor:start], digits]
        cursor, moved = end, moved + len(digits) - (end - start)
        ends.append(end)
        shifts.append(moved)

    def place(at: int) -> int:
        return at + shifts[bisect_right(ends, at)]

    return b"".join([*parts, line[cursor:]]), place


def _digits(line: bytes, start: int, size: int, luck: random.Random) -> bytes:
    """Other digits in place of those at `start`: as many in exponents, groups of thousands and seconds since the epoch."""
    is_exponent = _EXPONENT.search(line[max(0, start - 3) : start]) is not None
    before, after = line[start - 1 : start], line[start + size : start + size + 1]
    is_grouped = b"," in (before, after) or (b":" in (before, after) and size == 2)
    if not (is_exponent or is_grouped or size > 8):
        size = max(1, size + luck.choice((-1, 0, 0, 1, 2)))
    found = bytes(luck.choice(b"123456789") for _ in range(size))
    if size > 8:
        return line[start : start + 1] + found[1:]
    return b"0" + found[1:] if is_exponent and size > 1 else found


def _of_stamp(line: bytes, start: int, luck: random.Random) -> bytes:
    """Digits of a date or a time of the day in place of those at `start`."""
    found = _DIGITS.match(line, start)
    size = len(found[0]) if found else 2
    is_clock = line[start - 1 : start] == b":" or line[start + size : start + size + 1] == b":"
    if size == 4:
        return b"202%d" % luck.randrange(1, 10)
    return b"%d" % (luck.randrange(10, 20) if is_clock else luck.randrange(10, 13))


def _found(
    line: bytes, rows: Sequence[Row], seen: Sequence[tuple[Sequence[Row], Mapping[tuple[int, int], bytes]]],
    pinned: Iterable[tuple[int, int]],
) -> Found | None:  # fmt: skip
    """The form of a line. `seen`: of the line and of its variants (what they say, span of each number → its text)."""
    spans: list[tuple[int, int]] = []
    learned = []
    texts = {span: [numbers[span] for _, numbers in seen] for span in seen[0][1]}
    for index, row in enumerate(rows):
        said = [one[index] for one, _ in seen]
        step = 0 if row.step is None else _group([float(one.step or 0) for one in said], texts, spans, _whole)
        time = 0 if row.time is None else _time([one.time or 0.0 for one in said], texts, spans)
        sources = [_source([one.values[at][1] for one in said], texts, spans) for at in range(len(row.values))]
        if step is None or time is None or None in sources:
            return None
        names = tuple(name for name, _ in row.values)
        learned.append((names, sources, step, time, row.kind, row.engine, row.rank))
    text = json.dumps(learned).encode("ascii").translate(_HIDE)
    return Found(line, spans, list(pinned), text) if spans else None


def _source(
    values: Sequence[float], texts: Mapping[tuple[int, int], Sequence[bytes]], spans: list[tuple[int, int]]
) -> Source | None:
    for factor in _FACTORS:
        group = _group(values, texts, spans, lambda text, factor=factor: _float(text) * factor)  # type: ignore[misc]
        if group:
            return Source(group, factor)
    group = _group(values, texts, spans, _seconds)
    if group:
        return Source(group, 1.0)
    group = _group(values, texts, spans, lambda text: 1 / (_float(text) or math.nan))
    if group:
        return Source(group, _INVERSE)
    return Source(0, 0.0, repr(values[0])) if len({repr(value) for value in values}) == 1 else None


def _time(values: Sequence[float], texts: Mapping[tuple[int, int], Sequence[bytes]], spans: list[tuple[int, int]]) -> int | None:
    """The group of a stamp; below 0 that of a number of seconds since the epoch."""
    group = _group(values, texts, spans, _stamp)
    if group is None and (number := _group(values, texts, spans, _float)):
        return -number
    return group


def _group(
    values: Sequence[float], texts: Mapping[tuple[int, int], Sequence[bytes]], spans: list[tuple[int, int]],
    read: Callable[[bytes], float],
) -> int | None:  # fmt: skip
    """The group whose texts are read as these values, a new one if need be."""
    for span, shown in texts.items():
        if all(read(text) == value for text, value in zip(shown, values, strict=True)):
            if span not in spans:
                spans.append(span)
            return spans.index(span) + 2
    return None


def _float(text: bytes) -> float:
    try:
        return float(text.replace(b",", b""))
    except ValueError:
        return math.nan


def _whole(text: bytes) -> float:
    value = _float(text)
    return float(int(value)) if abs(value) < 1e15 else math.nan


def _seconds(text: bytes) -> float:
    return (duration_seconds(text.decode()) or 0.0) if _DURATION.fullmatch(text) else math.nan


def _stamp(text: bytes) -> float:
    return (plain_stamp(text) or math.nan) if _STAMP.fullmatch(text) else math.nan


@lru_cache(maxsize=1024)
def _read(text: bytes) -> tuple[Learned, ...]:
    return tuple(
        Learned(tuple(names), tuple(Source(*source) for source in sources), *more)
        for names, sources, *more in json.loads(text.translate(_SHOW))
    )


def rows_of(part: Part, rank: int | None) -> Iterator[Rows]:
    """What lines of a learned form say, the rows of one line one after the other; `rank`: that of the file."""
    _, at, lines, cells = part
    for nth, row in enumerate(_read(cells.constant(1))):
        columns = tuple(_column(source, cells, len(at)) for source in row.sources)
        steps = None if not row.step else _steps(cells, row.step)
        times = None if not row.time else _times(cells, row.time)
        own = rank if row.rank is None else row.rank
        yield Rows(at, lines, row.names, columns, steps, times, own, row.engine, row.kind, nth)


def _column(source: Source, cells: Any, size: int) -> Sequence[float]:
    if not source.group:
        return [float(source.always)] * size
    values: Sequence[float] = cells.floats(source.group)
    if source.factor == _INVERSE:
        if min(values, default=1.0) <= 0:
            raise ValueError("a rate of nothing")
        return [1 / value for value in values]
    return values if source.factor == 1.0 else [value * source.factor for value in values]


def _times(cells: Any, group: int) -> Sequence[float]:
    times: Sequence[float] = cells.times(abs(group))
    if group < 0 and not (times and min(times) > 1e9 and max(times) < 1e10):
        raise ValueError("no seconds since the epoch")
    return times


def _steps(cells: Any, group: int) -> Sequence[int]:
    steps: Sequence[float] = cells.ints(group)
    if max(map(abs, steps), default=0) >= 1e15:
        raise ValueError("a long number")
    return list(map(int, steps))


def recounted(found: Sequence[Rows], count: Callable[..., int | None], *names: str) -> list[Rows]:
    """Rows with the steps that `count(printed step, *values of these names)` gives, called in the order of the lines.

    The values are taken out of the rows; they are None in rows that lack them.
    """
    parts = [values_of(rows, names) for rows in found]
    if len(parts) == 1:
        [(rows, own)] = parts
        shown = rows.steps if rows.steps is not None else repeat(None, len(rows.at))
        return [_with(rows, list(map(count, shown, *[repeat(None) if column is None else column for column in own])))]
    steps: list[list[int | None]] = [[None] * len(rows.at) for rows, _ in parts]
    order: Iterable[tuple[int, int, int, int]] = (
        (at, rows.nth, which, place) for which, (rows, _) in enumerate(parts) for place, at in enumerate(rows.at)
    )
    for _, _, which, place in sorted(order):
        rows, own = parts[which]
        printed = rows.steps[place] if rows.steps is not None else None
        steps[which][place] = count(printed, *[None if column is None else column[place] for column in own])
    return [_with(rows, made) for (rows, _), made in zip(parts, steps, strict=True)]


def values_of(rows: Rows, names: Sequence[str]) -> tuple[Rows, list[Sequence[float] | None]]:
    """(rows without these values, their columns)."""
    own = [rows.columns[rows.names.index(name)] if name in rows.names else None for name in names]
    kept = [(name, column) for name, column in zip(rows.names, rows.columns, strict=True) if name not in names]
    return rows._replace(names=tuple(name for name, _ in kept), columns=tuple(column for _, column in kept)), own


def _with(rows: Rows, steps: Sequence[Any]) -> Rows:
    if None not in steps:
        return rows._replace(steps=steps)
    if any(step is not None for step in steps):
        raise ValueError("lines with and without a step")
    return rows._replace(steps=None)


def planned(found: Sequence[Rows], total: float) -> list[Rows] | None:
    """Rows without their value `@total`, None where one of them tells another plan than this one."""
    parts = [values_of(rows, ("@total",)) for rows in found]
    if any(column is not None and set(column) != {total} for _, (column,) in parts):
        return None
    return [rows for rows, _ in parts]


def plan_of(row: Row) -> tuple[Row, float | None]:
    """(a row without its value `@total`, that value)."""
    names = [name for name, _ in row.values]
    if "@total" not in names:
        return row, None
    at = names.index("@total")
    return row._replace(values=row.values[:at] + row.values[at + 1 :]), row.values[at][1]


class RegularReader:
    """A reader without a memory whose lines are learned."""

    hungry = False
    file = ""
    file_rank: int | None = None

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines."""
        return [rows for part in parts for rows in rows_of(part, self.file_rank)]

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
