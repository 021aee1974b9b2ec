"""The bytes of small logs that were read just now: their lines are cited a moment later, and need not be read again for it.

Only plain text is kept, of which every byte is as it is in the file; the last few files, a few megabytes in all.
"""

from __future__ import annotations

import os
from collections.abc import Set
from io import BytesIO
from itertools import islice
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
    found: dict[int, str] = {}
    left, passed = BytesIO(data), 0  # which finds line feeds three times faster than `split`
    for number in sorted(number for number in numbers if number > 0):
        line = next(islice(left, number - passed - 1, None), None)
        if line is None:
            break
        passed = number
        found[number] = shown(line[:-1] if line.endswith(b"\n") else line[-_LONGEST:])
    return found


def _stamp(path: str) -> _Stamp | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
