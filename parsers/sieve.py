"""Lines in the middle of a long job's thousandth rank file that need not be looked at again.

Such a file is kept slim anyway (`collect`): its first and last rows, and what happened. So lines of a *shape* (the set of
hints they hold) that said nothing but rows with a step many times are passed over until the end of the file comes near, and
so are those that only patterns of causes asked for and none fitted. Rows that are not finite are always read.
"""

from __future__ import annotations

import re
from typing import Final

from parsers.model import Record, Row, Tick

ENOUGH: Final = 128
"""Lines of one shape that must have said the same before the next ones are passed over."""
TAIL: Final = 64 * 2**10
"""Bytes at the end of a file that are read in full: how it ended, and the rows before."""
MAX_SHAPES: Final = 4096

_NOT_FINITE: Final = re.compile(rb"\b(?:nan|inf|infinity)\b", re.IGNORECASE)

Shape = tuple[bytes, ...]


class Sieve:
    """What is known of the shapes of one file's lines. `silent`: the readers (as bits) whose silence may be believed."""

    def __init__(self, size: int, silent: int) -> None:
        self._until = size - TAIL
        self._silent = silent
        self._seen: dict[Shape, int] = {}
        self._told: set[Shape] = set()
        self.offset = 0
        """Bytes of the file before the block that is read."""

    def passes_over(self, shape: Shape, data: bytes, start: int, end: int) -> bool:
        """Whether a fragment of a block says nothing new."""
        if self._seen.get(shape, 0) < ENOUGH or self.offset + start >= self._until:
            return False
        return _NOT_FINITE.search(data, start, end) is None

    def note(self, shape: Shape, mask: int, records: int, plain: int) -> None:
        """A fragment was read: `records` came of it, `plain` of them rows with a step or counts of a bar."""
        if shape in self._told or len(self._seen) >= MAX_SHAPES:
            return
        if records == plain and (plain or mask & ~self._silent == 0):
            self._seen[shape] = self._seen.get(shape, 0) + 1
        else:
            self._told.add(shape)
            self._seen.pop(shape, None)


def is_plain(record: Record) -> bool:
    """Whether a record is a row that names its step, or a count of a progress bar."""
    return (isinstance(record, Row) and record.step is not None) or isinstance(record, Tick)
