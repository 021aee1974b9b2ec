"""`TensorProto` with one number or with strings: every dtype that a curve is stored in, packed, unpacked or raw.

Field numbers and types are those of TensorFlow's `core/framework/tensor.proto` and `types.proto`.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from parsers.tfevents_fields import BYTES, DOUBLE, FIXED32, FIXED64, FLOAT, VARINT, Part, fields, signed, varint


class Tensor(NamedTuple):
    """A tensor as far as we care: its only number (None where it holds none or many), or its strings."""

    number: float | None
    strings: tuple[bytes, ...] = ()


DT_HALF, DT_BFLOAT16, DT_STRING, DT_BOOL = 19, 14, 7, 10
_CONTENT: Final = {
    1: "<f", 2: "<d", 3: "<i", 4: "<B", 5: "<h", 6: "<b", 9: "<q", 10: "<?", 17: "<H", 19: "<e", 22: "<I", 23: "<Q",
}  # fmt: skip
"""dtype → how one element of `tensor_content` is laid out (bfloat16 is the upper half of a float)."""
_FIELD: Final = {
    1: 5, 2: 6, 3: 7, 4: 7, 5: 7, 6: 7, 9: 10, 10: 11, 14: 13, 17: 7, 19: 13, 22: 16, 23: 17,
}  # fmt: skip
"""dtype → the `…_val` field that holds its values."""
_BITS: Final = {3: 32, 5: 16, 6: 8, 9: 64}
_WIDTH: Final = {5: 4, 6: 8}


def tensor(data: bytes, start: int, end: int) -> Tensor:
    """Reads the `TensorProto` in `data[start:end]`. Raises MalformedError or UnusualError."""
    dtype, size, content = 0, 1, b""
    values: dict[int, list[Part]] = {}
    for part in fields(data, start, end):
        number, wire = part.key >> 3, part.key & 7
        if part.key == 1 << 3 | VARINT:
            dtype = part.value
        elif part.key == 2 << 3 | BYTES:
            size *= _elements(data, part)
        elif part.key == 4 << 3 | BYTES:
            content = data[part.start : part.end]
        elif number >= 5 and wire in (VARINT, FIXED64, BYTES, FIXED32):
            values.setdefault(number, []).append(part)
    if dtype == DT_STRING:
        return Tensor(None, tuple(data[part.start : part.end] for part in values.get(8, ())))
    if size != 1 or dtype not in _FIELD:
        return Tensor(None)
    return Tensor(_of_content(dtype, content) if content else _of_values(dtype, data, values.get(_FIELD[dtype], [])))


def _elements(data: bytes, shape: Part) -> int:
    """How many elements a `TensorShapeProto` speaks of."""
    total = 1
    for dim in fields(data, shape.start, shape.end):
        if dim.key == 2 << 3 | BYTES:
            sizes = [part.value for part in fields(data, dim.start, dim.end) if part.key == 1 << 3 | VARINT]
            total *= sizes[-1] if sizes else 0
    return total


def _of_content(dtype: int, content: bytes) -> float | None:
    if dtype == DT_BFLOAT16:
        return float(FLOAT(b"\0\0" + content)[0]) if len(content) == 2 else None
    layout = _CONTENT[dtype]
    return float(struct.unpack(layout, content)[0]) if len(content) == struct.calcsize(layout) else None


def _of_values(dtype: int, data: bytes, parts: list[Part]) -> float | None:
    """The only value of a `…_val` field, packed or not; None where there is none or more than one."""
    if len(parts) != 1:
        return None
    part, field_ = parts[0], _FIELD[dtype]
    if field_ in _WIDTH:
        if part.end - part.start != _WIDTH[field_]:
            return None
        return float((FLOAT if field_ == 5 else DOUBLE)(data, part.start)[0])
    value = part.value
    if part.key & 7 == BYTES:
        if part.start == part.end:
            return None
        value, at = varint(data, part.start, part.end)
        if at != part.end:
            return None
    if field_ == 13:
        layout = "<e" if dtype == DT_HALF else "<f"
        bits = struct.pack("<H", value & 0xFFFF)
        return float(struct.unpack(layout, bits if dtype == DT_HALF else b"\0\0" + bits)[0])
    if dtype == DT_BOOL:
        return float(value != 0)
    return float(signed(value, _BITS[dtype])) if dtype in _BITS else float(value)
