"""What lines are, by their skeleton: their bytes without digits (and without the blocks of a progress bar).

A log of millions of lines has a few hundred skeletons. A hint that stands in a line stands in its skeleton too, without its
digits; so what no reader can be interested in is told for all lines of a skeleton at once, and costs a dictionary's look-up
from then on. So is the form of plain lines, and where their fields are (`layout`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from parsers.automaton import Automaton
from parsers.layout import DELETED, Layout
from parsers.plain import Shape

if TYPE_CHECKING:
    from parsers.forms import Form

MAX_SKELETON: Final = 2_000
"""Bytes of the longest skeleton that is remembered."""
MAX_KEPT: Final = 2**22
"""Bytes of all skeletons that are remembered; beyond, all are forgotten and learned again."""
FORMS: Final = 512
PER_FORM: Final = 50_000
"""So many plain skeletons are looked at for where their fields stand, and one more for so many bytes: it takes a millisecond,
which a skeleton of one line is not worth. The lines of others are read one by one."""
MANY: Final = 30_000
"""Skeletons that are remembered."""

IsDull = Callable[[bytes, bytes], bool]
"""(hint, skeleton) → whether a reader has nothing to say about any line with this skeleton for the sake of this hint."""


class Kind:
    """What lines with one skeleton are. Kinds are compared by identity.

    `numbers`: the hints that may stand in them and that somebody may have something to say about (of a plain form: somebody
    besides its reader and those that are quiet about it). `shape`: their plain form. `layout`: where its fields are. `again`:
    the same of lines that the extension cannot read by a learned form, as some words are others by now (`prepare.relearned`).
    """

    __slots__ = ("again", "layout", "numbers", "shape")

    def __init__(self, numbers: tuple[int, ...], shape: Shape | None = None, layout: Layout | Form | None = None) -> None:
        self.numbers = numbers
        self.shape = shape
        self.layout = layout
        self.again: Layout | None = None


Make = Callable[[Kind, bytes, "re.Match[bytes]"], Kind]
"""(kind of a plain line, that line, its form's match) → the kind with where its fields are, if they have columns."""

SILENT: Final = Kind(())
"""No hint can stand in these lines."""
OPEN: Final = Kind(())
"""Lines that must be searched one by one."""


def skeleton(text: bytes) -> bytes:
    """A text without what varies from line to line."""
    return text.translate(None, DELETED)


def split(data: bytes) -> list[bytes]:
    """The fragments of a block whose breaks are line feeds."""
    fragments = data.split(b"\n")
    if not fragments[-1]:
        fragments.pop()
    return fragments


class Skeletons:
    """The kinds of all skeletons seen so far, for one set of readers; what they are does not depend on the file."""

    def __init__(self, hints: Mapping[bytes, int], dull: Mapping[int, IsDull], by_first: Mapping[int, Sequence[Shape]]) -> None:
        """`hints`: hint → its readers as bits, in the order of their numbers. `dull`: reader's bit → its `IsDull`.

        `by_first`: first byte → the forms of plain lines that begin with it.
        """
        self.hints = tuple(hints)
        self._owners = tuple(hints.values())
        self._dull = dict(dull)
        self._shapes = by_first
        bare: dict[bytes, list[int]] = {}
        for number, hint in enumerate(hints):
            bare.setdefault(skeleton(hint), []).append(number)
        self._always = tuple(bare.pop(b"", ()))
        self._numbers = tuple(map(tuple, bare.values()))
        self._automaton = Automaton(bare)
        self._known: dict[bytes, Kind] = {}
        self._same: dict[object, Kind] = {}
        self._size = 0
        self.seen = 0
        """Bytes of text that were sorted."""
        self._formed = 0
        self.is_quiet = False
        """Whether few of the lines that were looked at last could hold a hint."""

    def kinds(self, data: bytes, fragments: Sequence[bytes]) -> list[Kind]:
        """The kind of each fragment of `data`, which are what `split` gives."""
        self.seen += len(data)
        bare = split(data.translate(None, DELETED))
        found: list[Any] = list(map(self._known.get, bare))
        if None in found:
            missing = [at for at, kind in enumerate(found) if kind is None]
            learned = self._learn({bare[at]: fragments[at] for at in missing})
            for at in missing:
                found[at] = learned[bare[at]]
        return found

    def _learn(self, fresh: Mapping[bytes, bytes]) -> dict[bytes, Kind]:
        """Skeleton → kind of these, each with a line that has it."""
        texts = [text for text in fresh if len(text) <= MAX_SKELETON]
        learned = dict.fromkeys(fresh, OPEN)
        for text in texts:
            learned[text] = SILENT
        ends = list(accumulate(len(text) + 1 for text in texts))
        for at, numbers in self.hinted(b"\n".join(texts), ends).items():
            text = texts[at]
            learned[text] = self.one(self.kind(text, numbers, fresh[text], _laid_out))
        self._size += sum(map(len, texts))
        if self._size > MAX_KEPT or len(self._known) + len(texts) > MANY:
            self._known.clear()
            self._same.clear()
            self._size = sum(map(len, texts))
        if len(texts) <= MANY:
            self._known.update((text, learned[text]) for text in texts)
        return learned

    def hinted(self, joined: bytes, ends: Sequence[int]) -> dict[int, set[int]]:
        """The hints that may stand in lines of skeletons, by place, of those that hold any. `ends`: behind each line break."""
        found = {at: set(self._always) for at in range(len(ends))} if self._always else {}
        for hint, start, _ in self._automaton.find(joined):
            found.setdefault(bisect_right(ends, start), set()).update(self._numbers[hint])
        return found

    def kind(self, text: bytes, numbers: Iterable[int], line: bytes, make: Make) -> Kind:
        """What lines of a skeleton are that may hold these hints, `line` among them; `make` says where their fields are."""
        owners = 0
        for number in numbers:
            owners |= self._owners[number]
        for shape in self._shapes.get(line[0], ()) if line else ():
            if owners >> shape.owner & 1 and (found := shape.pattern.match(line)):
                watched = self._cared(text, (n for n in numbers if self._owners[n] & ~shape.quiet))
                kind = Kind(watched, shape)
                self._formed += 1
                return make(kind, line, found) if self._formed <= FORMS + self.seen // PER_FORM else kind
        cared = self._cared(text, numbers)
        return Kind(cared) if cared else SILENT

    def one(self, kind: Kind) -> Kind:
        """The first kind that is as this one."""
        if kind is SILENT:
            return kind
        return self._same.setdefault((kind.numbers, kind.shape and kind.shape.number, kind.layout and kind.layout.key), kind)

    def part(self) -> None:
        """Forgets which kinds are alike; `one` would keep them for ever otherwise."""
        self._same.clear()

    def _cared(self, text: bytes, numbers: Iterable[int]) -> tuple[int, ...]:
        """The hints whose readers are not all dull about lines of this skeleton."""
        return tuple(sorted(number for number in numbers if not self._is_dull(text, number)))

    def _is_dull(self, text: bytes, number: int) -> bool:
        is_dull = self._dull.get(self._owners[number])
        return is_dull is not None and is_dull(self.hints[number], text)


def _laid_out(kind: Kind, line: bytes, found: re.Match[bytes]) -> Kind:
    if kind.shape is not None and kind.shape.is_columnar:
        with suppress(ValueError):
            kind.layout = Layout(line.rstrip(), found, kind.shape.pairs)
    return kind
