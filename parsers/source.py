r"""Bytes of a path, a stream or standard input → blocks of whole fragments, decoded on demand.

A *fragment* is what stands between two line breaks (`\n`, `\r\n`) or carriage returns (`\r`, a progress bar's
redraw). Blocks end between fragments, so that readers never see half of one and any chunking gives the same run.
Memory is bounded by the block and by `MAX_FRAGMENT`: of a longer fragment only the beginning is looked at.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import hashlib
import lzma
import os
import re
import stat
import sys
import zlib
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from parsers.container_lines import ENOUGH, Joiner, is_container_log
from parsers.model import MAX_TEXT, SourceRef
from parsers.pipe import Pipe

BLOCK: Final = 2 * 2**20
"""Bytes read at a time: 2 MB stays in the cache and was the fastest of 0.5–16 MB when measured."""

SMALL: Final = 2**16
"""Bytes read at a time at least, however small a file was when it was opened."""

MAX_FRAGMENT: Final = 2**20
"""Longest fragment that is looked at; the rest of a longer one is passed over."""

MAX_EXPANDED: Final = 200 * 2**30
MAX_RATIO: Final = 500
"""A compressed file that grows more than this is a bomb: real logs of progress bars reach about 300."""

MAX_HOLE: Final = 2**30
"""NULs at the start of a file that are passed over in search of text."""

STDIN: Final = "-"


class UnreadableError(Exception):
    """A path cannot be read as a log; the text is one sentence that says what to do."""


@dataclass(slots=True)
class Block:
    """Whole fragments of a text: `data` in UTF-8 (errors kept as they are), `line` the number of its first line."""

    data: bytes
    line: int
    feeds: int = -1
    """Line feeds in `data`, where whoever read it has counted them."""
    offset: int = -1
    """Where `data` begins in the file, where its bytes stand there as they are."""


class Ends:
    """The first and the last blocks of a text that had to be decompressed: most cited lines stand there."""

    def __init__(self) -> None:
        self._first: Block | None = None
        self._last: deque[Block] = deque(maxlen=2)

    def add(self, block: Block) -> None:
        """One more block."""
        self._first = self._first or block
        self._last.append(block)

    def texts(self, numbers: Sequence[int]) -> dict[int, bytes]:
        """Those of these lines that stand whole in them, of a text that was read to its end."""
        found: dict[int, bytes] = {}
        if self._first is None:
            return found
        tail = list(self._last)
        if len(tail) > 1 and tail[0].line + tail[0].data.count(b"\n") != tail[1].line:  # something between was left out
            del tail[0]
        for blocks, is_end in ((tail, True), ([self._first], False)):
            first, lines = blocks[0].line, b"".join(block.data for block in blocks).split(b"\n")
            start = first + (blocks[0] is not self._first)  # where a block begins a line may go on
            stop = first + len(lines) - (not is_end or not lines[-1])
            found |= {number: lines[number - first] for number in numbers if start <= number < stop}
        return found


class Meter:
    """What passed through: bytes as stored, their digest, and lines."""

    def __init__(self) -> None:
        self.bytes = 0
        self.lines = 0
        self.marks = Marks(array("q"), array("q"))
        self.ends = Ends()
        self._hash = hashlib.sha256()

    def add(self, data: bytes) -> None:
        """Counts bytes as they are stored on disk (compressed where the file is)."""
        self.bytes += len(data)
        self._hash.update(data)

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of everything added so far."""
        return "sha256:" + self._hash.hexdigest()


class _Metered:
    """A raw file that tells its meter what is read; decompressors read through it."""

    def __init__(self, raw: BinaryIO, meter: Meter) -> None:
        self._raw = raw
        self._meter = meter

    def read(self, size: int = -1) -> bytes:
        data = self._raw.read(size)
        self._meter.add(data)
        return data

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return False

    def writable(self) -> bool:
        return False

    @property
    def closed(self) -> bool:
        return False

    def close(self) -> None:
        self._raw.close()

    def flush(self) -> None:
        """Nothing to flush: read only."""


class _Zstd:
    """Frames of zstd one after the other; a cut one ends in EOFError, as gzip's does (the library's own reader is silent)."""

    STEP: Final = 2048  # stored bytes at a time: what a bomb makes of them is small (64 MB at the very most)

    def __init__(self, raw: BinaryIO) -> None:
        import zstandard

        self._raw = raw
        self._begin = zstandard.ZstdDecompressor().decompressobj
        self._frame = self._begin()
        self._is_begun = False
        self._ready = memoryview(b"")

    def read1(self, size: int) -> bytes:
        """At most `size` bytes, b'' only at the end."""
        while not self._ready:
            more = self._more()
            if more is None:
                if self._is_begun:
                    raise EOFError("Compressed file ended before the end of its last frame")
                return b""
            self._ready = memoryview(more)
        data, self._ready = self._ready[:size], self._ready[size:]
        return data.tobytes()

    def _more(self) -> bytes | None:
        """What the next stored bytes expand to, None where there are none."""
        stored = b""
        if self._frame.eof:
            stored, self._frame, self._is_begun = self._frame.unused_data, self._begin(), False
        stored = stored or self._raw.read(self.STEP)
        if not stored:
            return None
        data = self._frame.decompress(stored)
        self._is_begun = not self._frame.eof
        return data


class _Patient:
    """A decompressor's stream that gives all that was made before it broke off; the error comes with the next `read`."""

    STEP: Final = 2**17  # bytes that one `read1` makes: as fast as whole blocks, and an error costs none of those before

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._error: Exception | None = None

    def read(self, size: int = -1) -> bytes:
        """`size` bytes (all where it is negative), less only at the end or before the damage. Raises what `read1` raised."""
        if self._error is not None:
            raise self._error
        wanted = size if size >= 0 else sys.maxsize
        parts: list[bytes] = []
        while wanted > 0:
            try:
                part = self._stream.read1(min(wanted, self.STEP))
            except Exception as error:  # whatever it is, it is raised: now or with the next read
                if not parts:
                    raise
                self._error = error
                break
            if not part:
                break
            parts.append(part)
            wanted -= len(part)
        return b"".join(parts)


def _gunzip(raw: BinaryIO) -> BinaryIO:
    """gzip's reader, three times as fast where `isal` is installed."""
    try:
        from isal.igzip import IGzipFile
    except ImportError:
        return gzip.GzipFile(fileobj=raw, mode="rb")  # type: ignore[return-value]
    return IGzipFile(fileobj=raw, mode="rb")  # type: ignore[no-untyped-call, return-value]


def _is_damage(error: Exception) -> bool:
    """Whether a decompressor's library says so of its bytes, without importing it for plain files."""
    return type(error).__module__.partition(".")[0] in ("zstandard", "igzip_lib", "isal")


_DECOMPRESSORS: Final[dict[bytes, Callable[[BinaryIO], BinaryIO]]] = {
    b"\x1f\x8b": _gunzip,
    b"\x28\xb5\x2f\xfd": lambda raw: _Zstd(raw),  # type: ignore[dict-item, return-value]
    b"\xfd7zXZ\x00": lambda raw: lzma.LZMAFile(raw),  # type: ignore[dict-item, return-value]  # noqa: SIM115
    b"BZh": lambda raw: bz2.BZ2File(raw),  # type: ignore[dict-item, return-value]
}


class _Pushback:
    """A raw stream whose first bytes were looked at and are given again."""

    def __init__(self, raw: _Metered, head: bytes) -> None:
        self._raw = raw
        self._head = head

    def read(self, size: int = -1) -> bytes:
        if not self._head:
            return self._raw.read(size)
        data, self._head = self._head, b""
        if size < 0:
            return data + self._raw.read()
        self._head = data[size:]
        return data[:size] + self._raw.read(size - len(data)) if len(data) < size else data[:size]

    def readinto(self, buffer: bytearray) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def __getattr__(self, name: str) -> object:
        return getattr(self._raw, name)


def head(path: str | Path, size: int = 4096) -> bytes:
    """The first bytes of a file as they come out of its decompressor, those before the damage where it is broken.

    Those behind the hole where it begins with one: a log cut by `logrotate copytruncate` under its writer begins with NULs.
    Raises UnreadableError where the path cannot be opened.
    """
    with ExitStack() as stack:
        stream, data = _open(path, Meter(), stack), b""
        try:
            while len(data) < size and (more := stream.read(size - len(data))):
                data += more  # a stream may give less than was asked for
            return data if data.strip(b"\0") else _behind_hole(stream, data)[:size]
        except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError):
            return data
        except Exception as error:
            if _is_damage(error):
                return data
            raise


def _behind_hole(stream: BinaryIO, hole: bytes) -> bytes:
    """What follows NULs, as far as one read gives it; the hole itself where nothing does."""
    passed = len(hole)
    while passed < MAX_HOLE and (more := stream.read(2**20)):
        if solid := more.lstrip(b"\0"):
            return solid
        passed += len(more)
    return hole


def _open(path: str | Path, meter: Meter, stack: ExitStack) -> BinaryIO:
    if str(path) == STDIN:
        if sys.stdin is None:  # closed by `<&-`
            raise UnreadableError("standard input is closed: name a log file, or pipe one in.")
        raw: BinaryIO = sys.stdin.buffer
    else:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise UnreadableError(f"{path} is not a regular file: name a log file or a directory of one run.")
            raw = open(path, "rb")  # noqa: SIM115 - closed by the stack
            stack.callback(raw.close)
        except FileNotFoundError:
            raise UnreadableError(f"{path} does not exist: check the path.") from None
        except OSError as error:
            raise UnreadableError(f"{path} cannot be read ({error.strerror}): check its permissions.") from None
    metered = _Metered(raw, meter)
    try:
        first = metered.read(6)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read ({error.strerror}): check the disk.") from None
    whole = _Pushback(metered, first)
    for magic, decompress in _DECOMPRESSORS.items():
        if first.startswith(magic):
            return _Patient(decompress(whole))  # type: ignore[arg-type, return-value]
    return whole  # type: ignore[return-value]


class Cutter:
    """Cuts a stream of bytes into blocks of whole fragments; feed it any chunks, the fragments are the same."""

    def __init__(self) -> None:
        self._rest = b""
        self._line = 1
        self._is_skipping = False
        self._is_whole = True
        self._first: bytes | None = b""
        self._joiner: Joiner | None = None
        self._fed = 0
        self.origin: int | None = None
        """Where in its file the first byte that is fed stands, if all of them follow it there."""

    def feed(self, data: bytes) -> Iterator[Block]:
        """The whole fragments that `data` completes, at most one block (and what was kept of the beginning)."""
        if self._first is not None:
            data = self._first + data
            if len(data) < ENOUGH and b"\n" not in data:
                self._first = data
                return
            self._begin(data)
        yield from self._fragments(self._joiner.feed(data) if self._joiner else data)

    def _begin(self, data: bytes) -> None:
        """Decides by a text's first bytes whether a container runtime may have cut its lines."""
        self._first = None
        self._joiner = Joiner(MAX_FRAGMENT) if is_container_log(data) else None

    def _fragments(self, data: bytes) -> Iterator[Block]:
        offset = self._fed - len(self._rest)
        self._fed += len(data)
        end = _last_break(data)
        if end:  # the usual case: every byte is copied once
            whole, self._rest = b"".join((self._rest, memoryview(data)[:end])), data[end:]
        else:
            data = self._rest + data
            end = _last_break(data)
            whole, self._rest = data[:end], data[end:]
        if whole:
            yield from self._block(whole, offset)
        if len(self._rest) > MAX_FRAGMENT:
            if not self._is_skipping:
                yield from self._block(self._rest[:MAX_FRAGMENT], offset + len(whole))
                self._is_skipping = True
            # Only a trailing CR has to be kept: it may be the first half of CRLF.
            self._rest = b"\r" if self._rest.endswith(b"\r") else b""

    def close(self) -> Iterator[Block]:
        """What is left after the last line break."""
        if self._first:
            data = self._first
            self._begin(data)
            yield from self._fragments(self._joiner.feed(data) if self._joiner else data)
        if self._joiner:
            yield from self._fragments(self._joiner.close())
        rest, self._rest = self._rest, b""
        if rest:
            yield from self._block(rest, self._fed - len(rest))

    @property
    def lines(self) -> int:
        """Lines completed so far; a last line without a line feed is counted by `close`'s caller."""
        return self._line - 1

    @property
    def pending(self) -> int:
        """Bytes that were fed and wait for the end of their fragment."""
        return len(self._rest) + len(self._first or b"") + (self._joiner.held if self._joiner else 0)

    @property
    def is_at_line_start(self) -> bool:
        """Whether what is pending begins a line (and is not the rest of one that was cut, or follows a carriage return)."""
        return self._is_whole

    def _block(self, data: bytes, offset: int) -> Iterator[Block]:
        if self._is_skipping:
            start = _first_break(data)
            if start < 0:
                return
            self._is_skipping = False
            self._line += data.count(b"\n", 0, start)
            data, offset = data[start:], offset + start
        if data:
            self._is_whole = data.endswith(b"\n")
            is_there = self.origin is not None and self._joiner is None
            block = Block(data, self._line, offset=offset + (self.origin or 0) if is_there else -1)
            yield block
            self._line += data.count(b"\n") if block.feeds < 0 else block.feeds


def _last_break(data: bytes) -> int:
    """The end of the last whole fragment. A CR at the very end may be half of CRLF, so it waits."""
    feed = data.rfind(b"\n") + 1
    carriage = data.rfind(b"\r", feed, len(data) - 1) + 1
    return max(feed, carriage)


def _first_break(data: bytes) -> int:
    ends = [i for i in (data.find(b"\n"), data.find(b"\r")) if i >= 0]
    return min(ends) + 1 if ends else -1


def decoder(first: bytes) -> codecs.IncrementalDecoder | None:
    """A decoder for UTF-16/32 text, or None where the bytes are UTF-8 (or near enough) already."""
    for mark, name in (
        (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
    ):  # fmt: skip
        if first.startswith(mark):
            return codecs.getincrementaldecoder(name)("replace")
    sample = first[:512]
    if len(sample) >= 8:  # UTF-16 without a mark: every second byte of ASCII text is NUL
        odd, even = sample[1::2].count(0) / (len(sample) // 2), sample[0::2].count(0) / (len(sample) // 2)
        if odd > 0.7 and even < 0.1:
            return codecs.getincrementaldecoder("utf-16-le")("replace")
        if even > 0.7 and odd < 0.1:
            return codecs.getincrementaldecoder("utf-16-be")("replace")
    return None


def blocks(path: str | Path, meter: Meter | None = None, size: int = BLOCK, is_ahead: bool = False) -> Iterator[Block]:
    """The blocks of a text file, decompressed and in UTF-8. `is_ahead`: a thread reads on meanwhile.

    Raises UnreadableError where it cannot be opened or is not what it says it is; what was read before stays read:
    a truncated archive yields what it held and then raises.
    """
    meter = meter or Meter()
    cutter = Cutter()
    with ExitStack() as stack:
        stream = _open(path, meter, stack)
        is_packed = isinstance(stream, _Patient)
        if isinstance(stream, _Pushback) and str(path) != STDIN:
            size = min(size, max(os.stat(path).st_size + 1, SMALL))  # room for a block costs more than a small log's lines
        chunks = iter(partial(stream.read, size), b"")
        if is_ahead:
            chunks = Pipe(chunks)
            stack.callback(chunks.close)
        expanded = 0
        decode: codecs.IncrementalDecoder | None = None
        is_first = True
        while True:
            try:
                chunk = next(chunks, b"")
            except (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError) as error:
                yield from finish(cutter, meter)
                raise UnreadableError(f"{path} breaks off or is damaged ({error}): only what came before was read.") from None
            except Exception as error:
                if not _is_damage(error):
                    raise
                yield from finish(cutter, meter)
                raise UnreadableError(f"{path} breaks off or is damaged ({error}): only what came before was read.") from None
            if not chunk:
                break
            expanded += len(chunk)
            if expanded > MAX_EXPANDED or expanded > max(meter.bytes, 2**16) * MAX_RATIO:
                yield from finish(cutter, meter)
                raise UnreadableError(f"{path} expands beyond all measure: decompress it yourself if it is no bomb.")
            if is_first:
                is_first = False
                decode = decoder(chunk)
                is_there = isinstance(stream, _Pushback) and not decode and str(path) != STDIN
                cutter.origin = 0 if is_there else None
                if chunk.startswith(codecs.BOM_UTF8):
                    chunk = chunk[3:]
                    cutter.origin = 3 if is_there else None
            if decode:
                chunk = decode.decode(chunk).lstrip("\ufeff").encode("utf-8", "replace")
            for block in cutter.feed(chunk):
                if is_packed:
                    meter.ends.add(block)
                if block.offset >= 0:
                    meter.marks.lines.append(block.line)
                    meter.marks.offsets.append(block.offset)
                yield block
            meter.lines = cutter.lines
        for block in finish(cutter, meter):
            if is_packed:
                meter.ends.add(block)
            yield block


def finish(cutter: Cutter, meter: Meter) -> Iterator[Block]:
    """The last block of a text, and the count of its lines in `meter`."""
    for block in cutter.close():
        yield block
        if not block.data.endswith(b"\n"):
            meter.lines = block.line + block.data.count(b"\n")
    meter.lines = max(meter.lines, cutter.lines)


def is_compressed(first: bytes) -> bool:
    """Whether a file that begins with these bytes is an archive that is read through a decompressor."""
    return any(first.startswith(magic) for magic in _DECOMPRESSORS)


_CONTROLS: Final = bytes(byte for byte in range(32) if byte not in (7, 8, 9, 10, 11, 12, 13, 27))


def is_binary(first: bytes) -> bool:
    """Whether these first bytes are no text: NULs that are no UTF-16 and no holes, or many control characters."""
    if not first or decoder(first):
        return False
    solid = first.replace(b"\0", b"")
    if not solid:
        return True
    controls = len(solid) - len(solid.translate(None, _CONTROLS))
    return controls > 0.05 * len(solid) or (len(solid) < 0.5 * len(first) and b"\n" not in solid)


def quote(refs: Iterable[SourceRef], around: int = 0) -> tuple[dict[SourceRef, SourceRef], dict[tuple[str, int], str]]:
    """Reads the cited lines again and returns (ref → ref with its text, (file, line) → text of lines around).

    Only refs without a text are filled in. A file that cannot be read again (standard input, gone) yields nothing:
    the caller keeps what it has. One pass over each file, stopping after its last cited line.
    """
    wanted: dict[str, set[int]] = {}
    refs = tuple(refs)
    for ref in refs:
        if ref.file != STDIN and (around or not ref.text):
            lines = wanted.setdefault(ref.file, set())
            lines.update(range(max(1, ref.line - around), ref.line + around + 1))
    texts: dict[tuple[str, int], str] = {}
    for file in sorted(wanted):
        try:
            for number, text in _lines(file, sorted(wanted[file])):
                texts[file, number] = text
        except UnreadableError:
            continue
    filled = {ref: replace(ref, text=texts.get((ref.file, ref.line), "")[:MAX_TEXT]) for ref in refs if not ref.text}
    return filled, texts


def _lines(file: str, numbers: Sequence[int]) -> Iterator[tuple[int, str]]:
    stamp, ends = _ENDS.get(file, (None, None))
    known = ends.texts(numbers) if ends and stamp == _stamp(file) else {}
    yield from ((number, shown(text)) for number, text in known.items())
    pending = [number for number in reversed(numbers) if number not in known]
    if not pending:
        return
    carry = b""
    for block in _coarse_blocks(file, pending) or blocks(file):
        if not pending:
            return
        first = block.line
        if block.feeds < 0:
            block.feeds = block.data.count(b"\n")  # `blocks` need not count them again
        last = first + block.feeds
        if pending[-1] > last:
            carry = b""
            continue
        lines = (carry + block.data).split(b"\n")
        while pending and pending[-1] < last:
            yield pending[-1], shown(lines[pending.pop() - first])
        carry = lines[-1][-_CARRY:] if pending and pending[-1] == last else b""
    if pending and carry:
        yield pending[-1], shown(carry)


def _coarse_blocks(file: str, pending: Sequence[int]) -> Iterator[Block] | None:
    """The pieces of a file as they are, cut behind line feeds; None where its text must be made first, or has endless lines.

    Pieces before the last of the `pending` lines may be left out.
    """
    try:
        with Path(file).open("rb") as stream:
            first = stream.read(BLOCK)
    except OSError:
        return None
    is_made = is_compressed(first) or decoder(first) or first.startswith(codecs.BOM_UTF8) or is_container_log(first)
    return None if is_made or b"\n" not in first[: 2**16] else _pieces(file, pending)


def _pieces(file: str, pending: Sequence[int]) -> Iterator[Block]:
    line, rest = 1, b""
    marks = _marks_of(file)
    with Path(file).open("rb") as stream:
        while True:
            at = bisect_left(marks.lines, pending[-1]) - 1 if marks and pending else -1
            if marks and at >= 0 and marks.offsets[at] > stream.tell() - len(rest):
                stream.seek(marks.offsets[at])
                line, rest = marks.lines[at], b""
            data = stream.read(BLOCK)
            if not data:
                break
            end = data.rfind(b"\n") + 1
            if not end and len(rest) < MAX_FRAGMENT:
                rest += data
                continue
            block = Block(rest + data[:end], line, data.count(b"\n", 0, end))
            yield block
            line, rest = line + block.feeds, data[end:]
    if rest:
        yield Block(rest, line)


class Marks(NamedTuple):
    """The lines with which blocks of a file begin, and where they stand in it."""

    lines: array[int]
    offsets: array[int]


_KNOWN: Final[dict[str, tuple[tuple[int, int], Marks]]] = {}
"""File → (its size and time, marks), of the last that were read: a line of a large one is found without counting those before."""
_ENDS: Final[dict[str, tuple[tuple[int, int], Ends]]] = {}
"""The same of the last file that was read, with its ends."""
_MAX_KNOWN: Final = 16
_MANY_MARKS: Final = 8


def remember(path: str, meter: Meter) -> None:
    """Keeps the marks of a file that was read to its end, for `quote`."""
    stamp = _stamp(path)
    if stamp and stamp[0] == meter.bytes:
        _ENDS.clear()
        _ENDS[path] = stamp, meter.ends
    if len(meter.marks.lines) < _MANY_MARKS:
        return
    if stamp and stamp[0] == meter.bytes:
        _KNOWN.pop(path, None)
        while len(_KNOWN) >= _MAX_KNOWN:
            del _KNOWN[next(iter(_KNOWN))]
        _KNOWN[path] = stamp, meter.marks


def _marks_of(path: str) -> Marks | None:
    stamp, marks = _KNOWN.get(path, (None, None))
    return marks if stamp is not None and stamp == _stamp(path) else None


def _stamp(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns


_CARRY: Final = 2**16
_BAR: Final = b"%|"
_ANSI = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07")


def shown(line: bytes) -> str:
    """What a reader of a line wants to see: its last fragment that is no progress bar, without escapes and blanks."""
    fragments = [part for part in _ANSI.sub(b"", line[-_CARRY:].replace(b"\0", b"")).split(b"\r") if part.strip()]
    if not fragments:
        return ""
    text = next((part for part in reversed(fragments) if _BAR not in part), fragments[-1])
    return text.decode("utf-8", "replace").rstrip()
