"""What the readers say of a block: single records, and the rows of many plain lines as columns, in one order."""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import itemgetter
from typing import NamedTuple, TypeVar

from parsers.model import Record, Row, RowKind, Tick
from parsers.native import extension

T = TypeVar("T")


class Rows(NamedTuple):
    """Rows of many lines with the same names: what `Row` says of one. All sequences have the same length.

    `at`: the place of each line among the fragments of its block. Of several rows of one line `nth` counts; those before it are
    in `Said.many` before it.
    """

    at: Sequence[int]
    lines: Sequence[int]
    names: tuple[str, ...]
    columns: tuple[Sequence[float], ...]
    steps: Sequence[int] | None = None
    times: Sequence[float] | None = None
    """Seconds since the epoch."""
    rank: int | None = None
    engine: str = ""
    kind: RowKind = "train"
    nth: int = 0

    def row(self, index: int) -> Row:
        """One of them."""
        values = tuple([(name, column[index]) for name, column in zip(self.names, self.columns, strict=True)])
        step = self.steps[index] if self.steps is not None else None
        time = self.times[index] if self.times is not None else None
        return Row(self.lines[index], values, step, self.kind, self.rank, time, self.engine)


class Ticks(NamedTuple):
    """Counts of bars without a description. All sequences have the same length; see `Rows`."""

    at: Sequence[int]
    lines: Sequence[int]
    steps: Sequence[int]
    totals: Sequence[int]
    seconds: Sequence[float]

    def row(self, index: int) -> Tick:
        """One of them."""
        return Tick(self.lines[index], self.steps[index], self.totals[index], self.seconds[index])


def take(items: Sequence[T], at: Sequence[int]) -> Sequence[T]:
    """The items at these places."""
    return itemgetter(*at)(items) if len(at) > 1 else [items[place] for place in at]


def pick(numbers: Sequence[int], at: Sequence[int]) -> Sequence[int]:
    """What `take` gives, of arrays (64 bits, places of 32) as an array."""
    native = extension()
    if native is None or not (
        isinstance(numbers, array) and isinstance(at, array) and at.itemsize == 4 and numbers.itemsize == 8
    ):
        return take(numbers, at)
    return array("q", native.picked(numbers.tobytes(), at.tobytes()))


@dataclass(slots=True)
class Said:
    """What was said of the `size` fragments of one block.

    `singles`: (place of the fragment, reader, record) in order; `many`: (reader, columns) of other fragments. Iterating gives
    (reader, record) of all of them in the order of the text.
    """

    size: int
    singles: list[tuple[int, str, Record]] = field(default_factory=list)
    many: list[tuple[str, Rows | Ticks]] = field(default_factory=list)

    def __iter__(self) -> Iterator[tuple[str, Record]]:
        if not self.many:
            yield from ((reader, record) for _, reader, record in self.singles)
            return
        rows = [(at, reader, part.row(k)) for reader, part in self.many for k, at in enumerate(part.at)]
        for _, reader, record in sorted([*self.singles, *rows], key=itemgetter(0)):
            yield reader, record

    def numbers(self, first: int, more: Sequence[int] = ()) -> Sequence[int]:
        """The number of the row of each fragment, and what follows; `first`: of the first.

        Rows are those of `many`, and one for each place in `more`.
        """
        native, places = extension(), [part.at for _, part in self.many]
        if native is None or not all(isinstance(at, array) and at.itemsize == 4 for at in places):
            return list(accumulate(self._weights([*places, more]), initial=first))
        return array("q", native.numbered(self.size, first, [array("i", at).tobytes() for at in (*places, more)]))

    def _weights(self, places: Sequence[Sequence[int]]) -> list[int]:
        found = [0] * self.size
        for some in places:
            for at in some:
                found[at] += 1
        return found
