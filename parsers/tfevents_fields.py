"""The wire format of protobuf messages: numbers, and the fields of a message in order.

What a writer is free to do but none does (groups) is `Unusual` and left to protobuf itself.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

DOUBLE: Final = struct.Struct("<d").unpack_from
FLOAT: Final = struct.Struct("<f").unpack_from

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
