"""The text of one growing log → its readers, piece by piece; the state that a snapshot is taken of.

Memory stays flat on a day's log, and a judgement quick: beyond `LIVE` rows the older ones are thinned (`is_thinned`, see
`thin.py`), far sooner than those of a finished log; the latest rows stay whole. Judgements of such a log are those of a
live view; the final report reads the file once more.
"""

from __future__ import annotations

import codecs
import copy
import math
import os
from array import array
from bisect import bisect_right
from typing import Final

from parsers import kinds
from parsers.bounds import Bounds
from parsers.collect import Collected
from parsers.model import Event, Record, Row, SourceFile
from parsers.read import Job
from parsers.registry import Router
from parsers.said import Rows
from parsers.scanner import Scanner
from parsers.source import Block, Cutter, Meter, decoder, finish, shown
from parsers.table import Table, Tables
from parsers.thin import Sizes

LIVE: Final = Sizes(rows=20_000, cells=400_000, window=64, near=16, last=2_000, spots=32, buckets=64)
"""What is held of a log that grows: some 3 MB; judging it takes a tenth of a second."""
MARK: Final = 2**18
"""Bytes between two remembered places, so that a line can be quoted without reading the file from its beginning."""
_CALM: Final = frozenset(
    {kinds.RUN_START, kinds.RESUME, kinds.EVALUATION, kinds.CHECKPOINT, kinds.SIGNATURE, kinds.WARNING, kinds.SCALE_UP,
     kinds.NEWLY_INITIALIZED, kinds.PROCESS_OK, kinds.HOST_MEMORY, kinds.CACHE_FLUSH}
)  # fmt: skip


class GrowingText:
    """What the readers have found in a text so far. `feed` takes the file's next bytes."""

    def __init__(self, job: Job, router: Router, strict: bool = False) -> None:
        self._job = job
        self._fallbacks = {form.name for form in router.formats if form.is_fallback}
        self._meter = Meter()
        self._cutter = Cutter()
        self._decode: codecs.IncrementalDecoder | None = None
        self._scanner = Scanner(router, job.path, strict, job.rank)
        self._tables = Tables(job.path)
        self._collected = Collected(job.is_slim)
        self._marks: tuple[array[int], array[int]] = (array("q", [1]), array("q", [0]))
        self._bounds = Bounds(self._collected, self._tables, self._fallbacks, LIVE)
        self.alarms = 0
        """Records so far that should be judged at once: values that are not finite, a loss of 0, skips, failures."""

    @property
    def beats(self) -> int:
        """Signs of progress so far: rows and counts of bars."""
        return self._tables.seq

    @property
    def is_thinned(self) -> bool:
        """Whether older rows were dropped."""
        return self._bounds.is_thinned

    @property
    def offset(self) -> int:
        """Bytes of the file that were read."""
        return self._meter.bytes

    @property
    def has_half_said(self) -> bool:
        """Whether the text ends in what would be a sign of failure if nothing more came: a stack that may go on."""
        return any(is_alarming(record) for _, record in self._scanner.peek(True))

    def feed(self, data: bytes) -> None:
        """The next bytes of the file, in any pieces; the first piece holds at least 512 bytes."""
        if not self._meter.bytes:
            self._decode = decoder(data)
        before = self._meter.bytes
        self._meter.add(data)
        if not before:
            data = data.removeprefix(codecs.BOM_UTF8)
        if self._decode:
            data = self._decode.decode(data).lstrip("\ufeff").encode("utf-8", "replace")
        for block in self._cutter.feed(data):
            self._scan(block)
        self._meter.lines = self._cutter.lines
        self._mark()
        self._bounds.check()

    def now(self, is_over: bool) -> Collected:
        """A copy of what was found so far, as of a file that ends here."""
        collected, tables = self._copy()
        for reader, record in self._scanner.peek(is_over):
            collected.add(tables, reader, record, is_text=True)
        tables.drop_fallbacks(self._fallbacks)
        collected.failures += self._scanner.failures
        digest = self._meter.digest
        collected.end_file(tables, SourceFile(self._job.path, self._meter.bytes, self._cutter.lines, digest), self._job.rank)
        return collected

    def finish(self) -> Collected:
        """What was found in the finished file. The last call."""
        for block in finish(self._cutter, self._meter):
            self._scan(block)
        for reader, record in self._scanner.close():
            self._collected.add(self._tables, reader, record, is_text=True)
        self._tables.drop_fallbacks(self._fallbacks)
        self._collected.failures += self._scanner.failures
        meter = self._meter
        file = SourceFile(self._job.path, meter.bytes, meter.lines, meter.digest)
        self._collected.end_file(self._tables, file, self._job.rank)
        return self._collected

    def text(self, fd: int, line: int) -> str:
        """A line's text, read again; '' where it cannot be found."""
        if self._decode is not None or fd < 0:
            return ""
        at = bisect_right(self._marks[0], line) - 1
        size = (self._marks[1][at + 1] if at + 1 < len(self._marks[1]) else self.offset) - self._marks[1][at] + 2**16
        try:
            data = os.pread(fd, min(size, 2**23), self._marks[1][at])
        except OSError:
            return ""
        lines = data.split(b"\n", line - self._marks[0][at] + 1)
        index = line - self._marks[0][at]
        return shown(lines[index]) if index < len(lines) else ""

    def _scan(self, block: Block) -> None:
        said = self._scanner.feed(block)
        self._collected.add_said(self._tables, said)
        self.alarms += sum(1 for _, _, record in said.singles if is_alarming(record))
        self.alarms += sum(_alarms(part) for _, part in said.many if isinstance(part, Rows))

    def _mark(self) -> None:
        """Remembers where the line that comes next begins."""
        lines, offsets = self._marks
        begin = self._meter.bytes - self._cutter.pending
        if self._cutter.is_at_line_start and begin - offsets[-1] >= MARK:
            lines.append(self._cutter.lines + 1)
            offsets.append(begin)

    def _copy(self) -> tuple[Collected, Tables]:
        """Copies that closing the file and resolving steps may change."""
        collected = copy.copy(self._collected)
        for name in ("files", "tables", "events", "facts", "problems", "failures"):
            setattr(collected, name, list(getattr(self._collected, name)))
        collected.readers, collected.counts = set(self._collected.readers), self._collected.counts.copy()
        collected.late = {kind: copy.copy(events) for kind, events in self._collected.late.items()}
        return collected, copied(self._tables)


def is_alarming(record: Record) -> bool:
    """Whether a record may be the first sign of a failure."""
    if isinstance(record, Row):
        return any(not math.isfinite(value) or (value == 0.0 and "loss" in name) for name, value in record.values)
    return isinstance(record, Event) and record.kind not in _CALM


def _alarms(rows: Rows) -> int:
    """How many of these rows are alarming."""
    named = zip(rows.names, rows.columns, strict=True)
    if all(all(map(math.isfinite, column)) and not ("loss" in name and 0.0 in column) for name, column in named):
        return 0
    return sum(is_alarming(rows.row(index)) for index in range(len(rows.at)))


def copied(tables: Tables) -> Tables:
    """A copy that shares no column."""
    twin = copy.copy(tables)
    twin.ticks, twin.starts, twin.bulk = copy.copy(tables.ticks), list(tables.starts), list(tables.bulk)
    for name in ("seq", "line", "step", "total", "seconds"):
        setattr(twin.ticks, name, getattr(tables.ticks, name)[:])
    twin.by_key = {key: _twin(table) for key, table in tables.by_key.items()}
    return twin


def _twin(table: Table) -> Table:
    twin = copy.copy(table)
    twin.seq, twin.line, twin.step, twin.time = table.seq[:], table.line[:], table.step[:], table.time[:]
    twin.columns = tuple(column[:] for column in table.columns)
    return twin
