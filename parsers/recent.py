"""The bytes of small logs that were read just now: their lines are cited a moment later, and need not be read again for it.

Only plain text is kept, of which every byte is as it is in the file; the last few files, a few megabytes in all.
"""

from __future__ import annotations

import os
from collections.abc import Set
from typing import Final

from parsers.source import shown

MAX_FILES: Final = 8
MAX_BYTES: Final = 2 * 2**20
"""Of one file: one block of it. What is kept at most is so much of each of the files."""
_LONGEST: Final = 2**16
"""Bytes at the end of a last line without a line feed that are shown."""

_Stamp = tuple[int, int, int]
_KEPT: Final[dict[str, tuple[_Stamp, bytes]]] = {}
"""File → (what tells that it is the same, its bytes)."""


def keep(path: str, data: bytes) -> None:
    """Remembers all of a file's bytes; not where the file holds others by now."""
    _KEPT.pop(path, None)
    stamp = _stamp(path)
    if stamp is None or stamp[0] != len(data) or len(data) > MAX_BYTES:
        return
    while len(_KEPT) >= MAX_FILES:
        del _KEPT[next(iter(_KEPT))]
    _KEPT[path] = stamp, data


def lines(path: str, numbers: Set[int]) -> dict[int, str] | None:
    """The lines of these numbers as `source.quote` shows them; None where the file's bytes are not kept, or are others now."""
    stamp, data = _KEPT.get(path, (None, b""))
    if stamp is None or stamp != _stamp(path):
        return None
    every = data.split(b"\n", max(numbers, default=0))  # what is behind the last of them is left whole
    last = len(every)
    found = {number: shown(every[number - 1]) for number in numbers if 0 < number < last}
    if last in numbers and every[-1]:
        found[last] = shown(every[-1][-_LONGEST:])
    return found


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
