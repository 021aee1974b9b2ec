"""Event files by columns, with NumPy: what makes ten million scalars a matter of seconds.

A loop that logs the same tags at every step writes records whose lengths repeat with a period. Such a stretch of a file
is looked at as a matrix, one period a row, without copying (`tfevents_stretch`). Where tags come in any order, records of one
length are gathered and compared with a model record (`Gathering`). Whatever agrees with no model is handed back to
`tfevents`, record by record.

Every record's CRC is checked (`tfevents_cells`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from parsers.tfevents import EventFile, add_frames
from parsers.tfevents_cells import Cell, put, raw
from parsers.tfevents_crc import crc32c
from parsers.tfevents_frames import Framer, Frames
from parsers.tfevents_layout import MAX_PAYLOAD, layout
from parsers.tfevents_stretch import SAMPLE, stretch_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Whole = NDArray[np.int64]

_LARGE: Final = 65_536
"""Most records that are gathered at once."""
_FEW: Final = 8
"""Fewer records of one length are taken one by one."""
_MISSES: Final = 16
_ROUNDS: Final = 48
"""Models that are tried on records of one length before the rest is taken one by one."""


def decode_rest(framer: Framer, found: EventFile) -> None:
    """Files all further records of `framer` in `found`."""
    amount, period = SAMPLE, 0
    while (frames := framer.take(amount)).starts:
        Gathering(framer, found, frames).run()
        stretch = stretch_of(framer.data, frames, found)
        if stretch is not None and stretch.run(framer):
            period = len(stretch.cells)
            amount = min(_LARGE, max(SAMPLE, 3 * period))
        else:
            amount = min(_LARGE, amount * 4)
    _sort(found)


def _sort(found: EventFile) -> None:
    """Puts tags and the points of each into the order of the file: records were gathered length by length."""
    import numpy as np

    for key, column in found.scalars.items():
        lines = np.frombuffer(column.lines, np.int32)
        if len(lines) > 1 and (lines[1:] < lines[:-1]).any():
            order = np.argsort(lines, kind="stable")
            sorted_ = type(column)(column.tag, column.is_tensor)
            for name in ("lines", "steps", "times", "values"):
                getattr(sorted_, name).frombytes(raw(np.asarray(getattr(column, name))[order]))
            found.scalars[key] = sorted_
    found.scalars = dict(sorted(found.scalars.items(), key=lambda item: item[1].lines[0]))


@dataclass(slots=True)
class Gathering:
    """Records in any order, decoded length by length."""

    framer: Framer
    found: EventFile
    frames: Frames
    slow: list[int] = field(default_factory=list)
    """Indexes of records that are taken one by one."""
    late: list[tuple[Cell, Bytes, Whole]] = field(default_factory=list)
    """Tensors without metadata: their tag's plugin may stand in a record of this batch that is taken one by one."""

    def run(self) -> None:
        """Files all records of the batch."""
        import numpy as np

        lengths = np.array(self.frames.lengths, np.int64)
        starts = np.array(self.frames.starts, np.int64)
        order = np.argsort(lengths, kind="stable")
        cuts = np.flatnonzero(np.diff(lengths[order])) + 1
        for indexes in np.split(order, cuts):
            length = int(lengths[indexes[0]])
            if len(indexes) < _FEW or not 0 < length <= MAX_PAYLOAD:
                self.slow.extend(indexes.tolist())
            else:
                self._same_length(indexes, starts[indexes], length)
        chosen = sorted(self.slow)
        _add_chosen(self.framer, self.found, self.frames, chosen)
        for cell, rows, indexes in self.late:
            self._members(cell, rows, indexes)

    def _same_length(self, indexes: Whole, starts: Whole, length: int) -> None:
        import numpy as np

        data, size = self.framer.data, length + 4
        whole: NDArray[np.void] = np.ndarray((len(data) - size + 1,), f"V{size}", data, strides=(1,))
        rows: NDArray[np.uint8] = whole[starts].view(np.uint8).reshape(len(starts), size)
        misses = 0
        for _ in range(_ROUNDS):
            if not len(rows) or misses > _MISSES:
                break
            at = -1 if misses % 2 else 0  # what is no scalar often stands at one end of the batch
            shape = layout(rows[at].tobytes()[:length])
            if shape is None:
                misses += 1
                self.slow.append(int(indexes[at]))
                rows, indexes = (rows[:-1], indexes[:-1]) if at else (rows[1:], indexes[1:])
                continue
            cell = Cell(shape)
            differs = ((rows ^ rows[at]) & cell.mask(with_tag=False)).any(axis=1)
            same = ~differs
            if shape.is_tensor and shape.plugin is None:
                self.late.append((cell, rows[same], indexes[same]))
            else:
                self._members(cell, rows[same], indexes[same])
            rows, indexes = rows[differs], indexes[differs]
        self.slow.extend(indexes.tolist())

    def _members(self, cell: Cell, rows: Bytes, indexes: Whole) -> None:
        """Files records of one layout, whatever their tags."""
        import numpy as np

        begin, end = cell.shape.tag
        tags = rows[:, begin:end]
        first, which = _distinct(tags)
        is_same = (tags == tags[first][which]).all(axis=1) if len(first) > 1 else np.ones(len(rows), bool)
        if not is_same.all():  # two tags with one hash
            self._few(indexes[~is_same])
            rows, indexes, which = rows[is_same], indexes[is_same], which[is_same]
        models = [tags_row.tobytes() for tags_row in tags[first]]
        payload = bytearray(cell.blank(rows[0].tobytes()[: cell.shape.size]))
        bases = np.array([self._base(payload, begin, end, tag) for tag in models], np.uint32)
        numbers = cell.numbers(rows, bases[which])
        lines = indexes + self.frames.first
        if len(models) == 1:
            put(self.found, models[0], cell.shape, lines, numbers)
            return
        order = np.argsort(which, kind="stable")
        lines, numbers = lines[order], numbers.pick(order)
        ends = np.cumsum(np.bincount(which, minlength=len(models))).tolist()
        for tag, low, high in zip(models, [0, *ends], ends, strict=False):
            put(self.found, tag, cell.shape, lines[low:high], numbers.pick(slice(low, high)))

    def _few(self, indexes: Whole) -> None:
        _add_chosen(self.framer, self.found, self.frames, sorted(indexes.tolist()))

    @staticmethod
    def _base(payload: bytearray, begin: int, end: int, tag: bytes) -> int:
        payload[begin:end] = tag
        return crc32c(bytes(payload))


def _add_chosen(framer: Framer, found: EventFile, frames: Frames, chosen: list[int]) -> None:
    """Files these records of a batch one by one."""
    for index in chosen:
        one = Frames([frames.starts[index]], [frames.lengths[index]], frames.first + index)
        add_frames(framer, found, one)


def _distinct(tags: Bytes) -> tuple[Whole, Whole]:
    """(index of the first row of each distinct tag, the tag that each row has), by a hash of eight bytes at a time."""
    import numpy as np

    count, width = tags.shape
    if (tags == tags[0]).all():
        return np.zeros(1, np.int64), np.zeros(count, np.int64)
    padded = np.zeros((count, -(-width // 8) * 8), np.uint8)
    padded[:, :width] = tags
    hashed = np.zeros(count, np.uint64)
    for word in padded.view("<u8").T:
        hashed = (hashed ^ word) * np.uint64(0x9E3779B97F4A7C15)
        hashed ^= hashed >> np.uint64(29)
    _, first, which = np.unique(hashed, return_index=True, return_inverse=True)
    return first.astype(np.int64), which.reshape(-1).astype(np.int64)
