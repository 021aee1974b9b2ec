r"""Plain lines: what a log repeats ten thousand times, read from its bytes without a `Line`.

A reader may declare the exact form of its most frequent lines (`Plain`): fixed words, and between them nothing but numbers,
stamps and the blocks of a bar. Such a line is recognised by its first bytes with the digits left out, taken apart by one
pattern, and given to the reader's own method in the order of the file; every other line goes the usual way. Both ways must
say the same (`tests/parsers/test_plain.py`).

What other readers look for cannot hide in such a line: which hints its words hold is worked out once from the examples.
Other readers' hints must belong to readers that are `silent` about the line; where a pattern of a cause is among them, the
line is plain once that pattern is spent or does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
"""A finite number as Python prints it; what is not finite goes the usual way."""
STAMP: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
BREAK: Final = r" {0,40}(?:\r\n|\n|\r)?\Z"

_DIGITS: Final = b"0123456789"
_KEY: Final = 96
"""Bytes at the beginning of a line by which its kind is known."""
_MAX_KEYS: Final = 20_000
_TRIES: Final = 8
"""Lines with one beginning that must have no form before such lines are not looked at any more."""
_EXPONENT = re.compile(rb"(?<=\d)e(?=[-+]?\d)")
_VARIABLE: Final = b"0123456789.-+,:<?# \xe2\x96\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f"


class Plain(NamedTuple):
    """The form of a line. `method`: the reader's method that takes (line number, match) and returns records.

    `pattern` is of `re`, over bytes, for a whole fragment; its variable parts are numbers, stamps and blocks of a bar.
    `examples` hold every fixed word that it allows. `silent`: other readers that have hints in it and say nothing.
    """

    pattern: str
    method: str
    examples: tuple[str, ...]
    silent: frozenset[str] = frozenset()


class Shape(NamedTuple):
    """A plain form in a router: `owner` its reader's place, `quiet` the readers whose hints in it say nothing (as bits).

    `watched`: hints of other readers that such a line may hold.
    """

    number: int
    owner: int
    method: str
    pattern: re.Pattern[bytes]
    quiet: int
    watched: tuple[int, ...]


class Shapes:
    """The plain forms of a set of readers, found by the first bytes of a line."""

    def __init__(self, names: Sequence[str], plains: Sequence[Sequence[Plain]], hints: Mapping[bytes, int]) -> None:
        """`plains`: of each reader; `hints`: hint → its owners as bits, in the order of their numbers."""
        self.all: list[Shape] = []
        self._by_first: dict[int, list[Shape]] = {}
        self._known: dict[bytes, Shape | None] = {}
        self._tried: dict[bytes, int] = {}
        places = {name: index for index, name in enumerate(names)}
        bare = [(number, _fixed(hint), owners) for number, (hint, owners) in enumerate(hints.items())]
        for owner, forms in enumerate(plains):
            for plain in forms:
                quiet = 1 << owner | sum(1 << places[name] for name in plain.silent if name in places)
                self._add(plain, owner, quiet, _watched(plain, bare, quiet))

    def _add(self, plain: Plain, owner: int, quiet: int, watched: tuple[int, ...]) -> None:
        pattern = re.compile((plain.pattern + BREAK).encode())
        shape = Shape(len(self.all), owner, plain.method, pattern, quiet, watched)
        self.all.append(shape)
        for first in range(256):
            if any(example.encode()[:1] in (bytes([first]), *_alike(first)) for example in plain.examples):
                self._by_first.setdefault(first, []).append(shape)

    @property
    def firsts(self) -> frozenset[int]:
        """The bytes that plain lines begin with."""
        return frozenset(self._by_first)

    @property
    def known(self) -> dict[bytes, Shape | None]:
        """Key (`key`) → the form of the lines that begin so, None where several such lines had none."""
        return self._known

    def learn(self, key: bytes, fragment: bytes) -> Shape | None:
        """The form of a line with a beginning that is not known yet."""
        found = next((shape for shape in self._by_first.get(fragment[0], ()) if shape.pattern.match(fragment)), None)
        tried = self._tried[key] = self._tried.get(key, 0) + 1
        if found or tried == _TRIES:
            self._known[key] = found
        if len(self._tried) >= _MAX_KEYS:
            self._known.clear()
            self._tried.clear()
        return found


def key(fragment: bytes) -> bytes:
    """What lines of one form have in common at their beginning."""
    return fragment[:_KEY].translate(None, _DIGITS)


def _alike(first: int) -> tuple[bytes, ...]:
    """Bytes that stand for a digit or a blank before one."""
    return (b"0", b" ") if first in b" 0123456789" else ()


def _fixed(text: bytes) -> bytes:
    """The words of a line without what varies in it."""
    return _EXPONENT.sub(b"", text).translate(None, _VARIABLE)


def _watched(plain: Plain, hints: Iterable[tuple[int, bytes, int]], quiet: int) -> tuple[int, ...]:
    """The hints that may stand in a line of this form and belong to readers that are not quiet about it."""
    fixed = [_fixed(example.encode()) for example in plain.examples]
    return tuple(number for number, bare, owners in hints if owners & ~quiet and any(bare in text for text in fixed))
