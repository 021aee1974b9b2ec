"""The records of a W&B transaction log (`run-<id>.wandb`): a LevelDB log whose check sums are plain CRC-32.

A file header of 7 bytes (`:W&B`, 0xBEE1 little endian, version), then blocks of 32,768 bytes (the first one holds the
header); a chunk is CRC (4 bytes, seeded with the type), length (2), type (1: whole, 2: first, 3: middle, 4: last) and
data. Fewer than 7 bytes left in a block are padding. A file that breaks off is the usual end of a run that crashed.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

MAGIC: Final = b":W&B"
HEADER: Final = 7
BLOCK: Final = 32768
MAX_RECORD: Final = 2**26
"""Longer records (tables, media) are passed over: metrics never are."""

_CHUNK: Final = struct.Struct("<IHB")
_WHOLE, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4


class Damage(NamedTuple):
    """Records that could not be read: `reason` says why, `record` is the number of the next one."""

    record: int
    reason: str


def records(file: BinaryIO) -> Iterator[bytes | Damage]:
    """The payloads in order; a Damage where something is missing. Memory stays below `MAX_RECORD` and a block."""
    file.seek(HEADER)
    parts: list[bytes] = []
    size, number, at = 0, 1, HEADER
    for kind, data in _chunks(file, at):
        if kind == 0:
            yield Damage(number, data.decode())
            parts, size = [], 0
        elif kind in (_WHOLE, _FIRST):
            parts, size = [data], len(data)
        elif parts:
            size += len(data)
            if size <= MAX_RECORD:
                parts.append(data)
        if kind in (_WHOLE, _LAST) and parts:
            if size <= MAX_RECORD:
                yield b"".join(parts)
            number += 1
            parts, size = [], 0


def _chunks(file: BinaryIO, at: int) -> Iterator[tuple[int, bytes]]:
    """(type, data) of each chunk; type 0 with a reason for what is damaged."""
    while True:
        room = BLOCK - at % BLOCK
        if room < _CHUNK.size:
            file.seek(room, 1)
            at += room
            continue
        head = file.read(_CHUNK.size)
        if len(head) < _CHUNK.size:
            return
        crc, length, kind = _CHUNK.unpack(head)
        data = file.read(length)
        at += len(head) + len(data)
        if len(data) < length or not (length or kind):
            return  # still being written, or zeros of a file that was made longer than what was written
        if kind not in (_WHOLE, _FIRST, _MIDDLE, _LAST) or length > room - _CHUNK.size:
            yield 0, b"the file is damaged from here on"
            return
        if zlib.crc32(data, zlib.crc32(bytes([kind]))) & 0xFFFFFFFF != crc:
            yield 0, b"a record's check sum is wrong"
            continue
        yield kind, data
