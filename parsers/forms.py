"""Where the fields of lines with one skeleton stand between their runs of digits: what the extension reads columns by.

Lines with one skeleton differ in their digits alone. So a line is so many bytes that never vary, a run of digits, so many bytes
that never vary, a run, …; and a field goes from one place among those bytes to another. `_lines.c` passes over each line that
way and takes only lines that are used up by it to the byte.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, cast

from parsers.layout import DELETED, Cells, What, kind_of_text, turned

MAX_STRETCHES: Final = 1024
MAX_FIELDS: Final = 512
MAX_WATCHES: Final = 64
"""More of them has no form: such lines are read one by one."""
_RUN: Final = re.compile(rb"(\d+)|[\xe2\x96\x88-\x8f]+")
_NUMBER: Final = re.compile(rb"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?")
_END, _DIGITS, _FIXED, _BLOCKS = range(4)
_WHAT: Final[Mapping[What, int]] = {"float": 0, "commas": 1, "int": 2, "stamp": 3, "duration": 4}


class Column(NamedTuple):
    """A field's column: the group that it is of, or the name of a pair in the last group."""

    group: int
    name: str
    what: What


class Form(NamedTuple):
    """How one skeleton's lines are read. `stretches`, `fields`, `watches`, `texts`: as `Sorter.tell` takes them.

    `columns`: in the order of `fields`; `constants`: groups without digits, (group, text). Forms with the same `key` fill the
    same columns.
    """

    stretches: bytes
    fields: bytes
    watches: bytes
    texts: bytes
    columns: tuple[Column, ...]
    constants: tuple[tuple[int, bytes], ...]

    @property
    def key(self) -> object:
        """What columns these lines fill."""
        return self.columns, self.constants

    def cells(self, columns: Sequence[bytes]) -> Cells:
        """The columns that the extension read, of this form or another one with its key."""
        made = [(column, _array(column.what, data)) for column, data in zip(self.columns, columns, strict=True)]
        by_group = {column.group: values for column, values in made if not column.name}
        pairs = [(column.name, cast("array[float]", values)) for column, values in made if column.name]
        return Cells(by_group, pairs, dict(self.constants))


def _array(what: What, data: bytes) -> array[float] | array[int]:
    return array("q", data) if what == "int" else array("d", data)


class _Places:
    """The stretches of an example: which bytes never vary, and the runs behind them."""

    def __init__(self, example: bytes) -> None:
        self.runs = [(found.start(), found.end(), found[1] is not None) for found in _RUN.finditer(example)]
        if len(self.runs) >= MAX_STRETCHES:
            raise ValueError("too many numbers")
        self.starts = [0, *(end for _, end, _ in self.runs)]
        self.stops = [*(start for start, _, _ in self.runs), len(example)]
        self.bare = example.translate(None, DELETED)

    def of(self, at: int) -> tuple[int, int]:
        """(stretch, bytes behind its beginning) of a place. Raises ValueError for a place within a run."""
        for stretch, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            if start <= at <= stop:
                return stretch, at - start
        raise ValueError("a group that begins or ends within a number")

    def beginnings(self, text: bytes) -> Iterator[tuple[tuple[int, int], int]]:
        """Where a text with digits could stand in a line: (place of its first byte that is none, digits before)."""
        bare = text.translate(None, DELETED)
        back = len(text) - len(text.lstrip(DELETED))
        at = self.bare.find(bare)
        while at >= 0:
            yield self._of_kept(at), back
            at = self.bare.find(bare, at + 1)

    def _of_kept(self, index: int) -> tuple[int, int]:
        """(stretch, bytes behind its beginning) of a byte of the skeleton."""
        for stretch, (start, stop) in enumerate(zip(self.starts, self.stops, strict=True)):
            if index < stop - start:
                return stretch, index
            index -= stop - start
        raise ValueError("no such byte")


def form_of(example: bytes, found: re.Match[bytes], pairs: re.Pattern[bytes] | None, watched: Iterable[bytes] = ()) -> Form:
    """The form of an example's lines, as its pattern `found` it; `pairs` finds (name, value) in the last group.

    `watched`: texts with digits that lines may hold. Raises ValueError where its fields are none that columns are made of.
    """
    places = _Places(example)
    columns: list[Column] = []
    spans: list[tuple[int, int]] = []
    constants: list[tuple[int, bytes]] = []
    last = len(found.groups())
    for group, text in enumerate(found.groups(), 1):
        if text is None:
            continue
        if pairs is not None and group == last:
            for pair in pairs.finditer(text):
                start = found.start(group)
                what = _what(pair[2])
                columns.append(Column(0, pair[1].decode(), "float" if what == "int" else what))
                spans.append((start + pair.start(2), start + pair.end(2)))
        elif not re.search(rb"\d", text):
            constants.append((group, text))
        else:
            columns.append(Column(group, "", _what(text)))
            spans.append(found.span(group))
    if len(columns) > MAX_FIELDS:
        raise ValueError("too many fields")
    fields = array("i")
    for column, (start, end) in zip(columns, spans, strict=True):
        fields.extend((_WHAT[column.what], *places.of(start), *places.of(end)))
    stretches, texts = _stretches(example, found, places, spans)
    watches = array("i")
    for text in watched:
        for place, back in places.beginnings(text):
            watches.extend((*place, back, len(texts), len(text)))
        texts += text
    if len(watches) > 5 * MAX_WATCHES:
        raise ValueError("too many texts to watch for")
    return Form(stretches.tobytes(), fields.tobytes(), watches.tobytes(), texts, tuple(columns), tuple(constants))


def has_digits(text: bytes) -> bool:
    """Whether a text has digits (or a bar's blocks), which its skeleton has not."""
    return len(text.translate(None, DELETED)) < len(text)


def _what(text: bytes) -> What:
    what = kind_of_text(text)
    if what == "float" and not _NUMBER.fullmatch(text):
        if not _NUMBER.fullmatch(text.replace(b",", b"")):
            raise ValueError("no number")
        return "commas"
    return what


def _stretches(
    example: bytes, found: re.Match[bytes], places: _Places, spans: Sequence[tuple[int, int]]
) -> tuple[array[int], bytes]:
    """The stretches as numbers, and the digits of runs that the pattern wants as they are."""
    free = [
        (start, end) for start, end, is_number in places.runs
        if is_number and not any(low <= start and end <= high for low, high in spans)
    ]  # fmt: skip
    fixed = set[tuple[int, int]]()
    if not found.re.match(turned(example, free)):
        fixed = {span for span in free if not found.re.match(turned(example, [span]))}
    stretches, texts = array("i"), b""
    for k, (start, end, is_number) in enumerate(places.runs):
        kept = places.stops[k] - places.starts[k]
        if (start, end) in fixed:
            stretches.extend((kept, _FIXED, len(texts), end - start))
            texts += example[start:end]
        else:
            stretches.extend((kept, _DIGITS if is_number else _BLOCKS, 0, 0))
    stretches.extend((places.stops[-1] - places.starts[-1], _END, 0, 0))
    return stretches, texts
