"""One record of an event file, taken apart without protobuf: `Event`, `Summary.Value`, hyperparameters.

Field numbers are those of TensorFlow's `core/util/event.proto` and `core/framework/summary.proto` and of TensorBoard's
hparams `plugin_data.proto`; they have not changed since 2015. Histograms, images, audio and graphs are recognised by
their field and never opened. What a writer is free to do but none does (a message given in parts, groups) is `Unusual`
and left to protobuf itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from parsers.model import Value
from parsers.tfevents_fields import BYTES, DOUBLE, FIXED32, FIXED64, FLOAT, VARINT, Part, UnusualError, fields, signed
from parsers.tfevents_tensor import Tensor
from parsers.tfevents_tensor import tensor as tensor_of


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
            time = DOUBLE(data, part.start)[0]
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
            what, number = "simple", FLOAT(data, part.start)[0]
        elif part.key == 8 << 3 | BYTES:
            if what == "tensor":
                raise UnusualError("a tensor in parts")
            what, tensor = "tensor", tensor_of(data, part.start, part.end)
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
            number = float(DOUBLE(data, part.start)[0])
            value = int(number) if number.is_integer() and abs(number) < 2**53 else number
        elif part.key == 3 << 3 | BYTES:
            value = _text(data[part.start : part.end])
        elif part.key == 4 << 3 | VARINT:
            value = bool(part.value)
    return value
