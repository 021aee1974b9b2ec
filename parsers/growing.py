"""A file that is still being written → what its readers have found so far, reading only what is new.

A text log is fed piece by piece to the same scanner that reads a finished one, so that however it grew, `final` is what
`read` gives. Files that are read whole (event files, JSON, CSV, archives) and files below `HEAD` bytes are read again when
they changed. `part` is a copy that may be judged while the original grows on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from parsers.collect import Collected
from parsers.growing_text import GrowingText
from parsers.read import Job, file_format, make_router, read_job
from parsers.signature import Signature
from parsers.source import UnreadableError, is_binary, is_compressed

HEAD: Final = 4096
"""First bytes that decide what kind of file it is, as for a finished one."""
PIECE: Final = 2 * 2**20
"""Bytes read at a time while catching up: the caller stays responsive."""
PRINT: Final = 256
"""Last bytes that were read, looked at again before reading on: a file that was written anew is no continuation."""


class Growing:
    """One file of a run, which may not exist yet. `poll` looks whether it grew."""

    def __init__(self, job: Job, signatures: Sequence[Signature] = (), strict: bool = False) -> None:
        self.job = job
        self._signatures = tuple(signatures)
        self._strict = strict
        self._fd = -1
        self._text: GrowingText | None = None
        self._state: tuple[int, int, int, int] | None = None
        self._whole: tuple[tuple[int, int, int, int] | None, Collected | UnreadableError] | None = None
        self._tail = b""
        self._changes = 0
        self.moved_to = ""
        """Where the file that stood here before lies now, once: the log was rotated."""
        self.restarts = 0
        """How often the file began anew: rotated, truncated, replaced."""

    @property
    def path(self) -> str:
        """The file's path."""
        return self.job.path

    @property
    def exists(self) -> bool:
        """Whether the file was ever seen."""
        return self._state is not None

    @property
    def size(self) -> int:
        """Its bytes when it was last looked at."""
        return self._state[2] if self._state else 0

    @property
    def beats(self) -> int:
        """Signs of progress that were read: rows and counts of bars; of a file that is read whole, its changes."""
        return self._text.beats if self._text is not None else self._changes

    @property
    def alarms(self) -> int:
        """Records that should be judged at once, so far."""
        return self._text.alarms if self._text is not None else 0

    @property
    def has_half_said(self) -> bool:
        """Whether the text ends in what would be a sign of failure if nothing more came."""
        return self._text is not None and self._text.has_half_said

    @property
    def behind(self) -> int:
        """Bytes that stand in the file and were not read yet."""
        return max(0, self.size - self._text.offset) if self._text else 0

    @property
    def is_thinned(self) -> bool:
        """Whether the middle of a very long log was dropped: `final` reads such a file again."""
        return self._text is not None and self._text.is_thinned

    def poll(self) -> bool:
        """Looks at the file and reads what is new, one piece at most; whether anything changed."""
        try:
            now = os.stat(self.path)
        except OSError:  # not there (yet), moved away, or a network file system that is not answering
            return self._read_piece()
        state = (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns)
        if self._state is not None and self._is_another(state):
            if state[:2] != self._state[:2] and self._read_piece():  # the rest of the file that stood here
                return True
            self._begin_anew(state)
        changed = state != self._state
        self._state = state
        if self._text is None and changed:
            self._changes += 1
            self._decide()
        return self._read_piece() or (changed and self._text is None)

    def part(self, is_over: bool = False) -> Collected | UnreadableError:
        """What was found so far. `is_over`: nothing more will come, so what is half said counts as it stands."""
        if self._text is not None:
            return self._text.now(is_over)
        if self._whole is None or self._whole[0] != self._state:
            self._whole = (self._state, read_job(self.job, self._signatures, self._strict))
        return self._whole[1]

    def final(self) -> Collected | UnreadableError:
        """What `read` gives of the finished file; nothing more is read afterwards."""
        while self.poll():
            pass
        if self._text is None or self._text.is_thinned or self._kind() != "text":
            return read_job(self.job, self._signatures, self._strict)
        return self._text.finish()

    def text(self, line: int) -> str:
        """A line's text, '' where it cannot be read."""
        return self._text.text(self._fd, line) if self._text is not None else ""

    def close(self) -> None:
        """Lets go of the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _is_another(self, state: tuple[int, int, int, int]) -> bool:
        """Whether the path names another file than before, or the same one written anew."""
        assert self._state is not None
        if self._text is None:
            return state[:2] != self._state[:2] or state[2] < self._state[2]
        if state[:2] != self._state[:2] or state[2] < self._text.offset:
            return True
        if state == self._state or not self._tail:
            return False
        with contextlib.suppress(OSError):
            return os.pread(self._fd, len(self._tail), self._text.offset - len(self._tail)) != self._tail
        return False

    def _begin_anew(self, state: tuple[int, int, int, int]) -> None:
        assert self._state is not None
        self.restarts += 1
        if self._text is not None and state[:2] != self._state[:2]:
            self.moved_to = _sibling(self.path, self._state[:2])
        self.close()
        self._text, self._state, self._whole, self._tail = None, None, None, b""

    def _decide(self) -> None:
        """Opens the file for reading piece by piece where it is a text log that is long enough to tell."""
        if self.size < HEAD or self._kind() != "text":
            return
        try:
            self._fd = os.open(self.path, os.O_RDONLY)
        except OSError:
            return
        self._text = GrowingText(self.job, make_router(self._signatures), self._strict)

    def _kind(self) -> str:
        """What the finished file's reader would see: text, binary or a file of a format of its own."""
        try:
            with open(self.path, "rb") as file:
                first = file.read(HEAD)
        except OSError:
            return "text" if self._text is not None else "unreadable"
        if is_compressed(first) or file_format(Path(self.path), first) is not None:
            return "whole"
        return "binary" if is_binary(first) else "text"

    def _read_piece(self) -> bool:
        if self._text is None:
            return False
        try:
            data = os.pread(self._fd, PIECE, self._text.offset)
        except OSError:  # a network file system that forgot the file: opened again at the next look
            return False
        if data:
            self._text.feed(data)
            self._tail = (self._tail + data)[-PRINT:] if len(data) < PRINT else data[-PRINT:]
        return bool(data)


def _sibling(path: str, identity: tuple[int, int]) -> str:
    """The file beside `path` that has this (device, inode), '' where there is none: where log rotation moved it."""
    folder, name = os.path.split(path)
    try:
        entries = [entry.name for entry in os.scandir(folder or ".") if entry.name.startswith(name) and entry.name != name]
    except OSError:
        return ""
    for entry in sorted(entries):
        place = os.path.join(folder, entry)
        with contextlib.suppress(OSError):
            found = os.stat(place)
            if (found.st_dev, found.st_ino) == identity:
                return place
    return ""
