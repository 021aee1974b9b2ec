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
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parsers import metrics
from parsers.many_steps import column, integers
from parsers.table import Table, Tables, Ticks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Mask = NDArray[Any]


class Sizes(NamedTuple):
    """How much of one file is kept."""

    rows: int = 300_000
    """Rows and counts of bars: beyond, they are thinned to a third of it."""
    cells: int = 4_000_000
    """Numbers in all columns (32 MB): beyond, they are thinned to a third of it."""
    window: int = 512
    """Rows and counts that are kept or dropped together."""
    near: int = 32
    """Rows that are kept on each side of one that matters."""
    last: int = 512
    """Rows at the end of each table."""
    spots: int = 64
    """Places of one kind in one column that matter: beyond, the first and the last half of so many; four times as many
    where values are lost."""
    buckets: int = 128
    """Stretches of a table of which the least and the greatest values are kept."""


WHOLE: Final = Sizes()
"""Of a finished log: some 60 MB, and a second for the rules."""

_TELLING: Final = frozenset(
    {metrics.GRAD_NORM, metrics.LR, metrics.LOSS_SCALE, metrics.OVERFLOW, metrics.HYSTERESIS, metrics.SKIPPED_STEPS,
     metrics.NAN_STEPS}
)  # fmt: skip
"""Metrics beside the losses of which every change is looked for."""
KEPT: Final = 3
"""Of as much as may be held, one part in so many is left: what is left is looked at again the next time."""
_FEW: Final = 0.1
"""Share of rows up to which equal neighbours (or different ones) are something to look at."""
_JUMP: Final = 12.0
"""Times the usual difference between neighbours."""
_SILENCE: Final = 8.0
"""Times the usual interval."""
_SECONDS: Final = 30.0
_MOST_LEVELS: Final = 40
_TABLE: Final = 64
"""Of so many tables that each could hold only this many times `Sizes.near` rows, fewer rows are kept around a place."""
_COLUMNS: Final = {Table: ("seq", "line", "step", "time"), Ticks: ("seq", "line", "step", "total", "seconds")}


def size(tables: Tables) -> tuple[int, int]:
    """(rows and counts, numbers) that are held."""
    rows, cells = len(tables.ticks), 5 * len(tables.ticks)
    for table in tables.by_key.values():
        rows += len(table)
        cells += (4 + len(table.names)) * len(table)
    return rows, cells


def is_beyond(tables: Tables, sizes: Sizes) -> bool:
    """Whether there is more than may be kept."""
    rows, cells = size(tables)
    return rows > sizes.rows or cells > sizes.cells


def thin(tables: Tables, sizes: Sizes, lines: Sequence[int] = ()) -> None:
    """Drops rows and counts until a third of what may be held is left. `lines`: where events stand, in order.

    All steps must be settled.
    """
    assert tables.past is not None
    count = len(tables.by_key) + 1
    sizes = sizes._replace(near=max(2, min(sizes.near, sizes.rows // (_TABLE * count))))
    floor = max(8, min(4 * sizes.near, sizes.rows // 4 // count))
    before, cells = size(tables)
    rare = _rare(tables, sizes)
    parts = [
        _Part(key, table, sizes, lines, rare, tables.past.levels.get(key, 0))
        for key, table in tables.by_key.items()
        if len(table) > floor
    ]
    if len(tables.ticks) > floor:
        parts.append(_Part(None, tables.ticks, sizes, lines, rare, tables.past.levels.get(None, 0)))
    rest = (before - sum(part.size for part in parts), cells - sum(part.size * part.width for part in parts))
    _choose(parts, (sizes.rows // KEPT - rest[0], sizes.cells // KEPT - rest[1]))
    for part in parts:
        tables.past.levels[part.key] = part.level
        part.drop()
    _drop_starts(tables)
    tables.past.dropped += before - size(tables)[0]


def _rare(tables: Tables, sizes: Sizes) -> Mask:
    """`seq` of evaluations: what was logged before each is what it is compared with."""
    import numpy as np

    seqs = [integers(table.seq) for table in tables.by_key.values() if table.kind == "eval"]
    return _few(np.unique(np.concatenate([np.zeros(0, np.int64), *seqs])), sizes.spots)


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

    def __init__(self, key: object, table: Table | Ticks, sizes: Sizes, lines: Sequence[int], rare: Mask, level: int) -> None:
        import numpy as np

        self.key, self.table, self.level = key, table, level
        self.size, self.width = len(table), 5 if isinstance(table, Ticks) else 4 + len(table.names)
        window = integers(table.seq) // sizes.window
        low = np.frexp((window & -window).astype(np.float64))[1] - 1  # how often 2 divides the window's number
        self._rank = np.where(window == 0, _MOST_LEVELS, low)
        self._stays = _needed(table, sizes, lines, rare)
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
        was_cut = np.cumsum(_is_cut(table))
        before = np.concatenate([[-1], at[:-1]])
        is_cut = (at - before > 1) | (was_cut[at] > np.where(before < 0, 0, was_cut[before]))
        seqs = integers(table.seq)[at]
        table.cuts = column(seqs[is_cut])
        for name in _COLUMNS[type(table)]:
            setattr(table, name, taken(getattr(table, name), at))
        if isinstance(table, Table):
            table.columns = tuple(taken(values, at) for values in table.columns)


def taken(values: array[Any], at: Mask) -> array[Any]:
    """The values at these places."""
    import numpy as np

    kept = array(values.typecode)
    kept.frombytes(np.frombuffer(values, values.typecode)[at].tobytes())
    return kept


def _is_cut(table: Table | Ticks) -> Mask:
    """Before which rows others were dropped."""
    import numpy as np

    mask = np.zeros(len(table), bool)
    if len(table.cuts):
        place = np.searchsorted(integers(table.seq), integers(table.cuts))
        mask[place[place < len(table)]] = True
    return mask


def _needed(table: Table | Ticks, sizes: Sizes, lines: Sequence[int], rare: Mask) -> Mask:
    """The rows that stay whatever else goes."""
    import numpy as np

    count = len(table)
    stays, goes_on = np.zeros(count, bool), ~_is_cut(table)[1:]
    stays[: 4 * sizes.near] = stays[-sizes.last :] = True
    most = min(sizes.spots, max(8, count // (16 * sizes.near)))
    spots = [_few(found, most) for found in _breaks(table, goes_on)]
    spots.append(np.minimum(np.searchsorted(integers(table.seq), rare), count - 1))
    if isinstance(table, Table):
        buckets = min(sizes.buckets, count // (32 * len(table.names)))
        for name, values in zip(table.names, table.columns, strict=True):
            held, metric = np.frombuffer(values, np.float64), metrics.canonical(name)
            is_telling = metric in _TELLING or "loss" in metric
            spots += [_few(found, 4 * most) for found in _losses(held, is_telling)]
            spots += [_few(found, most) for found in (_changes(held, goes_on) if is_telling else ())]
            stays[_extremes(held, buckets if is_telling else buckets // 4)] = True
    beside = np.searchsorted(integers(table.line), np.array(lines, np.int64))
    for place in (beside - 1, beside, beside + 1):
        stays[place[(place >= 0) & (place < count)]] = True
    reach = np.zeros(count + 1, np.int64)
    around = np.concatenate([np.zeros(0, np.int64), *spots])
    np.add.at(reach, np.maximum(around - sizes.near, 0), 1)
    np.add.at(reach, np.minimum(around + sizes.near + 1, count), -1)
    return stays | (np.cumsum(reach)[:-1] > 0)


def _few(places: Mask, most: int) -> Mask:
    """The places, or the first and last half of as many as may be."""
    import numpy as np

    return places if len(places) <= most else np.concatenate([places[: most // 2], places[-(most // 2) :]])


def _breaks(table: Table | Ticks, goes_on: Mask) -> list[Mask]:
    """Where the step goes back or moves otherwise than usual, where a lot of time passes, where another bar is drawn."""
    import numpy as np

    step, clock = integers(table.step), table.seconds if isinstance(table, Ticks) else table.time
    moved, passed = np.diff(step), np.diff(np.frombuffer(clock, np.float64))
    found = [np.flatnonzero((moved < 0) & goes_on)]
    unusual = (moved != _usual(moved[goes_on])) & goes_on
    if np.count_nonzero(unusual) < _FEW * len(moved):
        found.append(np.flatnonzero(unusual))
    usual = _usual(passed[np.isfinite(passed) & goes_on])
    found.append(np.flatnonzero((passed > max(_SILENCE * usual, _SECONDS)) & goes_on))
    if isinstance(table, Ticks):
        other = (np.diff(integers(table.total)) != 0) & goes_on
        if np.count_nonzero(other) < _FEW * len(moved):
            found.append(np.flatnonzero(other))
    return found


def _usual(values: Mask) -> float:
    """The median, of a sample."""
    import numpy as np

    return float(np.median(values[:: max(1, len(values) // 4096)])) if len(values) else 0.0


def _losses(values: Mask, is_telling: bool) -> list[Mask]:
    """Where values become or cease to be finite, and telling ones 0."""
    import numpy as np

    is_finite, is_zero = np.isfinite(values), values == 0.0
    found: list[Mask] = []
    if not is_finite.all():
        found.append(_edges(np.where(is_finite, 0, np.where(np.isnan(values), 1, 2))))
    if is_telling and is_zero.any():
        found.append(_edges(is_zero))
    return found


def _changes(values: Mask, goes_on: Mask) -> list[Mask]:
    """Where values jump, stick, leave a level or turn round."""
    import numpy as np

    found: list[Mask] = []
    with np.errstate(invalid="ignore"):
        moved = np.diff(values)
    found.append(_turns(moved, goes_on))
    moved = np.abs(moved)
    is_equal = moved == 0.0
    share = np.count_nonzero(is_equal) / max(1, len(moved))
    if share > 1 - _FEW:
        found.append(np.flatnonzero(~is_equal & goes_on))
    elif share < _FEW:
        found.append(_edges(is_equal[1:] & is_equal[:-1]))
    usual = _usual(moved[np.isfinite(moved) & ~is_equal])
    found.append(np.flatnonzero((moved > _JUMP * usual) & goes_on & np.isfinite(moved) & (usual > 0)))
    return found


def _turns(moved: Mask, goes_on: Mask) -> Mask:
    """Where values that rise or fall steadily turn round, as a schedule that begins again."""
    import numpy as np

    places = np.flatnonzero((moved != 0) & goes_on & np.isfinite(moved))
    is_turn = np.diff(np.sign(moved[places])) != 0
    return places[1:][is_turn] if np.count_nonzero(is_turn) < _FEW * len(places) else places[:0]


def _edges(state: Mask) -> Mask:
    """The places before which a state changes."""
    import numpy as np

    return np.flatnonzero(state[1:] != state[:-1]) + 1


def _extremes(values: Mask, buckets: int) -> Mask:
    """The places of the least and greatest finite value of each stretch."""
    import numpy as np

    if buckets < 1:
        return np.zeros(0, np.int64)
    width = len(values) // buckets
    held = values[: width * buckets].reshape(buckets, width)
    is_finite, begin = np.isfinite(held), np.arange(buckets) * width
    least = np.where(is_finite, held, np.inf).argmin(axis=1) + begin
    greatest = np.where(is_finite, held, -np.inf).argmax(axis=1) + begin
    return np.concatenate([least, greatest])
