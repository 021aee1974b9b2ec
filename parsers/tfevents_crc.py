"""CRC-32C (Castagnoli) in plain Python: of one record, and of many records of one length at once.

Event files frame records as TFRecord does: a masked CRC-32C stands behind each length and each payload. The standard
library has no CRC-32C, and a loop over bytes costs 70 ns a byte; since the CRC is linear, the records of one length
are instead taken column by column, each column translated by four byte tables and added up as one long integer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78
"""0x1EDC6F41, bit-reversed."""
_MASK_DELTA: Final = 0xA282EAD8
_ONES: Final = 0xFFFFFFFF
_BATCH: Final = 6
"""From this many records of one length on, columns are faster than one record after the other."""


def _byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ _POLYNOMIAL if value & 1 else value >> 1
    return value


@cache
def table() -> tuple[int, ...]:
    """The CRC of each byte, without initial value and final inversion."""
    return tuple(_byte(value) for value in range(256))


def crc32c(data: bytes, crc: int = 0) -> int:
    """The CRC-32C of `data`, going on from `crc`, the CRC of what stood before it."""
    entries = table()
    crc ^= _ONES
    for byte in data:
        crc = entries[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ _ONES


def masked(crc: int) -> int:
    """The CRC as event files store it."""
    return (crc >> 15 | crc << 17) + _MASK_DELTA & _ONES


@cache
def _shifted(distance: int) -> tuple[int, ...]:
    """The CRC of each byte with `distance` zero bytes behind it."""
    entries = table()
    return tuple(entries[value & 255] ^ value >> 8 for value in _shifted(distance - 1)) if distance else entries


@cache
def _planes(distance: int) -> tuple[bytes, bytes, bytes, bytes]:
    """`_shifted(distance)` as four translation tables, one for each byte of the CRC."""
    whole = b"".join([value.to_bytes(4, "little") for value in _shifted(distance)])
    return whole[0::4], whole[1::4], whole[2::4], whole[3::4]


MAX_COLUMNS: Final = 256
"""Longest record that is taken in columns: each distance from the end has its own tables."""


Checksum = Callable[[bytes, int], int]
"""CRC-32C of a piece, going on from the CRC of what stood before it."""


def wrong(data: bytes, starts: Sequence[int], lengths: Sequence[int], checksum: Checksum = crc32c) -> set[int]:
    """The indexes of the records (payload at `starts[i]`, `lengths[i]` bytes, its CRC behind it) whose CRC is wrong.

    `checksum` is asked for long records.
    """
    groups: dict[int, list[int]] = {}
    for index, length in enumerate(lengths):
        groups.setdefault(length, []).append(index)
    bad: set[int] = set()
    for length, indexes in groups.items():
        if len(indexes) < _BATCH or not 0 < length <= MAX_COLUMNS:
            bad.update(i for i in indexes if not is_right(data, starts[i], length, checksum))
        else:
            bad.update(indexes[k] for k in _wrong_rows(data, [starts[i] for i in indexes], length))
    return bad


def is_right(data: bytes, start: int, length: int, checksum: Checksum = crc32c) -> bool:
    """Whether the payload's CRC is the one that is stored behind it."""
    end = start + length
    return masked(checksum(data[start:end], 0)) == int.from_bytes(data[end : end + 4], "little")


def _wrong_rows(data: bytes, starts: list[int], length: int) -> list[int]:
    count, size = len(starts), length + 4
    joined = b"".join([data[start : start + size] for start in starts])
    sums = [0, 0, 0, 0]
    for distance in range(length):  # from the end: each distance's tables are made from those before it
        values = joined[length - 1 - distance :: size]
        for plane, entries in enumerate(_planes(distance)):
            sums[plane] ^= int.from_bytes(values.translate(entries), "little")
    start = crc32c(bytes(length))  # what the initial value and the final inversion add to each row
    planes = [total.to_bytes(count, "little") for total in sums]
    stored = [joined[length + k :: size] for k in range(4)]
    found = []
    for row in range(count):
        crc = planes[0][row] | planes[1][row] << 8 | planes[2][row] << 16 | planes[3][row] << 24
        kept = stored[0][row] | stored[1][row] << 8 | stored[2][row] << 16 | stored[3][row] << 24
        if masked(crc ^ start) != kept:
            found.append(row)
    return found
