"""Lines that a container runtime cut, put together: `P` marks a piece with more to come, `F` the last one.

    2026-11-24T10:00:01.5Z stderr P  10%|█         | 10/100 [00:01<00:0
    2026-11-24T10:00:01.6Z stderr F 9,  9.8it/s]

containerd and CRI-O cut at 16 KB, which a progress bar without line feeds reaches in seconds. The whole line stands where its
last piece stood, behind the first piece's stamp; each earlier piece leaves an empty line, so that line numbers stay true.
The two streams are put together apart.
"""

from __future__ import annotations

import re
from typing import Final

ENOUGH: Final = 64
"""Bytes of a file's beginning by which it is known to be a container's log."""

_LINE: Final = re.compile(
    rb"(?P<head>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d) (?P<stream>stdout|stderr) )"
    rb"(?P<tag>[PF])(?::\S{0,80})? "
)


def is_container_log(first: bytes) -> bool:
    """Whether a text that begins with these bytes was written by a container runtime."""
    return bool(_LINE.match(first))


class Joiner:
    """Takes the bytes of a container's log in any pieces and gives them with whole lines."""

    def __init__(self, most: int) -> None:
        """`most`: bytes of a line that are kept; what is longer is not looked at anyway."""
        self._most = most
        self._tail = b""
        self._open: dict[bytes, bytes] = {}
        self._owed = 0

    @property
    def held(self) -> int:
        """Bytes that were fed and neither given nor accounted for by an empty line."""
        return len(self._tail) + self._owed

    def feed(self, data: bytes) -> bytes:
        """What the whole lines in `data` say; the rest waits for its line feed."""
        data = self._tail + data
        end = data.rfind(b"\n") + 1
        self._tail = data[end:]
        given = b"".join(self._line(line) for line in data[:end].split(b"\n")[:-1])
        if len(self._tail) > self._most:
            given, self._tail = given + self._break() + self._tail, b""
        return given

    def close(self) -> bytes:
        """What is left: the line that is being written and lines whose last piece never came."""
        last = self._tail
        found = _LINE.match(last)
        if found:
            last = self._piece(found["stream"], found["head"], last[found.end() :])
            del self._open[found["stream"]]
        lost = [text for text in (*self._open.values(), last) if text]
        owed = self._owed and bool(self._tail)
        self._tail, self._open, self._owed = b"", {}, 0
        return (b"\n" if owed else b"") + b"\r".join(lost)

    def _line(self, line: bytes) -> bytes:
        found = _LINE.match(line)
        given = self._break()
        stream, is_last = (found["stream"], found["tag"] == b"F") if found else (b"", False)
        if found is None or (is_last and stream not in self._open):
            return given + line + b"\n"
        text = self._piece(stream, found["head"], line[found.end() :].removesuffix(b"\r"))
        if is_last:
            del self._open[stream]
            return given + text + b"\n"
        self._owed = len(line) + 1
        return given

    def _piece(self, stream: bytes, head: bytes, text: bytes) -> bytes:
        """A stream's line so far, with one piece more."""
        whole = self._open.get(stream) or head + b"F "
        self._open[stream] = whole = whole + text[: max(0, self._most - len(whole))]
        return whole

    def _break(self) -> bytes:
        """The line feed of a piece that was taken in: it waits, as the file may end there."""
        owed, self._owed = self._owed, 0
        return b"\n" if owed else b""
