"""CRC-32C with NumPy: tables by distance, of bytes in columns, and of one long piece."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from parsers.tfevents_crc import crc32c, table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint32]

_ONES: Final = 0xFFFFFFFF
_ROW: Final = 64
"""Bytes of a long piece that are taken one after the other, a power of two; rows lie side by side."""
_SHORT: Final = 2048


@cache
def shifted(distance: int) -> Words:
    """The CRC of each byte with `distance` zero bytes behind it, without initial value: uint32[256]."""
    import numpy as np

    entries = np.array(table(), np.uint32)
    return entries[shifted(distance - 1) & 255] ^ shifted(distance - 1) >> 8 if distance else entries


def distances(count: int) -> list[Words]:
    """`shifted` of 0 to `count` − 1, made in order (each from the one before, so that nothing recurses deeply)."""
    return [shifted(distance) for distance in range(count)]


@cache
def _skip(power: int) -> Words:
    """What 2**power zero bytes make of a CRC state, for each byte of the state: uint32[4, 256]."""
    import numpy as np

    if power:
        half = _skip(power - 1)
        return np.stack([_apply(half, row) for row in half])
    entries = np.array(table(), np.uint32)
    state = np.arange(256, dtype=np.uint32)
    return np.stack([entries, state, state << np.uint32(8), state << np.uint32(16)])


def _apply(tables: Words, state: Words) -> Words:
    low, high = tables[0][state & 255] ^ tables[1][state >> 8 & 255], tables[2][state >> 16 & 255] ^ tables[3][state >> 24]
    result: Words = low ^ high
    return result


def long_crc(data: bytes, crc: int = 0) -> int:
    """The CRC-32C of `data`, going on from `crc`: rows side by side, joined two by two."""
    import numpy as np

    if len(data) < _SHORT:
        return crc32c(data, crc)
    head = len(data) % _ROW
    crc = crc32c(data[:head], crc)
    rows = np.frombuffer(data, np.uint8, offset=head).reshape(-1, _ROW)
    states: Words = np.zeros(len(rows), np.uint32)
    for column, entries in enumerate(reversed(distances(_ROW))):
        states ^= entries[rows[:, column]]
    # The first row also carries on what stood before it; zero rows in front change nothing.
    power, size = _ROW.bit_length() - 1, 1
    states[:1] ^= _apply(_skip(power), np.array([crc ^ _ONES], np.uint32))
    while size < len(states):
        size *= 2
    states = np.concatenate([np.zeros(size - len(states), np.uint32), states])
    while len(states) > 1:
        states = _apply(_skip(power), states[0::2]) ^ states[1::2]
        power += 1
    return int(states[0]) ^ _ONES
