"""`read(paths)` → `Run`: every file to its readers, everything that they found to one run."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Final, NamedTuple

from parsers import recent, registry
from parsers.ahead import ahead, is_worth_threads, workers
from parsers.assemble import assemble
from parsers.bounds import Bounds
from parsers.collect import WHOLE_FILES, Collected
from parsers.model import Fact, Problem, Run, SourceFile, SourceRef, Value
from parsers.pipe import Handing, Pipe
from parsers.prepare import Fragments, Prepared, is_short, prepare
from parsers.ranks import ranks_of
from parsers.registry import FileFormat, Router, TextFormat
from parsers.said import Said
from parsers.scanner import Scanner
from parsers.sieve import Sieve
from parsers.signature import NAME as SIGNATURES
from parsers.signature import Signature, signature_format
from parsers.source import STDIN, Meter, UnreadableError, blocks, head, is_binary, is_compressed, remember
from parsers.spread import spread
from parsers.table import Tables
from parsers.told_ranks import is_open, ranks_told


def read(
    paths: Sequence[str | Path], signatures: Sequence[Signature] = (), facts: Sequence[Fact] = (), strict: bool = False
) -> Run:
    """Reads the files of one run.

    `signatures`: patterns the caller wants to know about, reported as `signature` events. `facts`: what the user
    states. `strict` re-raises what a reader of ours raises. Raises UnreadableError where no file can be opened;
    a file that breaks off is a Problem.
    """
    jobs = jobs_of(paths)
    make_router(tuple(signatures))  # before processes are forked: they share it
    return combine(paths, spread(partial(_read_file, tuple(signatures), strict), jobs), facts)


def combine(paths: Sequence[str | Path], parts: Iterable[Collected | UnreadableError], facts: Sequence[Fact] = ()) -> Run:
    """The run that what was read of each file makes, in the order of `paths`. Raises the first error where no file was read."""
    collected, known = Collected(), set[tuple[str, Value, int, bool]]()
    collected.join(Collected(facts=list(facts)), known)
    errors: list[UnreadableError] = []
    for part in parts:
        if isinstance(part, UnreadableError):
            errors.append(part)
        else:
            collected.join(part, known)
    if errors and not collected.files:
        raise errors[0]
    for lost in errors:
        collected.problems.append(Problem(SourceRef(str(lost).split(" ", 1)[0], 0), "source", str(lost)))
    return assemble(
        str(paths[0]) if len(paths) == 1 else _common(paths), collected.files, collected.readers, collected.tables,
        collected.events, collected.facts, collected.problems, collected.failures,
    )  # fmt: skip


def jobs_of(paths: Sequence[str | Path]) -> list[Job]:
    """What there is to read of a run, in order: each file with the rank that its name says."""
    ranks = _ranks([str(path) for path in paths])
    return [Job(str(path), ranks.get(str(path)), at >= WHOLE_FILES) for at, path in enumerate(paths)]


def _ranks(paths: Sequence[str]) -> dict[str, int]:
    """path → rank: as its name says it, else as the lines of files of an ambiguous name do."""
    named = ranks_of(paths)
    left = [path for path in paths if path not in named and is_open(path)]
    return named | ranks_told(left) if len(left) > 1 else named


def read_job(job: Job, signatures: tuple[Signature, ...] = (), strict: bool = False) -> Collected | UnreadableError:
    """What one file of a run holds, or why it cannot be read."""
    return _read_file(signatures, strict, job)


def make_router(signatures: tuple[Signature, ...] = ()) -> Router:
    """The automaton over all text readers' hints and the signatures'; kept, as a scan asks for the same one every time."""
    known = _ROUTERS.get(id(signatures))
    if known is None or known[0] is not signatures:
        if len(_ROUTERS) >= MAX_ROUTERS:
            _ROUTERS.clear()
        known = _ROUTERS[id(signatures)] = (signatures, _router(signatures))
    return known[1]


MAX_ROUTERS: Final = 4
_ROUTERS: Final[dict[int, tuple[tuple[Signature, ...], Router]]] = {}
"""By the identity of the signatures: to compare hundreds of them costs more than a small log."""


@lru_cache(maxsize=4)
def _router(signatures: tuple[Signature, ...]) -> Router:
    formats: list[TextFormat] = list(registry.text_formats())
    if signatures:
        formats.append(signature_format(signatures))
    return Router(formats)


def _common(paths: Sequence[str | Path]) -> str:
    try:
        return os.path.commonpath([str(path) for path in paths]) or "."
    except ValueError:
        return str(paths[0])


HEAD: Final = 4096
"""Bytes by which it is told what a file is."""


class Job(NamedTuple):
    """A file to read: the rank that its name says, and whether its middle may be dropped."""

    path: str
    rank: int | None
    is_slim: bool


def _read_file(signatures: tuple[Signature, ...], strict: bool, job: Job) -> Collected | UnreadableError:
    """What one file holds, or why it cannot be read."""
    path = job.path
    try:
        first = b"" if path == STDIN else _first(path)
        form = None if path == STDIN else file_format(Path(path), first)
        if form is not None:
            return _read_whole(Path(path), form, strict)
        if is_binary(first):
            raise UnreadableError(f"{path} is a binary file of no known kind: name a text log, an event file or a run's folder.")
        return _read_text(job, make_router(signatures), strict)
    except UnreadableError as error:
        return error


def _first(path: str) -> bytes:
    """The first bytes of a file as `head` gives them, without what that takes to open more than a plain file."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb", 0) as file:
                first = file.read(HEAD)
            if first and first[0] and not is_compressed(first):
                return first
    except (OSError, ValueError):
        pass
    return head(path)


def file_format(path: Path, first: bytes) -> FileFormat | None:
    """The whole-file reader that knows this file, if any; fallbacks are asked last."""
    return next((form for form in _forms() if form.matches(path, first)), None)


@cache
def _forms() -> tuple[FileFormat, ...]:
    return tuple(sorted(registry.file_formats(), key=lambda form: form.is_fallback))


def _read_text(job: Job, router: Router, strict: bool) -> Collected:
    meter, name, collected = Meter(), job.path, Collected(job.is_slim)
    scanner = Scanner(router, name, strict, job.rank, _sieve(job, router))
    tables = Tables(name)
    bounds = Bounds(collected, tables, router.fallback_names)
    try:
        for said in _said(name, meter, scanner, router):
            collected.add_said(tables, said)
            bounds.check()
    except UnreadableError as error:
        if not meter.bytes or (not tables.by_key and not collected.events):
            raise
        collected.problems.append(Problem(SourceRef(name, meter.lines), "source", str(error)))
    remember(name, meter)
    tables.drop_fallbacks(router.fallback_names)
    bounds.end()
    collected.failures += scanner.failures
    collected.end_file(tables, SourceFile(name, meter.bytes, meter.lines, meter.digest), job.rank)
    return collected


def _sieve(job: Job, router: Router) -> Sieve | None:
    """For one of very many files, of a size that says where its end begins: what may be passed over."""
    if not job.is_slim or job.path.endswith((".gz", ".zst", ".xz", ".bz2")):
        return None
    patterns = sum(1 << index for index, form in enumerate(router.formats) if form.name == SIGNATURES)
    return Sieve(os.stat(job.path).st_size, patterns)


def _said(path: str, meter: Meter, scanner: Scanner, router: Router) -> Iterator[Said]:
    size = 0 if path == STDIN or scanner.is_by_line else os.stat(path).st_size
    if router.sorter is not None and is_worth_threads(size):
        yield from _piped(path, meter, scanner, router)
    elif router.sorter is None and (count := workers(size)) > 1:
        for block, prepared in ahead(path, blocks(path, meter), router, count, lambda: scanner.masks):
            yield scanner.feed(block) if prepared is None else scanner.take(Fragments(block), prepared)
    else:
        is_first, kept = path == STDIN, b""
        for block in blocks(path, meter):
            if is_first and is_binary(block.data[:4096]):
                raise UnreadableError("standard input is binary of no known kind: pipe a text log into it.")
            is_first = False
            if block.offset == len(kept) and len(kept) + len(block.data) <= recent.MAX_BYTES:
                kept += block.data
            yield scanner.feed(block)
        if kept and len(kept) == meter.bytes:
            recent.keep(path, kept)
    yield Said(1, [(0, reader, record) for reader, record in scanner.close()])


def _piped(path: str, meter: Meter, scanner: Scanner, router: Router) -> Iterator[Said]:
    """The same of a large file: one thread reads, one sorts, this one asks the readers."""

    def prepared() -> Iterator[tuple[Fragments, Prepared | None]]:
        for block in blocks(path, meter, is_ahead=True):
            fragments = Fragments(block)
            yield fragments, None if is_short(block.data) else prepare(router, fragments, scanner.masks)

    pipe = Pipe(prepared())
    try:
        with Handing():
            for fragments, made in pipe:
                yield scanner.feed(fragments.block) if made is None else scanner.take(fragments, made)
    finally:
        pipe.close()


def _read_whole(path: Path, form: FileFormat, strict: bool) -> Collected:
    collected, tables = Collected(), Tables(str(path))
    try:
        for record in form.read(path):
            collected.add(tables, form.name, record, is_text=not form.is_binary)
    except (OSError, UnreadableError) as error:
        collected.problems.append(Problem(SourceRef(str(path), 0), form.name, str(error)))
    except Exception as error:
        if strict:
            raise
        collected.failures.append((form.name, f"{path}: {type(error).__name__}: {error}"))
    collected.end_file(tables, _measured(str(path), form.is_binary))
    return collected


def _measured(path: str, is_binary: bool) -> SourceFile:
    """A file's size, lines (0 of a binary one) and digest."""
    found, size, lines, last = hashlib.sha256(), 0, 0, b"\n"
    with open(path, "rb", 0) as file:
        while chunk := file.read(2**20):
            found.update(chunk)
            size += len(chunk)
            last = chunk[-1:]
            lines += 0 if is_binary else chunk.count(b"\n")
    return SourceFile(path, size, 0 if is_binary else lines + (last != b"\n"), f"sha256:{found.hexdigest()}")


__all__ = ["Job", "Signature", "UnreadableError", "combine", "file_format", "jobs_of", "make_router", "read", "read_job"]
