"""One record of an event file, taken apart without protobuf: `Event`, `Summary.Value`, `TensorProto`.

Field numbers are those of TensorFlow's `core/util/event.proto`, `core/framework/summary.proto`, `tensor.proto` and
TensorBoard's hparams `plugin_data.proto`; they have not changed since 2015. Histograms, images, audio and graphs are
recognised by their field and never opened. What a writer is free to do but none does (a message given in parts, groups)
is `Unusual` and left to protobuf itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from parsers.model import Value

_DOUBLE: Final = struct.Struct("<d").unpack_from
_FLOAT: Final = struct.Struct("<f").unpack_from

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class MalformedError(Exception):
    """These bytes are no message."""


class UnusualError(Exception):
    """A message that is valid and that only protobuf's own parser should read."""


class Part(NamedTuple):
    """A field: `key` is number << 3 | wire type; a varint's `value`, or the span `start`–`end` of anything else."""

    key: int
    value: int
    start: int
    end: int


def varint(data: bytes, at: int, end: int) -> tuple[int, int]:
    """(unsigned 64-bit value, position behind it)."""
    value = shift = 0
    while at < end and shift < 70:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at
        shift += 7
    raise MalformedError("a number does not end")


def signed(value: int, bits: int = 64) -> int:
    """A varint as the two's complement number that it stands for."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def fields(data: bytes, at: int, end: int) -> Iterator[Part]:
    """The fields of the message in `data[at:end]`, in order."""
    while at < end:
        key, at = varint(data, at, end)
        wire, value, start = key & 7, 0, at
        if wire == VARINT:
            value, at = varint(data, at, end)
        elif wire == FIXED64:
            at += 8
        elif wire == BYTES:
            size, start = varint(data, at, end)
            at = start + size
        elif wire == FIXED32:
            at += 4
        else:
            raise UnusualError("a group")
        if at > end:
            raise MalformedError("a field is longer than its message")
        yield Part(key, value, start, at)


class Tensor(NamedTuple):
    """A tensor as far as we care: its only number (None where it holds none or many), or its strings."""

    number: float | None
    strings: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Item:
    """One `Summary.Value`. `what`: simple, tensor, histo, image, audio or an empty text."""

    tag: str
    what: str
    number: float | None = None
    strings: tuple[bytes, ...] = ()
    plugin: str | None = None
    """The plugin that the metadata names; None where the value comes without metadata."""
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Entry:
    """One `Event`. `what`: summary, version, session, graph, log, run, metagraph or an empty text."""

    time: float = 0.0
    step: int = 0
    what: str = ""
    items: tuple[Item, ...] = ()
    version: str = ""
    status: int = 0
    """`SessionLog.status`: 1 START, 2 STOP, 3 CHECKPOINT."""
    writer: str = ""


_WHAT: Final = {3: "version", 4: "graph", 5: "summary", 6: "log", 7: "session", 8: "run", 9: "metagraph"}
_KIND: Final = {3: "old", 4: "image", 5: "histo", 6: "audio"}


def entry(data: bytes) -> Entry:
    """Takes a payload apart. Raises MalformedError or UnusualError."""
    time, step, what, version, writer = 0.0, 0, "", "", ""
    spans: list[tuple[int, int]] = []
    for part in fields(data, 0, len(data)):
        number, wire = part.key >> 3, part.key & 7
        if part.key == 1 << 3 | FIXED64:
            time = _DOUBLE(data, part.start)[0]
        elif part.key == 2 << 3 | VARINT:
            step = signed(part.value)
        elif part.key == 10 << 3 | BYTES:
            writer = _writer(data, part)
        elif number in _WHAT and wire == BYTES:
            if what != _WHAT[number]:
                spans.clear()
            what = _WHAT[number]
            spans.append((part.start, part.end))
    if what == "version" and spans:
        version = _text(data[spans[-1][0] : spans[-1][1]])
    items = tuple(item for span in spans for item in _items(data, span)) if what == "summary" else ()
    status = _status(data, spans) if what == "session" else 0
    return Entry(time, step, what, items, version, status, writer)


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _writer(data: bytes, span: Part) -> str:
    texts = [_text(data[p.start : p.end]) for p in fields(data, span.start, span.end) if p.key == 1 << 3 | BYTES]
    return texts[-1] if texts else ""


def _status(data: bytes, spans: list[tuple[int, int]]) -> int:
    parts = [part for start, end in spans for part in fields(data, start, end)]
    return next((part.value for part in reversed(parts) if part.key == 1 << 3 | VARINT), 0)


def _items(data: bytes, span: tuple[int, int]) -> Iterator[Item]:
    for part in fields(data, *span):
        if part.key == 1 << 3 | BYTES:
            yield _item(data, part.start, part.end)


def _item(data: bytes, start: int, end: int) -> Item:
    tag = node = what = ""
    number: float | None = None
    tensor, metadata = Tensor(None), None
    for part in fields(data, start, end):
        index, wire = part.key >> 3, part.key & 7
        if part.key == 1 << 3 | BYTES:
            tag = _text(data[part.start : part.end])
        elif part.key == 7 << 3 | BYTES:
            node = _text(data[part.start : part.end])
        elif part.key == 2 << 3 | FIXED32:
            what, number = "simple", _FLOAT(data, part.start)[0]
        elif part.key == 8 << 3 | BYTES:
            if what == "tensor":
                raise UnusualError("a tensor in parts")
            what, tensor = "tensor", _tensor(data, part.start, part.end)
        elif part.key == 9 << 3 | BYTES:
            if metadata is not None:
                raise UnusualError("metadata in parts")
            metadata = _metadata(data, part.start, part.end)
        elif index in _KIND and wire == BYTES:
            what = _KIND[index]
    plugin, content = metadata or (None, b"")
    if what == "tensor":
        return Item(tag or node, what, tensor.number, tensor.strings, plugin, content)
    return Item(tag, what, number if what == "simple" else None, (), plugin, content)


def _metadata(data: bytes, start: int, end: int) -> tuple[str, bytes]:
    """(plugin's name, its content) of a `SummaryMetadata`."""
    name, content = "", b""
    for part in fields(data, start, end):
        if part.key == 1 << 3 | BYTES:
            for inner in fields(data, part.start, part.end):
                if inner.key == 1 << 3 | BYTES:
                    name = _text(data[inner.start : inner.end])
                elif inner.key == 2 << 3 | BYTES:
                    content = data[inner.start : inner.end]
    return name, content


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


def _tensor(data: bytes, start: int, end: int) -> Tensor:
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
        return float(_FLOAT(b"\0\0" + content)[0]) if len(content) == 2 else None
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
        return float((_FLOAT if field_ == 5 else _DOUBLE)(data, part.start)[0])
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


@dataclass(frozen=True, slots=True)
class HParams:
    """What the hparams plugin stored at a session's start (`values`) or end (`status`: 1 success, 2 failure, 3 running)."""

    values: Mapping[str, Value] = field(default_factory=dict)
    group: str = ""
    status: int = 0


def hparams(content: bytes) -> HParams:
    """Reads `HParamsPluginData`. Raises MalformedError or UnusualError."""
    values: dict[str, Value] = {}
    group, status = "", 0
    for part in fields(content, 0, len(content)):
        if part.key == 3 << 3 | BYTES:  # session_start_info
            for inner in fields(content, part.start, part.end):
                if inner.key == 1 << 3 | BYTES:
                    values.update(_pair(content, inner))
                elif inner.key == 4 << 3 | BYTES:
                    group = _text(content[inner.start : inner.end])
        elif part.key == 4 << 3 | BYTES:  # session_end_info
            status = next((p.value for p in fields(content, part.start, part.end) if p.key == 1 << 3 | VARINT), 0)
    return HParams(values, group, status)


def _pair(data: bytes, span: Part) -> dict[str, Value]:
    """One entry of a `map<string, google.protobuf.Value>`; lists and structures are left out."""
    key, value = "", None
    for part in fields(data, span.start, span.end):
        if part.key == 1 << 3 | BYTES:
            key = _text(data[part.start : part.end])
        elif part.key == 2 << 3 | BYTES:
            value = _value(data, part)
    return {key: value} if key else {}


def _value(data: bytes, span: Part) -> Value:
    value: Value = None
    for part in fields(data, span.start, span.end):
        if part.key == 2 << 3 | FIXED64:
            number = float(_DOUBLE(data, part.start)[0])
            value = int(number) if number.is_integer() and abs(number) < 2**53 else number
        elif part.key == 3 << 3 | BYTES:
            value = _text(data[part.start : part.end])
        elif part.key == 4 << 3 | VARINT:
            value = bool(part.value)
    return value
