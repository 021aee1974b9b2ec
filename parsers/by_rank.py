"""One reader for each rank that a file's lines name: what one rank has begun to say is not ended by what another says.

For readers with a memory (a dump of many lines, a step under way, copies that are told once). In a file whose lines name no
ranks there is one reader, as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, Protocol

from parsers.line import Line
from parsers.model import Record

MAX_RANKS: Final = 64
"""Ranks with a reader of their own; further ones share one, so that a hostile log does not make a million."""
_OTHERS: Final = -1


class TextReader(Protocol):
    """Reads one framework's lines; may keep state; never sees the file, the terminal or another reader."""

    @property
    def hungry(self) -> bool:
        """While True, every following line is fed, hint or not (a config dump, a traceback). The reader lets go itself."""
        ...

    def feed(self, line: Line, /) -> Iterable[Record]:
        """What this line says."""
        ...

    def close(self) -> Iterable[Record]:
        """What is left to say at the end of the file."""
        ...


class ByRank:
    """Hands each line to its rank's reader."""

    def __init__(self, make: Callable[[], TextReader], hints: Sequence[str]) -> None:
        self._make = make
        self._hints = frozenset(hint.encode() for hint in hints)
        self._readers: dict[int | None, TextReader] = {}
        self._last: int | None = None

    @property
    def hungry(self) -> bool:
        """Whether any rank is in the middle of something."""
        return any(reader.hungry for reader in self._readers.values())

    def feed(self, line: Line, /) -> Iterable[Record]:
        """What this line says; a line without a hint is only for a rank that waits for it."""
        is_hinted = not self._hints.isdisjoint(line.hints)
        rank = self._rank(line.rank)
        reader = self._readers.get(rank)
        if not is_hinted and rank is None and (reader is None or not reader.hungry):
            rank, reader = self._last, self._readers.get(self._last)  # a prefix may be missing on a dump's further lines
        if reader is None and is_hinted:
            reader = self._readers[rank] = self._make()
        if reader is None or not (is_hinted or reader.hungry):
            return ()
        self._last = rank
        return reader.feed(line)

    def of(self, rank: int | None) -> TextReader:
        """The reader of a rank's lines."""
        rank = self._last = self._rank(rank)
        if rank not in self._readers:
            self._readers[rank] = self._make()
        return self._readers[rank]

    def refutes_plain(self, hints: Iterable[bytes], fragment: bytes, rank: int | None) -> bool:
        """Whether the reader of this rank has nothing to say about a plain line."""
        refutes = getattr(self._readers.get(rank), "refutes", None)
        return refutes is not None and bool(refutes(hints, fragment))

    def close(self) -> Iterator[Record]:
        """What is left to say, rank by rank."""
        for reader in self._readers.values():
            yield from reader.close()

    def _rank(self, rank: int | None) -> int | None:
        return rank if rank in self._readers or len(self._readers) < MAX_RANKS else _OTHERS
