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
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Final, TypeVar

from parsers.automaton import Automaton
from parsers.by_rank import ByRank, TextReader
from parsers.model import Record
from parsers.native import extension
from parsers.plain import Plain, Shapes
from parsers.regular import Learner, Parse
from parsers.skeletons import IsDull, Skeletons
from parsers.sorter import Sorter

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
    is_dull: IsDull | None = field(default=None, repr=False)
    """Tells by the skeleton of lines that it has nothing to say about any of them."""
    reads_all: Callable[[str], bool] | None = field(default=None, repr=False)
    """Tells by a file's path whether it wants every line with a hint, dull or not."""
    parse: Parse | None = field(default=None, repr=False)
    """What a line says without a memory, of a reader whose lines are learned (`regular.py`)."""
    silent: frozenset[str] = field(default=frozenset(), repr=False)
    """Readers that have hints in such lines and say nothing that is kept."""
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
    is_dull: IsDull | None = None,
    reads_all: Callable[[str], bool] | None = None,
    parse: Parse | None = None,
    silent: Iterable[str] = (),
) -> Callable[[C], C]:
    """Registers a class whose instances read one file's lines.

    `hints`: literals, at least three characters, of which every line of the format holds at least one. `is_by_rank`: each
    rank that the lines name gets an instance of its own. `plain`: the exact forms of its most frequent lines.
    `is_dull`: tells by the skeleton of lines (and one of its hints) that it has nothing to say about them, but in files
    that `reads_all` names by their path. `parse`: see `TextFormat`; the class has `columns` then. `silent`: readers that say
    nothing about its lines that is kept, as fallbacks about lines with a loss.
    """

    def add(make: C) -> C:
        maker = partial(ByRank, make, hints) if is_by_rank else make
        TEXT[name] = TextFormat(
            name, title, tuple(hints), example, maker, is_fallback, tuple(plain), is_dull, reads_all, parse, frozenset(silent)
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


class Router:
    """The hints of a set of readers in one automaton, and which reader each hint belongs to."""

    def __init__(self, formats: Sequence[TextFormat]) -> None:
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
        self.automaton = Automaton(self.hints)

    @cached_property
    def proper_masks(self) -> tuple[int, ...]:
        """`masks` without the fallbacks."""
        return tuple(mask & ~self.fallbacks for mask in self.masks)

    @cached_property
    def shapes(self) -> Shapes:
        """The readers' plain lines."""
        regular = [(index, form) for index, form in enumerate(self.formats) if form.parse is not None]
        regular.sort(key=lambda item: item[1].is_fallback)
        learners = [(index, Learner(form.parse), form.silent) for index, form in regular if form.parse]
        return Shapes([form.name for form in self.formats], [form.plain for form in self.formats], learners)

    @cached_property
    def skeletons(self) -> Skeletons:
        """What lines are by their skeletons; shared by all files that are read with this router."""
        dull = {1 << index: form.is_dull for index, form in enumerate(self.formats) if form.is_dull}
        for mask in {mask for mask in self.masks if mask & (mask - 1)}:
            each = [form.is_dull for index, form in enumerate(self.formats) if mask >> index & 1]
            if all(each):
                dull[mask] = partial(_all_dull, [one for one in each if one])
        return Skeletons(dict(zip(self.hints, self.masks, strict=True)), dull, self.shapes.by_first)

    @cached_property
    def sorter(self) -> Sorter | None:
        """The same by the extension, where there is one."""
        native = extension()
        return Sorter(self.skeletons, native.Sorter) if native else None

    def reads_all(self, path: str) -> bool:
        """Whether some reader wants every line of a file that has a hint."""
        return any(reads_all(path) for reads_all in self._by_path)

    @cached_property
    def _by_path(self) -> tuple[Callable[[str], bool], ...]:
        return tuple(form.reads_all for form in self.formats if form.reads_all is not None)

    @cached_property
    def fallback_names(self) -> frozenset[str]:
        """The readers whose rows count only where no other one found a loss."""
        return frozenset(form.name for form in self.formats if form.is_fallback)

    def indexes(self, mask: int) -> tuple[int, ...]:
        """The readers whose bits are set, in their order; kept, as a log holds few kinds of lines."""
        known = self._indexes.get(mask)
        if known is None:
            known = tuple(index for index in range(len(self.formats)) if mask >> index & 1)
            if len(self._indexes) < MAX_MASKS:
                self._indexes[mask] = known
        return known


def _all_dull(each: Sequence[IsDull], hint: bytes, bare: bytes) -> bool:
    """Whether none of the readers of a hint has anything to say about lines with this skeleton."""
    return all(is_dull(hint, bare) for is_dull in each)
