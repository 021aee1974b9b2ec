"""Records of one layout as rows of bytes → their numbers, with the CRC of each checked.

The CRC is linear: a record that differs from its model in a few bytes only differs in its CRC by what these bytes
contribute, so that the fixed bytes, which are compared anyway, cost nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from parsers.tfevents import EventFile, is_scalar_plugin
from parsers.tfevents_layout import Layout
from parsers.tfevents_numpy import distances

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Bytes = NDArray[np.uint8]
    Whole = NDArray[np.int64]

_DELTA: Final = 0xA282EAD8
_NOTED: Final = 64


def raw(values: NDArray[np.generic]) -> memoryview:
    """The bytes of an array, for `array.frombytes`."""
    import numpy as np

    return memoryview(np.ascontiguousarray(values).view(np.uint8).data)


@dataclass(slots=True)
class Cell:
    """Records of one layout: how their changing bytes are found, checked and turned into numbers.

    Positions are relative to the payload. `contributions` holds what each value of each changing byte adds to the CRC.
    """

    shape: Layout
    changing: Whole = field(init=False)
    contributions: NDArray[np.uint32] = field(init=False)

    def __post_init__(self) -> None:
        import numpy as np

        shape = self.shape
        spans = (range(shape.time, shape.time + 8), range(*shape.step), range(shape.value, shape.value_end))
        self.changing = np.array([at for span in spans for at in span], np.int64)
        tables = distances(shape.size)
        self.contributions = np.concatenate([tables[shape.size - 1 - at] for at in self.changing])

    def blank(self, payload: bytes) -> bytes:
        """The payload with all changing bytes 0: its CRC is what all records like it have in common."""
        plain = bytearray(payload)
        for at in self.changing.tolist():
            plain[at] = 0
        return bytes(plain)

    def mask(self, with_tag: bool) -> Bytes:
        """Which bits of a payload and of the CRC behind it must agree with the model; a varint keeps its shape."""
        import numpy as np

        shape = self.shape
        mask = np.full(shape.size + 4, 255, np.uint8)
        mask[self.changing] = 0
        mask[shape.step[0] : shape.step[1]] = 128
        mask[shape.size :] = 0
        if not with_tag:
            mask[shape.tag[0] : shape.tag[1]] = 0
        return mask

    def numbers(self, rows: Bytes, base: int | NDArray[np.uint32]) -> Numbers:
        """What these rows hold; `base` is the CRC of the blank payload (of each row, where they differ)."""
        import numpy as np

        shape, count = self.shape, len(rows)
        rows = np.ascontiguousarray(rows)

        def column(at: int, kind: str) -> NDArray[Any]:
            values: NDArray[Any] = np.ndarray((count,), kind, rows, at, rows.strides[:1])
            return values

        changing = rows.T[self.changing]
        crc = np.zeros(count, np.uint32) ^ np.asarray(base, np.uint32)
        for place, row in enumerate(changing):
            crc ^= self.contributions[256 * place : 256 * place + 256].take(row)
        masked = (crc >> np.uint32(15) | crc << np.uint32(17)) + np.uint32(_DELTA)
        steps = _varints(changing[8 : 8 + shape.step[1] - shape.step[0]], count)
        with np.errstate(invalid="ignore"):  # a damaged value may be a signalling NaN
            numbers = column(shape.value, shape.value_type).astype(np.float64)
        return Numbers(steps, column(shape.time, "<f8"), numbers, masked == column(shape.size, "<u4"))


def _varints(rows: Bytes, count: int) -> Whole:
    """Varints, one a column: int64."""
    import numpy as np

    total = np.zeros(count, np.uint64)
    for place, row in enumerate(rows):
        total |= (row & 127).astype(np.uint64) << np.uint64(7 * place)
    return total.view(np.int64)


@dataclass(slots=True)
class Numbers:
    """What rows hold; `is_right` says whose CRC is."""

    steps: Whole
    times: NDArray[np.float64]
    values: NDArray[np.float64]
    is_right: NDArray[np.bool_]

    def pick(self, index: Whole | NDArray[np.bool_] | slice) -> Numbers:
        """These rows only."""
        return Numbers(self.steps[index], self.times[index], self.values[index], self.is_right[index])


def put(found: EventFile, tag: bytes, shape: Layout, lines: Whole, numbers: Numbers) -> None:
    """Files the points of one tag; records whose CRC is wrong are reported instead."""
    import numpy as np

    if not numbers.is_right.all():
        for line in lines[~numbers.is_right][:_NOTED].tolist():
            found.losses.add(line, f"a record of {shape.size:,} bytes fails its checksum")
        found.losses.count += max(0, int((~numbers.is_right).sum()) - _NOTED)
        lines, numbers = lines[numbers.is_right], numbers.pick(numbers.is_right)
    if not len(lines):
        return
    name = tag.decode("utf-8", "replace")
    if shape.plugin is not None:
        found.plugins.setdefault(name, shape.plugin)
    if shape.is_tensor and not is_scalar_plugin(found.plugins.get(name, "")):
        found.passed_over["tensor"] += len(lines)
        return
    column = found.column(name, shape.is_tensor)
    column.lines.frombytes(raw(lines.astype(np.int32)))
    column.steps.frombytes(raw(numbers.steps))
    column.times.frombytes(raw(numbers.times))
    column.values.frombytes(raw(numbers.values))
