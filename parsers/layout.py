"""Where the fields of lines with one skeleton stand among their words, and those fields of many lines as columns.

Lines that differ in digits alone have their words at the same places. So many of them are split at once, and each field is
every n-th word: nothing of Python runs for a single line. Every line is checked: it has as many words as the example, and
the words without digits are the example's. What does not hold that raises `ValueError`, and is read line by line.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import add
from typing import Any, Final, Literal, NamedTuple

from parsers.line import midnight

_DELIMITERS: Final = b" \t\r\n\x1b[](){}<>,;=|/'\"%#" + bytes(range(0x80, 0x100))
_SPACES: Final = bytes.maketrans(_DELIMITERS, b" " * len(_DELIMITERS))
_END: Final = b"\0"
DELETED: Final = b"0123456789\xe2\x96\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"
"""What a skeleton is without: digits, and the bytes of a bar's blocks."""
_BLOCK: Final = b"\xe2\x96"
_OTHER_DIGITS: Final = bytes.maketrans(b"0123456789", b"5678901234")
_DIGIT: Final = re.compile(rb"\d")
_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?")
_DURATION: Final = re.compile(rb"\d{1,4}(?::\d\d){1,2}")
_LONG: Final = 10**15
"""Whole numbers beyond this are not read from columns."""
_MAX_KEPT: Final = 100_000


What = Literal["float", "commas", "int", "stamp", "duration"]
"""What a field is; `commas`: a number with thousands separated, as `forms.py` reads it."""


class Field(NamedTuple):
    """A captured group: the `length` words from `first` on, without some bytes at their ends. `text` where it never varies."""

    first: int
    length: int = 1
    before: int = 0
    after: int = 0
    text: bytes | None = None
    what: What = "float"


class Layout:
    """The words of an example: how many, which are fixed, and which hold the groups of its form (from 1 on)."""

    def __init__(self, example: bytes, found: re.Match[bytes], pairs: re.Pattern[bytes] | None) -> None:
        """`found`: the form's match; `pairs`: finds (name, value) in its last group. Raises ValueError where words do not fit."""
        words = list(_words(example))
        self.width = len(words) + 1
        self.fields: dict[int, Field] = {}
        self.pairs: tuple[tuple[bytes, Field], ...] = ()
        last = len(found.groups())
        for group, text in enumerate(found.groups(), 1):
            if text is None:
                continue
            if pairs is not None and group == last:
                start = found.start(group)
                self.pairs = tuple(
                    (pair[1], _field(words, example, start + pair.start(2), start + pair.end(2))) for pair in pairs.finditer(text)
                )
            elif not _DIGIT.search(text):
                self.fields[group] = Field(0, text=text)
            else:
                self.fields[group] = _field(words, example, *found.span(group))
        self.has_blocks = _BLOCK in example
        told = self._told(words, example, found)
        self.fixed = tuple((at, word) for at, (_, word) in enumerate(words) if at in told)
        self.key = (self.width, self.has_blocks, self.fixed, tuple(self.fields.items()), self.pairs)

    def _told(self, words: Sequence[tuple[int, bytes]], example: bytes, found: re.Match[bytes]) -> set[int]:
        """The words that are the same in every line: those without digits, and those whose digits the form wants."""
        fields = [field for field in [*self.fields.values(), *(field for _, field in self.pairs)] if field.text is None]
        told = {at for at, (_, word) in enumerate(words) if not _DIGIT.search(word)}
        varying = (
            set(range(len(words))) - told - {at for field in fields for at in range(field.first, field.first + field.length)}
        )
        spans = {at: (words[at][0], words[at][0] + len(words[at][1])) for at in varying}
        if not found.re.match(turned(example, spans.values())):
            told |= {at for at, span in spans.items() if not found.re.match(turned(example, [span]))}
        return told


def turned(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """A text with other digits in some places."""
    made = bytearray(text)
    for start, end in spans:
        made[start:end] = made[start:end].translate(_OTHER_DIGITS)
    return bytes(made)


def _words(text: bytes) -> Iterable[tuple[int, bytes]]:
    """(place, word) of a line, as `Cells` splits it."""
    spaced, at = text.translate(_SPACES), 0
    for word in spaced.split():
        at = spaced.index(word, at)
        yield at, word
        at += len(word)


def _field(words: Sequence[tuple[int, bytes]], text: bytes, start: int, end: int) -> Field:
    inside = [at for at, (place, word) in enumerate(words) if place < end and place + len(word) > start]
    if not inside:
        raise ValueError("a group without a word")
    (first_place, first), (last_place, last) = words[inside[0]], words[inside[-1]]
    before, after = start - first_place, last_place + len(last) - end
    if before < 0 or after < 0 or _DIGIT.search(first[:before]) or (after and _DIGIT.search(last[-after:])):
        raise ValueError("a group that is not a word")
    is_stamp = _STAMP.fullmatch(text[start:end]) is not None
    if len(inside) > 1 and not is_stamp and (before or after or set(_between(words, text, inside)) != {b","}):
        raise ValueError("a group of several words")
    return Field(inside[0], len(inside), before, after, None, kind_of_text(text[start:end]))


def kind_of_text(text: bytes) -> What:
    """What a field is, by its example: the others differ in digits alone."""
    if _STAMP.fullmatch(text):
        return "stamp"
    if _DURATION.fullmatch(text):
        return "duration"
    return "int" if text.isdigit() else "float"


def _between(words: Sequence[tuple[int, bytes]], text: bytes, inside: Sequence[int]) -> Iterable[bytes]:
    return (text[words[at][0] + len(words[at][1]) : words[at + 1][0]] for at in inside[:-1])


class Cells:
    """The fields of many lines with one layout, as columns."""

    __slots__ = ("_columns", "_pairs", "_texts")

    def __init__(
        self, columns: Mapping[int, array[Any]], pairs: Sequence[tuple[str, array[float]]], texts: Mapping[int, bytes]
    ) -> None:
        """`columns`, `texts`: by group, those that vary and those that do not; `pairs`: (name, values) in the last group."""
        self._columns = columns
        self._pairs = pairs
        self._texts = texts

    @classmethod
    def of(cls, layout: Layout, fragments: Sequence[bytes]) -> Cells:
        """Reads lines. Raises ValueError where one has not this layout, or a field that is none."""
        words = _Words(layout, fragments)
        columns = {group: words.column(field) for group, field in layout.fields.items() if field.text is None}
        texts = {group: field.text for group, field in layout.fields.items() if field.text is not None}
        return cls(columns, [(name.decode(), array("d", words.floats(field))) for name, field in layout.pairs], texts)

    def part(self, at: slice | Sequence[int]) -> Cells:
        """The fields of some of the lines."""
        chosen = {group: _some(column, at) for group, column in self._columns.items()}
        return Cells(chosen, [(name, _some(column, at)) for name, column in self._pairs], self._texts)

    def has(self, group: int) -> bool:
        """Whether the lines have this group."""
        return group in self._columns or group in self._texts

    def constant(self, group: int) -> bytes:
        """A group without digits: the same in every line. Raises ValueError for others."""
        if group not in self._texts:
            raise ValueError("a group that varies")
        return self._texts[group]

    def floats(self, group: int) -> array[float]:
        """A group's numbers."""
        column = self._columns[group]
        return column if column.typecode == "d" else array("d", column)

    def ints(self, group: int) -> array[int]:
        """A group's whole numbers."""
        return self._columns[group]

    @property
    def pairs(self) -> Sequence[tuple[str, array[float]]]:
        """(name, values) of the pairs in the last group."""
        return self._pairs

    def times(self, group: int) -> array[float]:
        """Seconds since the epoch of a stamp, as `line.plain_stamp` reads it."""
        return self._columns[group]

    def durations(self, group: int) -> array[float]:
        """Seconds of `02:03` and `9:02:03`."""
        return self._columns[group]


def _some(column: array[Any], at: slice | Sequence[int]) -> array[Any]:
    return column[at] if isinstance(at, slice) else array(column.typecode, [column[place] for place in at])


class _Words:
    """The words of many lines with one layout. Raises ValueError where a line does not have it; so do the columns."""

    def __init__(self, layout: Layout, fragments: Sequence[bytes]) -> None:
        width, size = layout.width, len(fragments)
        text = b" \0 ".join(fragments) + b" \0"
        if not layout.has_blocks and _BLOCK in text:
            raise ValueError("blocks of a bar between the words")
        words = text.translate(_SPACES).split()
        if len(words) != width * size or words[width - 1 :: width].count(_END) != size:
            raise ValueError("not as many words")
        for at, word in layout.fixed:
            if words[at::width].count(word) != size:
                raise ValueError("other words")
        self._width = width
        self._words = words

    def column(self, field: Field) -> array[Any]:
        """A group's values, as its example says what they are."""
        if field.what == "stamp":
            return array("d", self._times(field))
        if field.what == "duration":
            return array("d", map(_DURATIONS.__getitem__, self._texts(field)))
        if field.what == "int":
            return self._ints(field)
        return array("d", self.floats(field))

    def floats(self, field: Field) -> list[float]:
        """A group's numbers."""
        return list(map(float, self._texts(field)))

    def _ints(self, field: Field) -> array[int]:
        numbers = list(map(int, self._texts(field)))
        if max(numbers, default=0) > _LONG:
            raise ValueError("a long number")
        return array("q", numbers)

    def _times(self, field: Field) -> list[float]:
        width = self._width
        dates = self._words[field.first :: width]
        if field.before:
            dates = [date[field.before :] for date in dates]
        clocks = map(_SECONDS.__getitem__, self._words[field.first + 1 :: width])
        days = {date: _day(date) for date in ({dates[0]} if dates.count(dates[0]) == len(dates) else set(dates))}
        if not all(days.values()):
            raise ValueError("no such day, or the first of all")
        if len(days) == 1:
            day = days[dates[0]] or 0.0
            seconds: Iterable[float] = [day + clock for clock in clocks]
        else:
            seconds = map(add, map(days.__getitem__, dates), clocks)
        if field.length > 2:
            seconds = map(add, seconds, map(_MILLIS.__getitem__, self._words[field.first + 2 :: width]))
        return list(seconds)

    def _texts(self, field: Field) -> list[bytes]:
        width = self._width
        words = self._words[field.first :: width]
        if field.before or field.after:
            stop = -field.after or None
            return [word[field.before : stop] for word in words]
        for more in range(1, field.length):
            words = list(map(add, words, self._words[field.first + more :: width]))
        return words


@lru_cache(maxsize=64)
def _day(date: bytes) -> float | None:
    if len(date) != 10 or date[4:5] != b"-" or date[7:8] != b"-":
        raise ValueError("no date")
    text = date.decode("ascii")
    seconds = midnight(text[:4], text[5:7], text[8:])
    return None if seconds is None else float(seconds)


class _Seconds(dict[bytes, int]):
    """`10:00:09` → seconds since midnight."""

    def __missing__(self, text: bytes) -> int:
        if len(text) != 8 or text[2] != 58 or text[5] != 58:
            raise ValueError("no time of the day")
        seconds = int(text[:2]) * 3600 + int(text[3:5]) * 60 + int(text[6:])
        if len(self) < _MAX_KEPT:
            self[text] = seconds
        return seconds


class _Durations(dict[bytes, float]):
    """`02:03` → seconds."""

    def __missing__(self, text: bytes) -> float:
        if not _DURATION.fullmatch(text):
            raise ValueError("no duration")
        seconds = 0.0
        for part in text.split(b":"):
            seconds = seconds * 60 + int(part)
        if len(self) < _MAX_KEPT:
            self[text] = seconds
        return seconds


class _Millis(dict[bytes, float]):
    """`017` → seconds."""

    def __missing__(self, text: bytes) -> float:
        raise ValueError("no milliseconds")


_SECONDS: Final = _Seconds()
_DURATIONS: Final = _Durations()
_MILLIS: Final = _Millis((b"%03d" % number, number / 1000) for number in range(1000))
