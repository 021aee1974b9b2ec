"""Files that are read at one go: regular ones only, and none that is larger than what it should be.

To open a pipe waits for somebody to write, and to read a device such as /dev/zero never ends.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from parsers.source import UnreadableError

MAX_BYTES: Final = 256 * 2**20


def content(path: str | Path, limit: int = MAX_BYTES) -> bytes:
    """All bytes of a file. Raises OSError where it cannot be read, UnreadableError where it is no such file."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableError(f"{path} is not a regular file: name one.")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UnreadableError(f"{path} is larger than {limit >> 20} MB: that is no such file.")
    return data
