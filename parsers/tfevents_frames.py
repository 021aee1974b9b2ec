"""Where the records of an event file begin and end, whatever state the file is in.

TFRecord framing, little endian: uint64 length, masked CRC-32C of these eight bytes, payload, masked CRC-32C of the
payload. The file is read in windows (a mapping would die with its writer when the file shrinks). A length is believed
only when its CRC is right and so many bytes are there; otherwise the next place at which a believable length stands
is looked for, and what lies between is reported. Payloads' own CRCs are for the caller to check.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from functools import cache
from typing import BinaryIO, Final, NamedTuple

from parsers.tfevents_crc import Checksum, crc32c, masked

WINDOW: Final = 4 * 2**20
"""Bytes read at a time: what the cache holds."""
MAX_RECORD: Final = 64 * 2**20
"""Longest record that is looked into; of a longer one (an image, a graph) only the checksum is."""
HEADER: Final = 12
FRAME: Final = 16
"""Bytes that a record adds to its payload."""
_MAX_HEADERS: Final = 4096
MAX_LOSSES: Final = 20
MAX_TRIES: Final = 100_000
"""Places that are tried for a header behind damage before the rest is given up: a second's work."""
_ZEROS: Final = re.compile(rb"\0{5,}")
"""The upper five bytes of every believable length (below 16 MB)."""


class Loss(NamedTuple):
    """Something of the file could not be read; `line` is the ordinal of the record, from 1."""

    line: int
    reason: str


def length_of(header: bytes) -> int | None:
    """The payload's length, or None where these twelve bytes are no header."""
    if len(header) < HEADER or masked(crc32c(header[:8])) != int.from_bytes(header[8:12], "little"):
        return None
    return int.from_bytes(header[:8], "little")


@dataclass(slots=True)
class Losses:
    """What could not be read: the first places of the file in words, the rest counted."""

    kept: list[Loss] = field(default_factory=list)
    count: int = 0

    def add(self, line: int, reason: str) -> None:
        """Notes one more."""
        self.count += 1
        self.kept.append(Loss(line, reason))
        if len(self.kept) >= 10 * MAX_LOSSES:
            self.settle()

    def settle(self) -> None:
        """Keeps the first places only, in order: columns do not come in the order of the file."""
        self.kept.sort()
        del self.kept[MAX_LOSSES:]


class Frames(NamedTuple):
    """Whole records of the current window: payload offsets, payload lengths, and the first one's ordinal."""

    starts: list[int]
    lengths: list[int]
    first: int


@dataclass(slots=True)
class Framer:
    """Finds records. `data` is the current window, `at` where the next record begins in it."""

    file: BinaryIO
    checksum: Checksum = crc32c
    """For records that are longer than a window."""
    window: int = WINDOW
    data: bytes = b""
    at: int = 0
    records: int = 0
    losses: Losses = field(default_factory=Losses)
    size: int = 0
    _offset: int = 0
    """Where `data` ends in the file."""
    _tries: int = MAX_TRIES
    _known: dict[bytes, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.size = os.fstat(self.file.fileno()).st_size

    @property
    def place(self) -> int:
        """Where the next record begins in the file."""
        return self._offset - len(self.data) + self.at

    def fill(self, wanted: int = 0) -> bool:
        """Reads on, keeping what has not been consumed; False at the end of the file as it was when it was opened."""
        kept = len(self.data) - self.at
        more = min(max(self.window, wanted), max(0, self.size - self._offset))
        self.file.seek(self.place)
        data = self.file.read(kept + more)  # what is kept is read again: joining the two would copy it all
        if len(data) <= kept:
            return False
        self.data, self.at = data, 0
        self._offset += len(data) - kept
        return True

    def take(self, limit: int) -> Frames:
        """Up to `limit` records of one window; none at the end of the file."""
        frames = Frames([], [], self.records + 1)
        while not frames.starts:
            frames = Frames([], [], self.records + 1)
            self._walk(frames, limit)
            self.records += len(frames.starts)
            if not frames.starts and not self._get_past():
                break
        return frames

    def _walk(self, frames: Frames, limit: int) -> None:
        data, at, end, known = self.data, self.at, len(self.data), self._known
        starts, lengths, _ = frames
        for _ in range(limit):
            head = data[at : at + HEADER]
            length = known.get(head)
            if length is None:
                length = length_of(head)
                if length is None:
                    break
                if len(known) >= _MAX_HEADERS:
                    known.clear()
                known[head] = length
            after = at + FRAME + length
            if after > end:
                break
            starts.append(at + HEADER)
            lengths.append(length)
            at = after
        self.at = at

    def _get_past(self) -> bool:
        """Makes the next record readable: reads on, passes over a giant or a damaged stretch; False at the end."""
        left = self.size - self.place
        if left <= 0:
            return False
        length = length_of(self.data[self.at : self.at + HEADER])
        is_damaged = length is None and len(self.data) - self.at >= HEADER
        if is_damaged or (length is not None and length + FRAME > left):
            return self._resync(length)
        if length is not None and length > MAX_RECORD:
            return self._pass_over(length)
        if self.fill(0 if length is None else length + FRAME):
            return True
        self._lose(f"the file ends within a record: its last {left:,} bytes are missing their end")
        self._stop()
        return False

    def _stop(self) -> None:
        """Nothing more is read."""
        self.data, self.at, self._offset = b"", 0, self.size

    def _lose(self, reason: str) -> None:
        self.records += 1
        self.losses.add(self.records, reason)

    def _pass_over(self, length: int) -> bool:
        """Checks a record that is longer than a window piece by piece, and passes over it."""
        end = self.place + HEADER + length
        self.at += HEADER
        crc = 0
        while self.place < end:
            if self.at >= len(self.data) and not self.fill():
                return False
            piece = self.data[self.at : self.at + end - self.place]
            crc = self.checksum(piece, crc)
            self.at += len(piece)
        while len(self.data) - self.at < 4 and self.fill():
            pass
        stored = int.from_bytes(self.data[self.at : self.at + 4], "little")
        self.at += 4
        self.records += 1
        if masked(crc) != stored:
            self.losses.add(self.records, f"a record of {length:,} bytes fails its checksum")
        return True

    def _resync(self, length: int | None) -> bool:
        """Goes to the next believable header and reports what was passed over."""
        begin, is_found, is_empty = self.place, False, True
        self.at += 1
        while not is_found:
            is_blank = _is_blank(self.data, max(0, self.at - 1))
            is_empty = is_empty and is_blank
            found = None if is_blank else self._next_header()
            is_found = found is not None
            self.at = max(self.at, len(self.data) - HEADER - 8) if found is None else found
            if not is_found and not (self._tries and self.fill()):
                self._stop()
                break
        lost = self.place - begin if is_found else self.size - begin
        if not is_found and length is not None:
            self._lose(f"the file ends within a record of {length:,} bytes: its last {lost:,} bytes are missing their end")
        elif not is_found and is_empty:
            self._lose(f"the file ends in {lost:,} zero bytes: space that was reserved and never written")
        else:
            what = "the length of a record is damaged" if length is None else f"a record claims {length:,} bytes"
            where = "bytes" if is_found else "the rest of the file, bytes"
            self._lose(f"{what}: {where} {begin:,}–{self.place - 1:,} were passed over")
        return is_found

    def _next_header(self) -> int | None:
        """The next position from `at` on at which a header stands whose record fits into the file."""
        data = self.data
        left = self.size - self._offset + len(data)
        for run in _ZEROS.finditer(data, self.at):
            for at in _candidates(run.start(), run.end()):
                if at >= self.at and self._tries:
                    self._tries -= 1
                    length = length_of(data[at : at + HEADER])
                    if length is not None and at + FRAME + length <= left:
                        return at
        return None


@cache
def _blank(size: int) -> bytes:
    return bytes(size)


def _is_blank(data: bytes, at: int) -> bool:
    """Whether nothing but zeros follows: gigabytes may, in a file whose space was reserved."""
    zeros = _blank(WINDOW)
    pieces = range(at, len(data), WINDOW)
    return all(data[start : start + WINDOW] == zeros[: len(data) - start] for start in pieces)


def _candidates(begin: int, end: int) -> list[int]:
    """Where a header may begin whose upper length bytes lie in this run of zeros: near its ends, however long it is."""
    near = set(range(begin - 3, min(begin, end - 8) + 1))
    return sorted(near.union(range(max(begin - 3, end - 12), end - 7)))
