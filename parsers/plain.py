r"""Plain lines: what a log repeats ten thousand times, read from its bytes without a `Line`.

A reader may declare the exact form of its most frequent lines (`Plain`): fixed words, and between them nothing but numbers,
stamps and the blocks of a bar. Such a line is recognised by its skeleton (`skeletons.py`) and given to the reader in the
order of the file: many at once as columns where the reader can (`layout.py`), else taken apart by the form's pattern and
given to the reader's own method. Every other line goes the usual way, and all ways must say the same
(`tests/parsers/test_plain.py`).

What other readers look for cannot hide in such a line: the hints that may stand in it are known by its skeleton. Hints of
readers that are `silent` about the line do not count; where a pattern of a cause is among the others, the line is plain once
that pattern is spent or does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from typing import Any, Final, NamedTuple, Protocol

from parsers.layout import Cells
from parsers.said import Rows, Ticks

NUMBER: Final = r"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?"
"""A finite number as Python prints it; what is not finite goes the usual way."""
STAMP: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}"
BREAK: Final = r" {0,40}(?:\r\n|\n|\r)?\Z"


class Plain(NamedTuple):
    """The form of a line. `method`: the reader's method that takes (line number, match) and returns records.

    `pattern` is of `re`, over bytes, for a whole fragment; its variable parts are numbers, stamps and blocks of a bar.
    `examples` begin as its lines may begin. `silent`: other readers that have hints in it and say nothing. `is_columnar`:
    whether the reader's method `columns` takes many such lines at once; `pairs` finds (name, value) in the last group.
    """

    pattern: str
    method: str
    examples: tuple[str, ...]
    silent: frozenset[str] = frozenset()
    is_columnar: bool = False
    pairs: str = ""


class Part(NamedTuple):
    """Many lines of one form for a reader's `columns`: the form's `method`, and where each line stands.

    `at`: places among the fragments of a block, `lines`: numbers of the lines, `cells`: their fields.
    """

    method: str
    at: Sequence[int]
    lines: Sequence[int]
    cells: Cells


class ColumnReader(Protocol):
    """A text reader that takes many plain lines at once."""

    def columns(self, parts: Sequence[Part], /) -> Iterable[Rows | Ticks] | None:
        """What these lines say; None (or ValueError, before anything is remembered) where they must be read one by one.

        Each part has the lines of one form and layout, in order; the lines of several parts may stand between each other.
        """
        ...


class Shape(NamedTuple):
    """A plain form in a router: `owner` its reader's place, `quiet` the readers whose hints in it say nothing (as bits)."""

    number: int
    owner: int
    method: str
    pattern: Any
    quiet: int
    is_columnar: bool
    pairs: re.Pattern[bytes] | None
    is_loss: bool
    """Whether its lines may hold a loss."""
    is_learned: bool = False
    """Whether `pattern` learns forms from lines (`regular.py`): what cannot be read as columns goes the usual way."""


class Shapes:
    """The plain forms of a set of readers, found by the first byte of a line."""

    def __init__(
        self, names: Sequence[str], plains: Sequence[Sequence[Plain]], learners: Sequence[tuple[int, Any, Set[str]]] = ()
    ) -> None:
        """`names`, `plains`: of each reader. `learners`: (reader's place, what learns its forms, readers that are silent)."""
        self.all: list[Shape] = []
        self.by_first: dict[int, list[Shape]] = {}
        places = {name: index for index, name in enumerate(names)}
        for owner, forms in enumerate(plains):
            for plain in forms:
                self._add(plain, owner, 1 << owner | sum(1 << places[name] for name in plain.silent if name in places))
        for owner, learner, silent in learners:
            quiet = 1 << owner | sum(1 << places[name] for name in silent if name in places)
            self.all.append(Shape(len(self.all), owner, "", learner, quiet, True, None, True, True))
            for first in range(256):
                self.by_first.setdefault(first, []).append(self.all[-1])

    def _add(self, plain: Plain, owner: int, quiet: int) -> None:
        pattern, pairs = re.compile((plain.pattern + BREAK).encode()), re.compile(plain.pairs.encode()) if plain.pairs else None
        shape = Shape(
            len(self.all), owner, plain.method, pattern, quiet, plain.is_columnar, pairs, "loss" in "".join(plain.examples)
        )
        self.all.append(shape)
        for first in sorted({byte for example in plain.examples for byte in _alike(example.encode()[0])}):
            self.by_first.setdefault(first, []).append(shape)


def _alike(first: int) -> bytes:
    """What a line may begin with whose example begins with this byte: any digit, or blanks before it, for a digit."""
    return b" 0123456789" if first in b" 0123456789" else bytes([first])
