"""The rows of a long log that stay when others are dropped: what a finding can rest on, and what stands around it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parsers import metrics
from parsers.many_steps import integers
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
     metrics.NAN_STEPS, metrics.STEP_TIME, metrics.THROUGHPUT_SAMPLES, metrics.THROUGHPUT_TOKENS}
)  # fmt: skip
"""Metrics beside the losses of which every change is looked for."""
_FEW: Final = 0.1
"""Share of rows up to which equal neighbours (or different ones) are something to look at."""
_JUMP: Final = 12.0
"""Times the usual difference between neighbours."""
_SILENCE: Final = 8.0
"""Times the usual interval."""
_SECONDS: Final = 30.0
_SLOW: Final = 2.0
"""Times the usual interval, twice in a row: the pace falls."""


def rare(tables: Tables, sizes: Sizes) -> Mask:
    """`seq` of evaluations: what was logged before each is what it is compared with."""
    import numpy as np

    seqs = [integers(table.seq) for table in tables.by_key.values() if table.kind == "eval"]
    return _few(np.unique(np.concatenate([np.zeros(0, np.int64), *seqs])), sizes.spots)


def is_cut(table: Table | Ticks) -> Mask:
    """Before which rows others were dropped."""
    import numpy as np

    mask = np.zeros(len(table), bool)
    if len(table.cuts):
        place = np.searchsorted(integers(table.seq), integers(table.cuts))
        mask[place[place < len(table)]] = True
    return mask


def needed(table: Table | Ticks, sizes: Sizes, lines: Sequence[int], evaluations: Mask) -> Mask:
    """The rows that stay whatever else goes."""
    import numpy as np

    count = len(table)
    stays, goes_on = np.zeros(count, bool), ~is_cut(table)[1:]
    stays[: 4 * sizes.near] = stays[-sizes.last :] = True
    spots = [(1, found) for found in _breaks(table, goes_on)]
    spots.append((1, np.minimum(np.searchsorted(integers(table.seq), evaluations), count - 1)))
    if isinstance(table, Table):
        buckets = min(sizes.buckets, count // (32 * len(table.names)))
        for name, values in zip(table.names, table.columns, strict=True):
            held, metric = np.frombuffer(values, np.float64), metrics.canonical(name)
            is_telling = metric in _TELLING or "loss" in metric
            spots += [(4, found) for found in _losses(held, is_telling)]
            spots += [(1, found) for found in (_changes(held, goes_on) if is_telling else ())]
            stays[_extremes(held, buckets if is_telling else buckets // 4)] = True
    beside = _few(np.searchsorted(integers(table.line), np.array(lines, np.int64)), max(2, count // 8))
    for place in (beside - 1, beside, beside + 1):
        stays[place[(place >= 0) & (place < count)]] = True
    most, enough = sizes.spots, max(count // 2, 8 * (2 * sizes.near + 1))
    around = _around(spots, most, sizes.near, count)
    while np.count_nonzero(around) > enough and most > 2:
        most //= 2
        around = _around(spots, most, sizes.near, count)
    return stays | around


def _around(spots: Sequence[tuple[int, Mask]], most: int, near: int, count: int) -> Mask:
    """The rows near places of several kinds, of each kind at most `most` times its weight."""
    import numpy as np

    places = np.concatenate([np.zeros(0, np.int64), *(_few(found, weight * most) for weight, found in spots)])
    reach = np.zeros(count + 1, np.int64)
    np.add.at(reach, np.maximum(places - near, 0), 1)
    np.add.at(reach, np.minimum(places + near + 1, count), -1)
    return np.cumsum(reach)[:-1] > 0


def _few(places: Mask, most: int) -> Mask:
    """The places, or the first and last half of as many as may be."""
    import numpy as np

    return places if len(places) <= most else np.concatenate([places[: most // 2], places[-(most // 2) :]])


def _breaks(table: Table | Ticks, goes_on: Mask) -> list[Mask]:
    """Where the step goes back or moves otherwise than usual, where time passes, where another bar is drawn."""
    import numpy as np

    step, clock = integers(table.step), table.seconds if isinstance(table, Ticks) else table.time
    moved, passed = np.diff(step), np.diff(np.frombuffer(clock, np.float64))
    found = [np.flatnonzero((moved < 0) & goes_on)]
    unusual = (moved != _usual(moved[goes_on])) & goes_on
    if np.count_nonzero(unusual) < _FEW * len(moved):
        found.append(np.flatnonzero(unusual))
    usual = _usual(passed[np.isfinite(passed) & goes_on])
    found.append(np.flatnonzero((passed > max(_SILENCE * usual, _SECONDS)) & goes_on))
    slow = (passed > _SLOW * usual) & goes_on
    found.append(np.flatnonzero(slow[1:-1] & slow[2:] & ~slow[:-2]) + 1)
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
