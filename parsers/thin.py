"""Rows of a log of gigabytes, thinned while it is read, so that memory does not grow with it.

Below `Sizes.rows` nothing is dropped. Beyond, windows of the file (`Sizes.window` rows and bar counts of any kind, in their
order) are kept or dropped whole, the same ones in all tables: what stood close together still does, every second window at
first, every fourth later. Small tables stay whole. Rows that something can rest on stay wherever they are, with those around
them: where values become 0, not finite, constant or jump, where steps go back or skip, where time passes, beside events, the
least and greatest of each stretch, the first and the last. So a gap (`Table.cuts`) hides nothing but more of the same.

Steps must be known before rows are dropped (`steps.settle`).
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from parsers.landmarks import WHOLE, Sizes, is_cut, needed, rare
from parsers.many_steps import column, integers
from parsers.table import Table, Tables, Ticks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]


KEPT: Final = 3
"""Of as much as may be held, one part in so many is left: what is left is looked at again the next time."""
_MOST_LEVELS: Final = 40
_COLUMNS: Final = {Table: ("seq", "line", "step", "time"), Ticks: ("seq", "line", "step", "total", "seconds")}


def size(tables: Tables) -> tuple[int, int]:
    """(rows and counts, numbers) that are held."""
    rows, cells = len(tables.ticks), 5 * len(tables.ticks)
    for table in tables.by_key.values():
        rows += len(table)
        cells += (4 + len(table.names)) * len(table)
    return rows, cells


def thin(tables: Tables, sizes: Sizes, lines: Sequence[int] = ()) -> None:
    """Drops rows and counts until a third of what may be held is left. `lines`: where events stand, in order.

    All steps must be settled.
    """
    assert tables.past is not None
    before, cells = size(tables)
    sizes = _fitting(tables, sizes)
    floor = max(8, min(4 * sizes.near, sizes.rows // 4 // (len(tables.by_key) + 1)))
    evaluations = rare(tables, sizes)
    parts = [
        _Part(key, table, sizes, lines, evaluations, tables.past.levels.get(key, 0))
        for key, table in tables.by_key.items()
        if len(table) > floor
    ]
    if len(tables.ticks) > floor:
        parts.append(_Part(None, tables.ticks, sizes, lines, evaluations, tables.past.levels.get(None, 0)))
    rest = (before - sum(part.size for part in parts), cells - sum(part.size * part.width for part in parts))
    _choose(parts, (sizes.rows // KEPT - rest[0], sizes.cells // KEPT - rest[1]))
    for part in parts:
        tables.past.levels[part.key] = part.level
        part.drop()
    _drop_starts(tables)
    tables.past.dropped += before - size(tables)[0]


def _fitting(tables: Tables, sizes: Sizes) -> Sizes:
    """Fewer rows around a place and at the end where there are many tables or wide ones."""
    rows, cells = size(tables)
    each = min(sizes.rows, sizes.cells * rows // max(1, cells)) // (len(tables.by_key) + 1)
    return sizes._replace(near=max(2, min(sizes.near, each // 64)), last=max(4, min(sizes.last, each // 8)))


def _choose(parts: Sequence[_Part], limits: tuple[int, int]) -> None:
    """Halves what is largest until the rest is small enough or cannot become smaller."""
    while True:
        rows, cells = sum(part.kept for part in parts), sum(part.kept * part.width for part in parts)
        able = [part for part in parts if part.can_shrink]
        if (rows <= limits[0] and cells <= limits[1]) or not able:
            return
        widths = [1 if rows > limits[0] else part.width for part in able]
        largest = max(part.kept * width for part, width in zip(able, widths, strict=True))
        for part, width in zip(able, widths, strict=True):
            if part.kept * width > 0.7 * largest:
                part.level += 1


def _drop_starts(tables: Tables) -> None:
    """Of several starts with no row between them that is left, the last."""
    if len(tables.starts) < 2:
        return
    import numpy as np

    columns = [tables.ticks.seq, *(table.seq for table in tables.by_key.values())]
    seqs = np.sort(np.concatenate([integers(seq) for seq in columns]))
    place = np.searchsorted(seqs, integers(tables.starts))
    tables.starts = [start for k, start in enumerate(tables.starts) if k + 1 == len(place) or place[k] != place[k + 1]]


class _Part:
    """A table (or the bars' counts) and what of it is kept at which level."""

    def __init__(
        self, key: object, table: Table | Ticks, sizes: Sizes, lines: Sequence[int], evaluations: Mask, level: int
    ) -> None:
        import numpy as np

        self.key, self.table, self.level = key, table, level
        self.size, self.width = len(table), 5 if isinstance(table, Ticks) else 4 + len(table.names)
        window = integers(table.seq) // sizes.window
        low = np.frexp((window & -window).astype(np.float64))[1] - 1  # how often 2 divides the window's number
        self._rank = np.where(window == 0, _MOST_LEVELS, low)
        self._stays = needed(table, sizes, lines, evaluations)
        free = np.bincount(np.minimum(self._rank[~self._stays], _MOST_LEVELS), minlength=_MOST_LEVELS + 1)
        self._left = (np.cumsum(free[::-1])[::-1] + np.count_nonzero(self._stays)).tolist()

    @property
    def kept(self) -> int:
        """Rows that are left at its level."""
        return int(self._left[self.level])

    @property
    def can_shrink(self) -> bool:
        """Whether a higher level drops more."""
        return self.level < _MOST_LEVELS and self._left[self.level] > self._left[-1]

    def drop(self) -> None:
        """Drops what is not kept, and marks the gaps."""
        import numpy as np

        if self.kept == self.size:
            return
        table = self.table
        at = np.flatnonzero(self._stays | (self._rank >= self.level))
        was_cut = np.cumsum(is_cut(table))
        before = np.concatenate([[-1], at[:-1]])
        fresh = (at - before > 1) | (was_cut[at] > np.where(before < 0, 0, was_cut[before]))
        seqs = integers(table.seq)[at]
        table.cuts = column(seqs[fresh])
        for name in _COLUMNS[type(table)]:
            setattr(table, name, taken(getattr(table, name), at))
        if isinstance(table, Table):
            table.dropped += self.size - len(at)
            table.columns = tuple(taken(values, at) for values in table.columns)


def taken(values: array[Any], at: Mask) -> array[Any]:
    """The values at these places."""
    import numpy as np

    kept = array(values.typecode)
    kept.frombytes(np.frombuffer(values, values.typecode)[at].tobytes())
    return kept


__all__ = ["WHOLE", "Sizes", "size", "taken", "thin"]
