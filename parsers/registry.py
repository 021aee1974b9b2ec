"""Readers: what they are, how they are found, and how lines reach them.

A reader is one file in `parsers/formats/` with one decorated class (text) or function (whole files); nothing is
registered by hand. Text is searched for the readers' literal *hints* with one multi-pattern automaton, and only
fragments that hold a hint are ever looked at in Python: what a log mostly consists of costs nothing.
"""

from __future__ import annotations

import copy
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from parsers.by_rank import ByRank, TextReader
from parsers.line import Line, make_line
from parsers.model import Record
from parsers.sieve import Sieve, is_plain
from parsers.source import MAX_FRAGMENT, Block

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
    name: str, *, title: str, hints: Sequence[str], example: str, is_fallback: bool = False, is_by_rank: bool = False
) -> Callable[[C], C]:
    """Registers a class whose instances read one file's lines.

    `hints`: literals, at least three characters, of which every line of the format holds at least one. `is_by_rank`: each
    rank that the lines name gets an instance of its own.
    """

    def add(make: C) -> C:
        TEXT[name] = TextFormat(
            name, title, tuple(hints), example, partial(ByRank, make, hints) if is_by_rank else make, is_fallback
        )
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
        self._indexes: dict[int, tuple[int, ...]] = {}
        self.automaton: Automaton = ahocorasick_rs.BytesAhoCorasick(list(self.hints) or [b"\0\0\0no hint\0"])

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
        self, router: Router, file: str, strict: bool = False, rank: int | None = None, sieve: Sieve | None = None
    ) -> None:
        """`rank`: who wrote the file, where its name says so: the rank of every line that names none itself.

        `sieve`: for one of very many files, what may be passed over.
        """
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

    def feed(self, block: Block) -> Iterator[tuple[str, Record]]:
        """What the fragments of this block say."""
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
