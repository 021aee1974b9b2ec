"""The shape of an event that holds one number: where its time, step, tag and value stand.

Writers build all records of a tag alike, so that one record's layout serves for millions: whatever agrees with it in
every byte but those of time, step, value (and tag) is decoded by columns. Only the order in which protobuf's
serializers write is known here; any other record has no layout and is taken apart by `tfevents_proto`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from parsers.tfevents_fields import BYTES, FIXED32, FIXED64, VARINT, MalformedError, Part, UnusualError, fields

MAX_PAYLOAD: Final = 4096
_TENSOR_FLOATS: Final = {(1, 5): "<f4", (2, 6): "<f8"}
"""(dtype, field) of tensors that hold their number as the packed bytes of a float or a double."""
_CONTENT_FLOATS: Final = {1: "<f4", 2: "<f8"}


class Layout(NamedTuple):
    """Positions in a payload. `step` spans a varint and is empty where the step is 0; `value_type` is NumPy's name."""

    size: int
    time: int
    step: tuple[int, int]
    tag: tuple[int, int]
    value: int
    value_type: str
    is_tensor: bool
    plugin: str | None

    @property
    def value_end(self) -> int:
        """Where the value ends."""
        return self.value + int(self.value_type[-1])


def layout(payload: bytes) -> Layout | None:
    """The layout of a payload, or None where it is not one number under one tag in the usual order."""
    if len(payload) > MAX_PAYLOAD:
        return None
    try:
        parts = list(fields(payload, 0, len(payload)))
        keys = [part.key for part in parts]
        if keys == [1 << 3 | FIXED64, 2 << 3 | VARINT, 5 << 3 | BYTES]:
            step = (parts[0].end + 1, parts[1].end)
        elif keys == [1 << 3 | FIXED64, 5 << 3 | BYTES]:
            step = (parts[0].end, parts[0].end)
        else:
            return None
        values = list(fields(payload, parts[-1].start, parts[-1].end))
        if len(values) != 1 or values[0].key != 1 << 3 | BYTES:
            return None
        return _of_value(payload, parts[0].start, step, values[0])
    except (MalformedError, UnusualError):
        return None


def _of_value(payload: bytes, time: int, step: tuple[int, int], span: Part) -> Layout | None:
    parts = list(fields(payload, span.start, span.end))
    keys = [part.key for part in parts]
    if not keys or keys[0] != 1 << 3 | BYTES or len(set(keys)) != len(keys):
        return None
    tag = (parts[0].start, parts[0].end)
    metadata = [part for part in parts if part.key == 9 << 3 | BYTES]
    plugin = _plugin(payload, metadata[0]) if metadata else None
    rest = [part for part in parts[1:] if part.key != 9 << 3 | BYTES]
    if len(rest) != 1 or tag[0] == tag[1] or plugin not in (None, "", "scalars", "scalar"):
        return None
    if rest[0].key == 2 << 3 | FIXED32:
        return Layout(len(payload), time, step, tag, rest[0].start, "<f4", False, plugin)
    if rest[0].key == 8 << 3 | BYTES:
        number = _of_tensor(payload, rest[0])
        return number and Layout(len(payload), time, step, tag, *number, True, plugin)
    return None


def _plugin(payload: bytes, span: Part) -> str | None:
    names = [
        payload[name.start : name.end].decode("utf-8", "replace")
        for data in fields(payload, span.start, span.end)
        if data.key == 1 << 3 | BYTES
        for name in fields(payload, data.start, data.end)
        if name.key == 1 << 3 | BYTES
    ]
    return names[0] if len(names) == 1 else "" if not names else "?"


def _of_tensor(payload: bytes, span: Part) -> tuple[int, str] | None:
    parts = list(fields(payload, span.start, span.end))
    dtype = [part.value for part in parts if part.key == 1 << 3 | VARINT]
    shape = [part for part in parts if part.key == 2 << 3 | BYTES]
    rest = [part for part in parts if part.key not in (1 << 3 | VARINT, 2 << 3 | BYTES)]
    if len(dtype) != 1 or len(shape) > 1 or len(rest) != 1 or any(part.start != part.end for part in shape):
        return None
    part = rest[0]
    found = _TENSOR_FLOATS.get((dtype[0], part.key >> 3))
    if part.key == 4 << 3 | BYTES:
        found = _CONTENT_FLOATS.get(dtype[0])
    return (part.start, found) if found and part.end - part.start == int(found[-1]) else None
