"""`read(paths)` → `Run`: every file to its readers, everything that they found to one run."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

from parsers import kinds, registry
from parsers.assemble import assemble
from parsers.model import Columns, Event, Fact, Problem, Record, Row, Run, SourceFile, SourceRef, Tick
from parsers.registry import FileFormat, Router, Scanner, TextFormat
from parsers.signature import Signature, signature_format
from parsers.source import STDIN, Meter, UnreadableError, blocks, head, is_binary
from parsers.table import Tables

MAX_EVENTS: Final = 400
"""First events of one kind that are kept per file; the rest is counted: 10,000 equal warnings add no evidence."""

MAX_LATE: Final = 200
"""Last events of one kind that are kept beside them: thousands of caught exceptions must not hide the one that was not."""


@dataclass
class Collected:
    """What the readers of one run have found so far."""

    files: list[SourceFile] = field(default_factory=list)
    readers: set[str] = field(default_factory=set)
    tables: list[Tables] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    late: dict[str, deque[Event]] = field(default_factory=dict)
    begun: int = 0
    """Events before this one belong to files that are done."""

    def end_file(self) -> None:
        """Puts the events of the file that was read last into the order of its lines."""
        own = [*self.events[self.begun :], *(event for events in self.late.values() for event in events)]
        self.events[self.begun :] = sorted(own, key=lambda event: event.ref.line)
        self.begun = len(self.events)
        self.late.clear()

    def add(self, tables: Tables, reader: str, record: Record, counts: Counter[str], is_text: bool) -> None:
        """Files one record."""
        if isinstance(record, Row | Columns | Tick):
            tables.add(reader, record, is_text)
            return
        if isinstance(record, Problem):
            self.problems.append(record)
            return
        if isinstance(record, Fact):
            self.facts.append(record)
            self.readers.add(reader)
            return
        if record.kind == kinds.RUN_START:
            tables.mark_start()
        counts[record.kind] += 1
        if counts[record.kind] <= MAX_EVENTS or record.kind in _ALWAYS_KEPT:
            self.events.append(record)
        else:
            self.late.setdefault(record.kind, deque(maxlen=MAX_LATE)).append(record)
        if record.kind not in (kinds.SIGNATURE, kinds.WARNING):
            self.readers.add(reader)


_ALWAYS_KEPT: Final = frozenset({kinds.RUN_START, kinds.RUN_END, kinds.SCALE_MINIMUM})


def read(
    paths: Sequence[str | Path], signatures: Sequence[Signature] = (), facts: Sequence[Fact] = (), strict: bool = False
) -> Run:
    """Reads the files of one run.

    `signatures`: patterns the caller wants to know about, reported as `signature` events. `facts`: what the user
    states. `strict` re-raises what a reader of ours raises. Raises UnreadableError where no file can be opened;
    a file that breaks off is a Problem.
    """
    collected = Collected(facts=list(facts))
    errors: list[UnreadableError] = []
    router = make_router(tuple(signatures))
    for path in paths:
        try:
            _read_file(path, router, collected, strict)
        except UnreadableError as error:
            errors.append(error)
    if errors and not collected.files:
        raise errors[0]
    for lost in errors:
        collected.problems.append(Problem(SourceRef(str(lost).split(" ", 1)[0], 0), "source", str(lost)))
    return assemble(
        str(paths[0]) if len(paths) == 1 else _common(paths), collected.files, collected.readers, collected.tables,
        collected.events, collected.facts, collected.problems, collected.failures,
    )  # fmt: skip


@lru_cache(maxsize=4)
def make_router(signatures: tuple[Signature, ...] = ()) -> Router:
    """The automaton over all text readers' hints and the signatures'; kept, as a scan asks for the same one every time."""
    formats: list[TextFormat] = list(registry.text_formats())
    if signatures:
        formats.append(signature_format(signatures))
    return Router(formats)


def _common(paths: Sequence[str | Path]) -> str:
    import os.path

    try:
        return os.path.commonpath([str(path) for path in paths]) or "."
    except ValueError:
        return str(paths[0])


def _read_file(path: str | Path, router: Router, collected: Collected, strict: bool) -> None:
    first = b"" if str(path) == STDIN else head(path)
    form = None if str(path) == STDIN else file_format(Path(path), first)
    if form is not None:
        _read_whole(Path(path), form, collected, strict)
    elif is_binary(first):
        raise UnreadableError(f"{path} is a binary file of no known kind: name a text log, an event file or a run's folder.")
    else:
        _read_text(path, router, collected, strict)


def file_format(path: Path, first: bytes) -> FileFormat | None:
    """The whole-file reader that knows this file, if any; fallbacks are asked last."""
    forms = sorted(registry.file_formats(), key=lambda form: form.is_fallback)
    return next((form for form in forms if form.matches(path, first)), None)


def _read_text(path: str | Path, router: Router, collected: Collected, strict: bool) -> None:
    meter, name = Meter(), str(path)
    scanner = Scanner(router, name, strict)
    tables = Tables(name)
    try:
        for reader, record, counts in _text_records(path, meter, scanner):
            collected.add(tables, reader, record, counts, is_text=True)
    except UnreadableError as error:
        if not meter.bytes or (not tables.by_key and not collected.events):
            raise
        collected.problems.append(Problem(SourceRef(name, meter.lines), "source", str(error)))
    tables.drop_fallbacks({form.name for form in router.formats if form.is_fallback})
    collected.end_file()
    collected.readers |= tables.readers
    collected.failures += scanner.failures
    collected.tables.append(tables)
    collected.files.append(SourceFile(name, meter.bytes, meter.lines, meter.digest))


def _text_records(path: str | Path, meter: Meter, scanner: Scanner) -> Iterator[tuple[str, Record, Counter[str]]]:
    counts: Counter[str] = Counter()
    is_first = str(path) == STDIN
    for block in blocks(path, meter):
        if is_first and is_binary(block.data[:4096]):
            raise UnreadableError("standard input is binary of no known kind: pipe a text log into it.")
        is_first = False
        for reader, record in scanner.feed(block):
            yield reader, record, counts
    for reader, record in scanner.close():
        yield reader, record, counts


def _read_whole(path: Path, form: FileFormat, collected: Collected, strict: bool) -> None:
    import hashlib

    tables = Tables(str(path))
    counts: Counter[str] = Counter()
    try:
        for record in form.read(path):
            collected.add(tables, form.name, record, counts, is_text=not form.is_binary)
    except (OSError, UnreadableError) as error:
        collected.problems.append(Problem(SourceRef(str(path), 0), form.name, str(error)))
    except Exception as error:
        if strict:
            raise
        collected.failures.append((form.name, f"{path}: {type(error).__name__}: {error}"))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(path)
    size = path.stat().st_size
    lines = 0 if form.is_binary else _count_lines(path)
    collected.end_file()
    collected.readers |= tables.readers
    collected.tables.append(tables)
    collected.files.append(SourceFile(str(path), size, lines, f"sha256:{digest}"))


def _digest(path: Path) -> str:
    import hashlib

    found = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            found.update(chunk)
    return found.hexdigest()


def _count_lines(path: Path) -> int:
    total, last = 0, b"\n"
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            total += chunk.count(b"\n")
            last = chunk[-1:]
    return total + (last != b"\n")


__all__ = ["Signature", "UnreadableError", "file_format", "make_router", "read"]
