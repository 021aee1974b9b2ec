"""Readers: what they are, how they are found, and how lines reach them.

A reader is one file in `parsers/formats/` with one decorated class (text) or function (whole files); nothing is
registered by hand. Text is searched for the readers' literal *hints* with one multi-pattern automaton, and only
fragments that hold a hint are ever looked at in Python: what a log mostly consists of costs nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Protocol, TypeVar

from parsers.line import Line, make_line
from parsers.model import Record
from parsers.source import MAX_FRAGMENT, Block


class TextReader(Protocol):
    """Reads one framework's lines; may keep state; never sees the file, the terminal or another reader."""

    @property
    def hungry(self) -> bool:
        """While True, every following line is fed, hint or not (a config dump, a traceback). The reader lets go itself."""
        ...

    def feed(self, line: Line) -> Iterable[Record]:
        """What this line says."""
        ...

    def close(self) -> Iterable[Record]:
        """What is left to say at the end of the file."""
        ...


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


def text_reader(name: str, *, title: str, hints: Sequence[str], example: str, is_fallback: bool = False) -> Callable[[C], C]:
    """Registers a class whose instances read one file's lines.

    `hints`: literals, at least three characters, of which every line of the format holds at least one.
    """

    def add(make: C) -> C:
        TEXT[name] = TextFormat(name, title, tuple(hints), example, make, is_fallback)
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
        self.automaton: Automaton = ahocorasick_rs.BytesAhoCorasick(list(self.hints) or [b"\0\0\0no hint\0"])


class Scanner:
    """Feeds one file's blocks to fresh readers and yields (reader's name, record) in the order of the file."""

    def __init__(self, router: Router, file: str, strict: bool = False, rank: int | None = None) -> None:
        """`rank`: who wrote the file, where its name says so: the rank of every line that names none itself."""
        self._router = router
        self._file = file
        self._strict = strict
        self._rank = rank
        self._readers: list[TextReader | None] = [form.make() for form in router.formats]
        self._hungry = 0
        self.failures: list[tuple[str, str]] = []

    def feed(self, block: Block) -> Iterator[tuple[str, Record]]:
        """What the fragments of this block say."""
        data = block.data
        hits = self._router.automaton.find_matches_as_indexes(data, overlapping=True)
        position, counted, number, index, size = 0, 0, block.line, 0, len(data)
        while position < size:
            if self._hungry:
                start = position
            else:
                while index < len(hits) and hits[index][1] < position:
                    index += 1
                if index == len(hits):
                    return
                start = _start(data, position, hits[index][1])
            end, after = _end(data, start)
            mask, hints = 0, []
            while index < len(hits) and hits[index][1] < end:
                which, at, until = hits[index]
                if at >= start and until - start <= MAX_FRAGMENT:
                    mask |= self._router.masks[which]
                    hints.append(self._router.hints[which])
                index += 1
            number += data.count(b"\n", counted, start)
            counted = start
            position = after
            if mask or self._hungry:
                line = make_line(self._file, number, data[start : min(end, start + MAX_FRAGMENT)])
                line.hints = tuple(hints)
                if line.rank is None:
                    line.rank = self._rank
                yield from self._dispatch(line, mask | self._hungry)

    def close(self) -> Iterator[tuple[str, Record]]:
        """What the readers have left to say."""
        for index in range(len(self._readers)):
            yield from self._ask(index, None)

    def _dispatch(self, line: Line, mask: int) -> Iterator[tuple[str, Record]]:
        index = 0
        while mask:
            if mask & 1:
                yield from self._ask(index, line)
            mask >>= 1
            index += 1

    def _ask(self, index: int, line: Line | None) -> Iterator[tuple[str, Record]]:
        reader = self._readers[index]
        if reader is None:
            return
        name = self._router.formats[index].name
        try:
            for record in reader.feed(line) if line else reader.close():
                yield name, record
        except Exception as error:
            if self._strict:
                raise
            place = f"{line.file}:{line.no}" if line else self._file
            self.failures.append((name, f"{place}: {type(error).__name__}: {error}"))
            self._readers[index] = None
            self._hungry &= ~(1 << index)
            return
        if reader.hungry:
            self._hungry |= 1 << index
        else:
            self._hungry &= ~(1 << index)


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
