"""Readers: what they are, how they are found, and how lines reach them.

A reader is one file in `parsers/formats/` with one decorated class (text) or function (whole files); nothing is
registered by hand. Text is searched for the readers' literal *hints* with one multi-pattern automaton, and only
fragments that hold a hint are ever looked at in Python: what a log mostly consists of costs nothing.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from itertools import accumulate
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

from parsers.by_rank import ByRank, TextReader
from parsers.line import Line, make_line
from parsers.model import Record, Row
from parsers.plain import Plain, Shape, Shapes
from parsers.plain import key as plain_key
from parsers.sieve import Sieve, is_plain
from parsers.source import MAX_FRAGMENT, Block
from parsers.table import holds_loss

FIRST: Final = 100
"""Fragments of a file that are sorted before the others."""
SHORT: Final = 4
"""Bytes a fragment: of blocks with shorter ones on average (millions of empty lines) no list of fragments is made."""
MAX_LATE: Final = 8000
"""Bytes that are kept of a line that a reader passes over and may read at the end."""
MAX_MASKS: Final = 4096
"""Sets of readers whose members are kept in a table; hostile logs could ask for more."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A text reader's card: what `analyze formats` lists."""

    name: str
    title: str
    hints: tuple[str, ...]
    example: str
    make: Callable[[], TextReader] = field(repr=False)
    is_fallback: bool = False
    """Whether its rows count only where no other text reader found a loss in the file (`Tables.drop_fallbacks`)."""
    plain: tuple[Plain, ...] = field(default=(), repr=False)
    is_search: bool = False
    """Whether it only searches lines for patterns, and can search many at once (`refutes_all`); one reader at most."""


@dataclass(frozen=True, slots=True)
class FileFormat:
    """A whole-file reader's card. `matches(path, first bytes)` decides; `read(path)` yields records."""

    name: str
    title: str
    example: str
    matches: Callable[[Path, bytes], bool] = field(repr=False)
    read: Callable[[Path], Iterator[Record]] = field(repr=False)
    is_binary: bool = False
    is_fallback: bool = False
    """Whether it is asked only where no other whole-file reader knows the file."""


TEXT: Final[dict[str, TextFormat]] = {}
FILES: Final[dict[str, FileFormat]] = {}

C = TypeVar("C", bound=Callable[[], TextReader])
F = TypeVar("F", bound=Callable[[Path], Iterator[Record]])


def text_reader(
    name: str,
    *,
    title: str,
    hints: Sequence[str],
    example: str,
    is_fallback: bool = False,
    is_by_rank: bool = False,
    plain: Sequence[Plain] = (),
) -> Callable[[C], C]:
    """Registers a class whose instances read one file's lines.

    `hints`: literals, at least three characters, of which every line of the format holds at least one. `is_by_rank`: each
    rank that the lines name gets an instance of its own. `plain`: the exact forms of its most frequent lines.
    """

    def add(make: C) -> C:
        maker = partial(ByRank, make, hints) if is_by_rank else make
        TEXT[name] = TextFormat(name, title, tuple(hints), example, maker, is_fallback, tuple(plain))
        return make

    return add


def file_reader(
    name: str,
    *,
    title: str,
    example: str,
    matches: Callable[[Path, bytes], bool],
    is_binary: bool = False,
    is_fallback: bool = False,
) -> Callable[[F], F]:
    """Registers a function that reads a whole file of its own format (JSON, CSV, event file)."""

    def add(read: F) -> F:
        FILES[name] = FileFormat(name, title, example, matches, read, is_binary, is_fallback)
        return read

    return add


@cache
def load() -> None:
    """Imports every module of `parsers.formats` once, in alphabetical order."""
    folder = importlib.import_module("parsers.formats")
    for module in sorted(info.name for info in pkgutil.iter_modules(folder.__path__)):
        importlib.import_module(f"parsers.formats.{module}")


def text_formats() -> tuple[TextFormat, ...]:
    """All text readers, by name."""
    load()
    return tuple(TEXT[name] for name in sorted(TEXT))


def file_formats() -> tuple[FileFormat, ...]:
    """All whole-file readers, by name."""
    load()
    return tuple(FILES[name] for name in sorted(FILES))


class Automaton(Protocol):
    """A multi-pattern searcher over bytes."""

    def find_matches_as_indexes(self, haystack: bytes, overlapping: bool = False) -> list[tuple[int, int, int]]:
        """(pattern, start, end) of every occurrence, ordered by end."""
        ...


class Router:
    """The hints of a set of readers in one automaton, and which reader each hint belongs to."""

    def __init__(self, formats: Sequence[TextFormat]) -> None:
        import ahocorasick_rs

        self.formats = tuple(formats)
        owners: dict[bytes, int] = {}
        for index, form in enumerate(self.formats):
            for hint in form.hints:
                key = hint.encode()
                owners[key] = owners.get(key, 0) | 1 << index
        self.hints = tuple(owners)
        self.masks = tuple(owners.values())
        self.places = {hint: place for place, hint in enumerate(self.hints)}
        self.fallbacks = sum(1 << index for index, form in enumerate(self.formats) if form.is_fallback)
        self.searchers = sum(1 << index for index, form in enumerate(self.formats) if form.is_search)
        self._indexes: dict[int, tuple[int, ...]] = {}
        self.automaton: Automaton = ahocorasick_rs.BytesAhoCorasick(list(self.hints) or [b"\0\0\0no hint\0"])

    @cached_property
    def proper_masks(self) -> tuple[int, ...]:
        """`masks` without the fallbacks."""
        return tuple(mask & ~self.fallbacks for mask in self.masks)

    @cached_property
    def shapes(self) -> Shapes:
        """The readers' plain lines."""
        hints = dict(zip(self.hints, self.masks, strict=True))
        return Shapes([form.name for form in self.formats], [form.plain for form in self.formats], hints)

    def indexes(self, mask: int) -> tuple[int, ...]:
        """The readers whose bits are set, in their order; kept, as a log holds few kinds of lines."""
        known = self._indexes.get(mask)
        if known is None:
            known = tuple(index for index in range(len(self.formats)) if mask >> index & 1)
            if len(self._indexes) < MAX_MASKS:
                self._indexes[mask] = known
        return known


class Scanner:
    """Feeds one file's blocks to fresh readers and yields (reader's name, record) in the order of the file."""

    def __init__(
        self,
        router: Router,
        file: str,
        strict: bool = False,
        rank: int | None = None,
        sieve: Sieve | None = None,
        is_by_line: bool = False,
    ) -> None:
        """`rank`: who wrote the file, where its name says so: the rank of every line that names none itself.

        `sieve`: for one of very many files, what may be passed over. `is_by_line`: every line becomes a `Line`, plain ones
        too: the same records, slower.
        """
        self._has_loss = False
        self._is_by_line = is_by_line or sieve is not None
        self._bound: list[tuple[str, PlainRead] | None] = []
        self._watched: list[tuple[bytes, ...]] = []
        self._sieve = sieve
        self._router = router
        self._file = file
        self._strict = strict
        self._rank = rank
        self._readers: list[TextReader | None] = [None] * len(router.formats)
        self._hungry = 0
        self._masks: Sequence[int] = router.masks
        self._spent: dict[int, list[bytes]] = {}
        self.failures: list[tuple[str, str]] = []

    def feed(self, block: Block) -> Iterable[tuple[str, Record]]:
        """What the fragments of this block say."""
        is_short = block.data.count(b"\n") + block.data.count(b"\r") > len(block.data) // SHORT
        return self._by_line(block) if self._is_by_line or is_short else self._by_shape(block)

    def _by_shape(self, block: Block) -> list[tuple[str, Record]]:
        """Plain lines from their bytes, the others that hold a hint as `Line`s, in their order."""
        fragments = block.data.splitlines(True)
        line = block.line
        numbers: Sequence[int] = range(line, line + len(fragments))
        if b"\r" in block.data:
            numbers = tuple(accumulate([fragment[-1] == 10 for fragment in fragments], initial=line))
        if self._watched:
            return self._in_order(fragments, numbers)
        self._watch()  # after a few lines many hints are spent already
        return self._in_order(fragments[:FIRST], numbers) + self._in_order(fragments[FIRST:], numbers[FIRST:])

    def _in_order(self, fragments: list[bytes], numbers: Sequence[int]) -> list[tuple[str, Record]]:
        said: list[tuple[str, Record]] = []
        done = self._feed_hungry(fragments, numbers, 0, said)
        todo = self._sorted(fragments)
        watched = self._watched_in(todo)
        for at, shape, found in todo:
            if at < done:
                continue
            if shape is None:
                hits: Sequence[int] = found
            else:
                hints = watched[shape.number]
                if not hints or self._is_plain(shape, hints, fragments[at]):
                    self._read_plain(shape, numbers[at], found, said)
                    continue
                hits = self._hits(fragments[at])
            self._read_line(numbers[at], fragments[at], hits, said)
            if self._hungry:
                done = self._feed_hungry(fragments, numbers, at + 1, said)
        return said

    def _watched_in(self, todo: list[tuple[int, Shape | None, Any]]) -> list[tuple[bytes, ...]]:
        """Per form the hints of others that are in its lines among these at all, and that nobody refutes for all of them."""
        lines: dict[Shape, list[bytes]] = {}
        for _, shape, found in todo:
            if shape is not None:
                lines.setdefault(shape, []).append(found.string)
        watched: list[tuple[bytes, ...]] = [()] * len(self._watched)
        for shape, texts in lines.items():
            if self._watched[shape.number]:
                text = b"".join(texts)
                watched[shape.number] = tuple(
                    hint
                    for hint in self._watched[shape.number]
                    if hint in text
                    and not self._is_silent(self._masks[self._router.places[hint]] & ~shape.quiet, hint, text, True)
                )
        return watched

    def _sorted(self, fragments: list[bytes]) -> list[tuple[int, Shape | None, Any]]:
        """(place, form, match) of what looks plain and (place, None, hints' numbers) of what else holds a hint."""
        shapes = self._router.shapes
        firsts, known, learn = shapes.firsts, shapes.known, shapes.learn
        found: list[tuple[int, Shape | None, Any]] = []
        places, rest = [], []
        for at, fragment in enumerate(fragments):
            if fragment[0] in firsts:
                key = plain_key(fragment)
                shape = known[key] if key in known else learn(key, fragment)
                if shape is not None and (match := shape.pattern.match(fragment)):
                    found.append((at, shape, match))
                    continue
            places.append(at)
            rest.append(fragment)
        hinted = self._hinted(rest, places)
        if found and hinted:
            found += hinted
            found.sort(key=itemgetter(0))
        return found or hinted

    def _hinted(self, fragments: list[bytes], places: list[int]) -> list[tuple[int, Shape | None, Any]]:
        """(place, None, hints' numbers) of the fragments that hold a hint which somebody still waits for."""
        hits = self._router.automaton.find_matches_as_indexes(b"".join(fragments), overlapping=True)
        ends, masks = list(accumulate(map(len, fragments))), self._masks
        found: list[tuple[int, Shape | None, Any]] = []
        alike: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        index, size, single = 0, len(hits), self._router.searchers
        while index < size:
            which = bisect_right(ends, hits[index][1])
            end, mask, numbers = ends[which], 0, []
            limit = end - len(fragments[which]) + MAX_FRAGMENT
            while index < size and hits[index][1] < end:
                hint, _, until = hits[index]
                if until <= limit:
                    mask |= masks[hint]
                    numbers.append(hint)
                index += 1
            if mask & single == mask and mask:
                alike.setdefault(tuple(numbers), []).append((places[which], which))
            elif mask:
                found.append((places[which], None, numbers))
        left = [item for numbers, lines in alike.items() for item in self._unrefuted(numbers, lines, fragments)]
        return sorted(found + left, key=itemgetter(0)) if left else found

    def _unrefuted(
        self, numbers: tuple[int, ...], lines: list[tuple[int, int]], fragments: list[bytes]
    ) -> list[tuple[int, Shape | None, Any]]:
        """The lines with one set of hints, none where the reader that searches them finds nothing in all of them at once."""
        if len(lines) > 2:
            hints = [self._router.hints[number] for number in numbers if self._masks[number]]
            mask = self._masks[self._router.places[hints[0]]]
            reader: Any = self._readers[mask.bit_length() - 1] or self._begin(mask.bit_length() - 1)
            if reader.refutes_all(hints, b"".join([fragments[which] for _, which in lines])):
                return []
        return [(place, None, numbers) for place, _ in lines]

    def _feed_hungry(self, fragments: list[bytes], numbers: Sequence[int], at: int, said: list[tuple[str, Record]]) -> int:
        """Feeds fragments from `at` on while a reader waits for every line; the place of the first that it did not feed."""
        while self._hungry and at < len(fragments):
            self._read_line(numbers[at], fragments[at], self._hits(fragments[at]), said)
            at += 1
        return at

    def _hits(self, fragment: bytes) -> list[int]:
        """The hints of one fragment, by their numbers."""
        return [hit[0] for hit in self._router.automaton.find_matches_as_indexes(fragment[:MAX_FRAGMENT], overlapping=True)]

    def _watch(self) -> None:
        """Which hints make a line of each form one that others must see: fewer as they are spent."""
        masks, names = self._masks, self._router.hints
        shapes = self._router.shapes.all
        self._watched = [tuple(names[n] for n in shape.watched if masks[n] & ~shape.quiet) for shape in shapes]
        self._bound = self._bound or [None] * len(shapes)

    def _is_plain(self, shape: Shape, hints: Iterable[bytes], fragment: bytes) -> bool:
        """Whether nobody who waits for one of these hints would say anything about a line of this form."""
        for hint in hints:
            if hint in fragment and not self._is_silent(self._masks[self._router.places[hint]] & ~shape.quiet, hint, fragment):
                return False
        return True

    def _is_silent(self, mask: int, hint: bytes, text: bytes, is_many: bool = False) -> bool:
        """Whether the one reader that waits for a hint has nothing to say about a plain line (or about many)."""
        if not mask:  # spent meanwhile
            return True
        reader: Any = self._readers[mask.bit_length() - 1] if not mask & (mask - 1) else None
        if isinstance(reader, ByRank):
            return reader.refutes_plain((hint,), text, self._rank)
        refutes = getattr(reader, "refutes_all" if is_many else "refutes", None)
        return refutes is not None and bool(refutes((hint,), text))

    def _is_refuted(self, mask: int, hints: Iterable[bytes], fragment: bytes) -> bool:
        """Whether the one reader that waits for these hints can tell from the bytes that it has nothing to say."""
        reader = self._readers[mask.bit_length() - 1] if mask and not mask & (mask - 1) else None
        refutes = getattr(reader, "refutes", None)
        return refutes is not None and refutes(hints, fragment)

    def _read_plain(self, shape: Shape, number: int, found: re.Match[bytes], said: list[tuple[str, Record]]) -> None:
        name, read = self._bound[shape.number] or self._bind(shape)
        try:
            for record in read(number, found):
                said.append((name, record))
                if not self._has_loss:
                    self._note_loss(shape.owner, record)
        except Exception as error:
            self._fail(shape.owner, f"{self._file}:{number}", error)

    def _bind(self, shape: Shape) -> tuple[str, PlainRead]:
        """The method that reads a form's lines, of the reader that also gets the others."""
        reader: Any = self._readers[shape.owner] or self._begin(shape.owner)
        if isinstance(reader, ByRank):
            reader = reader.of(self._rank)
        reader.file, reader.file_rank = self._file, self._rank
        bound = self._bound[shape.number] = self._router.formats[shape.owner].name, getattr(reader, shape.method)
        return bound

    def _read_line(self, number: int, fragment: bytes, hits: Sequence[int], said: list[tuple[str, Record]]) -> None:
        """Gives a fragment to the readers of its hints and to those that are hungry."""
        masks, names, mask = self._masks, self._router.hints, 0
        for hit in hits:
            mask |= masks[hit]
        if not mask | self._hungry:
            return
        hints = tuple([names[hit] for hit in hits])
        if not self._hungry and self._is_refuted(mask, hints, fragment):
            late = getattr(self._readers[mask.bit_length() - 1], "late", None)
            if late is not None:
                late.append((number, fragment[:MAX_LATE], hints, self._rank))
            return
        line = make_line(self._file, number, fragment[:MAX_FRAGMENT])
        line.hints = hints
        if line.rank is None:
            line.rank = self._rank
        for which in self._router.indexes(mask | self._hungry):
            self._feed_one(which, line, said)

    def _feed_one(self, which: int, line: Line, said: list[tuple[str, Record]]) -> None:
        try:
            reader = self._readers[which] or self._begin(which)
            for record in reader.feed(line):
                said.append((self._router.formats[which].name, record))
                if not self._has_loss:
                    self._note_loss(which, record)
        except Exception as error:
            self._fail(which, f"{self._file}:{line.no}", error)
            return
        if reader.hungry:
            self._hungry |= 1 << which
        elif self._hungry:
            self._hungry &= ~(1 << which)
        if self._spent and self._spent.get(which):
            self._masks = self._without_spent(which)
            self._watch()

    def _by_line(self, block: Block) -> Iterator[tuple[str, Record]]:
        """Every fragment that holds a hint as a `Line`."""
        data = block.data
        hits = self._router.automaton.find_matches_as_indexes(data, overlapping=True)
        masks, names = self._masks, self._router.hints
        position, counted, number, index, size = 0, 0, block.line, 0, len(data)
        while position < size:
            if self._hungry:
                start = position
            else:
                while index < len(hits) and (hits[index][1] < position or not masks[hits[index][0]]):
                    index += 1
                if index == len(hits):
                    break
                start = _start(data, position, hits[index][1])
            end, after = _end(data, start)
            mask, hints = 0, []
            while index < len(hits) and hits[index][1] < end:
                hint, at, until = hits[index]
                if at >= start and until - start <= MAX_FRAGMENT:
                    mask |= masks[hint]
                    hints.append(names[hint])
                index += 1
            number += data.count(b"\n", counted, start)
            counted = start
            position = after
            shape = tuple(hints)
            sieve = None if self._hungry else self._sieve
            if sieve and sieve.passes_over(shape, data, start, end):
                continue
            if mask or self._hungry:
                said = plain = 0
                line = make_line(self._file, number, data[start : min(end, start + MAX_FRAGMENT)])
                line.hints = shape
                if line.rank is None:
                    line.rank = self._rank
                for which in self._router.indexes(mask | self._hungry):
                    try:
                        reader = self._readers[which] or self._begin(which)
                        for record in reader.feed(line):
                            if not self._has_loss:
                                self._note_loss(which, record)
                                masks = self._masks
                            if sieve:
                                said, plain = said + 1, plain + is_plain(record)
                            yield self._router.formats[which].name, record
                    except Exception as error:
                        self._fail(which, f"{self._file}:{line.no}", error)
                    else:
                        if reader.hungry:
                            self._hungry |= 1 << which
                        elif self._hungry:
                            self._hungry &= ~(1 << which)
                        if self._spent and self._spent.get(which):
                            masks = self._masks = self._without_spent(which)
                if sieve:
                    sieve.note(shape, mask, said + bool(self._hungry), plain)
        if self._sieve:
            self._sieve.offset += size

    def close(self) -> Iterator[tuple[str, Record]]:
        """What the readers that were fed anything have left to say."""
        for index, reader in enumerate(self._readers):
            if reader is None:
                continue
            try:
                for record in reader.close():
                    yield self._router.formats[index].name, record
            except Exception as error:
                self._fail(index, self._file, error)

    def peek(self, is_over: bool) -> Iterator[tuple[str, Record]]:
        """What `close` would yield now; the readers themselves stay as they are.

        Readers in the middle of something (a stack of which more lines come) are silent unless `is_over`.
        """
        twin = copy.copy(self)
        waiting = 0 if is_over else self._hungry
        twin._readers = [
            None if reader is None or waiting >> index & 1 else copy.deepcopy(reader)
            for index, reader in enumerate(self._readers)
        ]
        twin.failures = []
        yield from twin.close()

    def _note_loss(self, index: int, record: Record) -> None:
        """Where a reader has found a loss, the fallbacks' rows will be dropped: they need not be fed any more."""
        if (
            isinstance(record, Row)
            and not self._router.fallbacks >> index & 1
            and holds_loss(record.kind, (n for n, _ in record.values))
        ):
            self._has_loss = True
            is_fresh = self._masks is self._router.masks
            self._masks = self._router.proper_masks if is_fresh else [mask & ~self._router.fallbacks for mask in self._masks]
            self._hungry &= ~self._router.fallbacks
            self._watch()

    def _begin(self, index: int) -> TextReader:
        """A reader's first line in this file: most readers never see one."""
        reader = self._readers[index] = self._router.formats[index].make()
        spent = getattr(reader, "spent", None)
        if spent is not None:
            self._spent[index] = spent
        return reader

    def _without_spent(self, index: int) -> list[int]:
        """The masks without the hints that a reader has done with: their lines cost nothing from here on."""
        masks = list(self._masks)
        for hint in self._spent[index]:
            masks[self._router.places[hint]] &= ~(1 << index)
        self._spent[index].clear()
        return masks

    def _fail(self, index: int, place: str, error: Exception) -> None:
        """A reader of ours raised: it says nothing more about this file. Re-raises when strict."""
        if self._strict:
            raise error
        self.failures.append((self._router.formats[index].name, f"{place}: {type(error).__name__}: {error}"))
        self._readers[index] = _Mute()
        self._hungry &= ~(1 << index)
        for shape in self._router.shapes.all:
            if shape.owner == index and self._bound:
                self._bound[shape.number] = "", _say_nothing


PlainRead = Callable[[int, re.Match[bytes]], Iterable[Record]]


def _say_nothing(_: int, __: re.Match[bytes]) -> Iterable[Record]:
    return ()


class _Mute:
    """Stands for a reader that failed."""

    hungry = False

    def feed(self, _: Line, /) -> Iterable[Record]:
        """Nothing."""
        return ()

    def close(self) -> Iterable[Record]:
        """Nothing."""
        return ()


def _start(data: bytes, low: int, hit: int) -> int:
    feed = data.rfind(b"\n", low, hit) + 1 or low
    return data.rfind(b"\r", feed, hit) + 1 or feed


def _end(data: bytes, start: int) -> tuple[int, int]:
    """(end of the fragment that begins at `start`, where the next one begins)."""
    feed = data.find(b"\n", start)
    stop = len(data) if feed < 0 else feed
    carriage = data.find(b"\r", start, stop)
    if carriage < 0:
        return stop, min(stop + 1, len(data))
    if carriage + 1 == feed:
        return carriage, feed + 1
    return carriage, carriage + 1
