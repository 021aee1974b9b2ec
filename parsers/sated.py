"""A reader of messages that has read enough of them: lines that differ from read ones in digits alone are passed over.

Of one kind of event the collector keeps the first and the last few hundred of a file (`collect`), so a log of nothing but
messages is read whole up to `ENOUGH` lines. Behind them each further wording is read once; of what is passed over the last
lines are read at the end of the file, and a problem says how many were left out. For readers that look at each line by
itself: with `@sated` below `@text_reader`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from parsers.by_rank import TextReader
from parsers.line import Line, make_line
from parsers.model import Problem, Record, SourceRef

ENOUGH: Final = 8_000
"""Lines of one reader that are read whole: more than any run prints of its messages."""
MAX_WORDINGS: Final = 4096
"""Different wordings that are read behind them; a log with more of them is noise."""
KEPT: Final = 64
"""The last lines that are read although they say nothing new: what ended the program may be among them. Fewer than the last
events that the collector keeps, so that they do not push out what said something new."""
_DIGITS: Final = b"0123456789"

Passed = tuple[int, bytes, tuple[bytes, ...], int | None]
"""Number, bytes, hints and rank of a line."""


class Late:
    """The last lines that were passed over, and how many there were; the scanner adds to them."""

    def __init__(self, kept: int = KEPT) -> None:
        self.lines: deque[Passed] = deque(maxlen=kept)
        self.count = 0

    def append(self, line: Passed) -> None:
        """One more."""
        self.lines.append(line)
        self.count += 1


class Sated:
    """Stands before a reader. `refutes` and `late` are the scanner's: what it asks of the bytes of a line with a hint."""

    def __init__(self, make: Callable[[], TextReader]) -> None:
        self._reader = make()
        self._name = type(self._reader).__module__.rpartition(".")[2]
        self._file = ""
        self._fed = 0
        self._known: set[bytes] = set()
        self.spent: list[bytes] = getattr(self._reader, "spent", [])
        self.late = Late()

    @property
    def hungry(self) -> bool:
        """Whether the reader waits for every line."""
        return self._reader.hungry

    def refutes(self, _: Iterable[bytes], fragment: bytes) -> bool:
        """Whether so much was read that this line says nothing new."""
        return self._fed >= ENOUGH and (len(self._known) >= MAX_WORDINGS or words(fragment) in self._known)

    def feed(self, line: Line) -> Iterable[Record]:
        """What the reader says of a line."""
        self._fed += 1
        if self._fed > ENOUGH:
            self._known.add(words(line.raw.encode("utf-8", "replace")))
        self._file = line.file
        return self._reader.feed(line)

    def close(self) -> Iterator[Record]:
        """What is left: the last lines that were passed over, then what the reader has to say at the end."""
        for number, data, hints, rank in self.late.lines:
            line = make_line(self._file, number, data)
            line.hints, line.rank = hints, rank if line.rank is None else line.rank
            yield from self._reader.feed(line)
        yield from self._reader.close()
        more = self.late.count - len(self.late.lines)
        if more:
            said = f"messages without end: {more} lines that differ in numbers alone were passed over."
            yield Problem(SourceRef(self._file, self.late.lines[0][0]), self._name, said)


def words(fragment: bytes) -> bytes:
    """What a line says besides its numbers."""
    return fragment[:400].strip().translate(None, _DIGITS)


def sated(make: Callable[[], TextReader]) -> Callable[[], TextReader]:
    """A maker of readers that have enough at some point."""
    return partial(Sated, make)
