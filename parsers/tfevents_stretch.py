"""A stretch of an event file whose records repeat with a period, looked at as a matrix: one period a row, no copying."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parsers.tfevents import EventFile
from parsers.tfevents_cells import Cell, put
from parsers.tfevents_crc import crc32c
from parsers.tfevents_frames import FRAME, HEADER, Framer, Frames
from parsers.tfevents_layout import layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]

SAMPLE: Final = 256
"""Records that are looked at for a period."""
_LONGEST: Final = 2 * SAMPLE
"""Longest period, in records, that is looked for."""
_BLOCK: Final = 2 * 2**20
"""Bytes that are decoded at once: enough rows that NumPy's overhead vanishes, few enough for the cache."""
_TRIES: Final = 4
"""Periods that are tried in earnest."""


@dataclass(slots=True)
class Stretch:
    """A period of records, as bytes of a row: (position of the payload, cell, CRC of its blank, tag)."""

    found: EventFile
    size: int
    cells: list[tuple[int, Cell, int, bytes]]
    model: Bytes
    mask: Bytes

    def agrees(self, data: bytes, at: int) -> bool:
        """Whether a row of this shape stands at `at`."""
        import numpy as np

        if at < 0 or at + self.size > len(data):
            return False
        row = np.frombuffer(data, np.uint8, self.size, at)
        return not ((row ^ self.model) & self.mask).any()

    def run(self, framer: Framer) -> int:
        """Decodes rows from where the framer stands, as far as they agree; returns how many."""
        import numpy as np

        most = max(1, _BLOCK // self.size)
        model, mask = np.tile(self.model, most), np.tile(self.mask, most)
        total = 0
        while True:
            rows = min((len(framer.data) - framer.at) // self.size, most)
            if not rows:
                if framer.fill():
                    continue
                break
            flat = np.frombuffer(framer.data, np.uint8, rows * self.size, framer.at)
            differs = (flat ^ model[: len(flat)]) & mask[: len(flat)]
            good = int((differs != 0).argmax()) // self.size if _any(differs) else rows
            self._add(flat[: good * self.size].reshape(good, self.size), framer.records + 1)
            framer.at += good * self.size
            framer.records += good * len(self.cells)
            total += good
            if good < rows:
                break
        return total

    def _add(self, rows: Bytes, first: int) -> None:
        import numpy as np

        count, period = len(rows), len(self.cells)
        for index, (at, cell, base, tag) in enumerate(self.cells if count else ()):
            begin = first + index
            lines = np.arange(begin, begin + count * period, period, dtype=np.int64)
            put(self.found, tag, cell.shape, lines, cell.numbers(rows[:, at : at + cell.shape.size + 4], base))


def _any(values: Bytes) -> bool:
    """Whether any byte is not 0, eight at a time."""
    import numpy as np

    whole = len(values) // 8 * 8
    return bool(values[:whole].view(np.uint64).any()) or bool(values[whole:].any())


def stretch_of(data: bytes, frames: Frames, found: EventFile) -> Stretch | None:
    """The period with which the last of these records repeat, if they do."""
    lengths, starts = frames.lengths[-2 * _LONGEST :], frames.starts[-2 * _LONGEST :]
    tries = 0
    tag = _tag(data, starts[-1], lengths[-1])
    for period in range(1, len(lengths) // 2 + 1):
        if lengths[-1 - period] != lengths[-1] or lengths[-period:] != lengths[-2 * period : -period]:
            continue
        if tag is None or _tag(data, starts[-1 - period], lengths[-1]) != tag:
            continue
        stretch = _model(data, starts[-period:], lengths[-period:], found)
        if stretch is not None and stretch.agrees(data, starts[-period] - HEADER - stretch.size):
            return stretch
        tries += 1
        if tries == _TRIES:
            break
    return None


def _tag(data: bytes, start: int, length: int) -> bytes | None:
    shape = layout(data[start : start + length])
    return data[start + shape.tag[0] : start + shape.tag[1]] if shape else None


def _model(data: bytes, starts: list[int], lengths: list[int], found: EventFile) -> Stretch | None:
    import numpy as np

    size = sum(lengths) + FRAME * len(lengths)
    begin = starts[0] - HEADER
    model = np.frombuffer(data, np.uint8, size, begin)
    mask = np.full(size, 255, np.uint8)
    cells = []
    for start, length in zip(starts, lengths, strict=True):
        payload = data[start : start + length]
        shape = layout(payload)
        if shape is None:
            return None
        cell, at = Cell(shape), start - begin
        mask[at : at + length + 4] = cell.mask(with_tag=True)
        cells.append((at, cell, crc32c(cell.blank(payload)), payload[slice(*shape.tag)]))
    return Stretch(found, size, cells, model, mask)
