"""What finding steps does row by row, for hundreds of thousands of rows at once: NumPy from `MANY` on, plain loops below.

Both ways give the same; small logs never import NumPy.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from parsers.table import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import NDArray

MANY: Final = 20_000
"""Rows from which on the import of NumPy costs less than it saves."""

SOME: Final = 500
"""The same where NumPy is there already."""

Places = tuple["array[int]", "array[int]", "array[int]"]
"""(seq, which sequence, index in it), ordered by seq."""


def is_few(rows: int) -> bool:
    """Whether so many rows are done faster without NumPy."""
    return rows < MANY and (rows < SOME or "numpy" not in sys.modules)


def merged(seqs: Sequence[array[int]], starts: Sequence[int]) -> Places:
    """The rows of several tables in the order of the file; of each those from `starts` on."""
    size = sum(len(seq) - start for seq, start in zip(seqs, starts, strict=True))
    if len(seqs) == 1:
        return seqs[0][starts[0] :], array("q", bytes(8 * size)), _numbers(starts[0], len(seqs[0]))
    if is_few(size):
        rows = sorted([(seq[k], number, k) for number, seq in enumerate(seqs) for k in range(starts[number], len(seq))])
        first, second, third = zip(*rows, strict=True) if rows else ((), (), ())
        return array("q", first), array("q", second), array("q", third)
    if not size:
        return array("q"), array("q"), array("q")
    import numpy as np

    parts = [np.frombuffer(seq, np.int64)[start:] for seq, start in zip(seqs, starts, strict=True) if len(seq) > start]
    kept = [number for number, seq in enumerate(seqs) if len(seq) > starts[number]]
    whole = np.concatenate(parts)
    which: NDArray[Any] = np.concatenate([np.full(len(part), number) for number, part in zip(kept, parts, strict=True)])
    at: NDArray[Any] = np.concatenate([np.arange(starts[number], len(seqs[number])) for number in kept])
    order = np.argsort(whole, kind="stable")
    return column(whole[order]), column(which[order]), column(at[order])


def _numbers(start: int, stop: int) -> array[int]:
    """The whole numbers from one to another."""
    if is_few(stop - start):
        return array("q", range(start, stop))
    import numpy as np

    return column(np.arange(start, stop))


def first_after(ticks: Sequence[int], seqs: array[int], end: int) -> array[int]:
    """For each `seq` the index of the first tick after it and before the next one (or `end`), UNKNOWN where none is."""
    if is_few(len(seqs)):
        shown = [*ticks, end]  # a tick that never comes
        places = [bisect_right(shown, seq, 0, len(ticks)) for seq in seqs]
        following = [*seqs[1:], end]
        return array("q", [at if shown[at] < last else UNKNOWN for at, last in zip(places, following, strict=True)])
    import numpy as np

    drawn, rows = integers(ticks), integers(seqs)
    if not len(drawn):
        return column(np.full(len(rows), UNKNOWN))
    index = np.searchsorted(drawn, rows, "right")
    until = np.append(rows[1:], end)
    is_there = (index < len(drawn)) & (drawn[np.minimum(index, len(drawn) - 1)] < until)
    return column(np.where(is_there, index, UNKNOWN))


def taken(values: Sequence[int], indices: array[int]) -> array[int]:
    """The values at these indices, UNKNOWN where the index is."""
    if is_few(len(indices)):
        return array("q", [UNKNOWN if index == UNKNOWN else values[index] for index in indices])
    import numpy as np

    held = integers(values) if len(values) else np.zeros(1, np.int64)
    at = integers(indices)
    return column(np.where(at == UNKNOWN, UNKNOWN, held[np.maximum(at, 0)]))


def counted(values: array[int]) -> Counter[int]:
    """How often each known value comes, in the order of their first place."""
    if is_few(len(values)):
        return Counter([value for value in values if value != UNKNOWN])

    known = integers(values)
    return _counter(known[known != UNKNOWN])


def rises(values: array[int]) -> Counter[int]:
    """How often each difference of known neighbours comes, where it is above 0; in the order of their first place."""
    if is_few(len(values)):
        return Counter([b - a for a, b in pairwise(values) if a != UNKNOWN and b != UNKNOWN and b > a])
    known = integers(values)
    before, after = known[:-1], known[1:]
    kept = (before != UNKNOWN) & (after != UNKNOWN) & (after > before)
    return _counter(after[kept] - before[kept])


def drops(values: array[float]) -> list[int]:
    """The places at which a value is lower than the one before; NaN is neither."""
    if is_few(len(values)):
        return [place for place, (a, b) in enumerate(pairwise(values), 1) if b < a]
    import numpy as np

    known = np.frombuffer(values, np.float64)
    places: list[int] = (np.flatnonzero(known[1:] < known[:-1]) + 1).tolist()
    return places


def highest(values: array[int]) -> int:
    """The highest value. At least one is needed."""
    return max(values) if is_few(len(values)) else int(integers(values).max())


def never_falls(values: array[int]) -> bool:
    """Whether no value is lower than the one before."""
    if is_few(len(values)):
        plain = values.tolist()
        return plain == sorted(plain)
    known = integers(values)
    return bool((known[1:] >= known[:-1]).all())


def among(values: array[int], wanted: Iterable[int]) -> Sequence[int]:
    """The places of the values that are wanted."""
    known = set(wanted)
    if is_few(len(values)):
        return tuple([place for place, value in enumerate(values) if value in known])
    import numpy as np

    return column(np.flatnonzero(np.isin(integers(values), list(known))))


def stepped(shown: array[int], pace: int) -> array[int]:
    """The steps of rows: as shown, else the next multiple of the pace after the row before; the first one is shown."""
    if is_few(len(shown)):
        steps, step = array("q"), 0
        for one in shown:
            step = one if one != UNKNOWN else step + pace - step % pace
            steps.append(step)
        return steps
    import numpy as np

    known, places = integers(shown), np.arange(len(shown))
    last = np.maximum.accumulate(np.where(known != UNKNOWN, places, 0))
    base, since = known[last], places - last
    return column(np.where(since == 0, base, (base // pace + since) * pace))


def last_at(seqs: Sequence[int], rows: array[int]) -> array[int]:
    """For each row how many anchors lie before it."""
    if is_few(len(rows)):
        return array("q", (bisect_left(seqs, row) for row in rows))
    import numpy as np

    return column(np.searchsorted(integers(seqs), integers(rows), "left"))


def sorted_pairs(parts: Sequence[tuple[Sequence[int], Sequence[int], int]]) -> tuple[Sequence[int], Sequence[int]]:
    """(seq, step) of several columns in order, UNKNOWN steps left out; the third number is taken off each part's steps."""
    if is_few(sum(len(part[0]) for part in parts)):
        rows: list[tuple[int, int]] = []
        for seqs, steps, shift in parts:
            pairs = zip(seqs, steps, strict=True)
            rows += [(seq, step - shift) for seq, step in pairs if step != UNKNOWN] if shift or UNKNOWN in steps else pairs
        rows.sort()
        return (*zip(*rows, strict=True),) if rows else ((), ())  # type: ignore[return-value]
    import numpy as np

    seq = np.concatenate([integers(seqs) for seqs, _, _ in parts])
    step = np.concatenate([np.where(integers(steps) == UNKNOWN, UNKNOWN, integers(steps) - shift) for _, steps, shift in parts])
    seq, step = seq[step != UNKNOWN], step[step != UNKNOWN]
    order = np.argsort(seq, kind="stable")  # no two records have one seq
    return column(seq[order]), column(step[order])


def _counter(values: NDArray[Any]) -> Counter[int]:
    import numpy as np

    found, first, count = np.unique(values, return_index=True, return_counts=True)
    order = np.argsort(first)
    return Counter(dict(zip(found[order].tolist(), count[order].tolist(), strict=True)))


def integers(values: Sequence[int]) -> NDArray[Any]:
    """A view of an array, or a copy of any other sequence."""
    import numpy as np

    return np.frombuffer(values, np.int64) if isinstance(values, array) and len(values) else np.array(values, np.int64)


def column(values: NDArray[Any]) -> array[int]:
    """A plain array with these values."""
    import numpy as np

    made = array("q")
    made.frombytes(np.ascontiguousarray(values, np.int64).tobytes())
    return made
