"""Batch: every run of a tree diagnosed in a pool of processes; rows appear as they come, one bad run ends nothing."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from analyzer.errors import FOUND, NOTHING, OK, UsageError
from analyzer.model import Diagnosis, Finding, RunSummary
from analyzer.output.columns import table
from analyzer.writing import exit_code, write
from parsers.model import SourceRef

if TYPE_CHECKING:
    from analyzer.diagnosis import Options
    from parsers.discover import RunFiles

CHUNK: Final = 8
"""Runs a task: enough to hide a task's cost, few enough that rows keep coming."""
SINGLE: Final = 4
"""Up to this many runs are done in this process: starting a pool costs more."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What to scan and where the results go."""

    runs: tuple[RunFiles, ...]
    form: str
    output: Path | None
    html: Path | None
    fail_on: str
    options: Options
    redact: bool
    lang: str
    jobs: int


@dataclass(frozen=True, slots=True)
class Row:
    """One run's result: its diagnosis, or the sentence that says why there is none."""

    root: str
    diagnosis: Diagnosis | None
    error: str = ""


def diagnose_runs(runs: Sequence[RunFiles], options: Options) -> list[Row]:
    """Diagnoses runs one after the other; what a run raises becomes its row's error unless `options.strict`."""
    from analyzer.diagnosis import diagnose
    from parsers import UnreadableError

    rows = []
    for files in runs:
        try:
            diagnosis = diagnose(files.files, options)
            rows.append(Row(files.root, replace(diagnosis, run=replace(diagnosis.run, source=files.root))))
        except UnreadableError as error:
            rows.append(Row(files.root, None, str(error)))
        except Exception as error:
            if options.strict:
                raise
            rows.append(Row(files.root, None, f"{type(error).__name__}: {error}"))
    return rows


def rows(runs: Sequence[RunFiles], options: Options, jobs: int = 0) -> Iterator[Row]:
    """A row a run, in the order of `runs` whatever finishes first."""
    workers = jobs or os.cpu_count() or 1
    if len(runs) <= SINGLE or workers == 1:
        for files in runs:
            yield from diagnose_runs([files], options)
        return
    with ProcessPoolExecutor(min(workers, len(runs))) as pool:
        chunks = [runs[i : i + CHUNK] for i in range(0, len(runs), CHUNK)]
        futures: list[Future[list[Row]]] = [pool.submit(diagnose_runs, chunk, options) for chunk in chunks]
        try:
            for future in futures:
                yield from future.result()
        except (KeyboardInterrupt, GeneratorExit):
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def batch(job: Batch) -> int:
    """Scans, writes what was asked for, and returns the exit code."""
    if job.html:
        _make_folder(job.html)
    done: list[Row] = []
    stream = _Stream(job)
    progress = _Progress(len(job.runs))
    interrupted = False
    try:
        for row in rows(job.runs, job.options, job.jobs):
            done.append(row)
            stream.add(row)
            progress.add()
            if job.html and row.diagnosis:
                _write_page(job, row, len(done))
    except KeyboardInterrupt:
        interrupted = True
        print(f"analyze: stopped after {len(done)} of {len(job.runs)} runs; what was done is shown.", file=sys.stderr)
    progress.close()
    stream.close(done)
    if job.html:
        _write_index(job, done)
    return 130 if interrupted else _exit_code(done, job.fail_on)


def _exit_code(done: Sequence[Row], fail_on: str) -> int:
    codes = [exit_code(row.diagnosis, fail_on) if row.diagnosis else NOTHING for row in done]
    if FOUND in codes:
        return FOUND
    return NOTHING if codes and all(code == NOTHING for code in codes) else OK


class _Stream:
    """Standard output or a file: JSON Lines as they come, or a JSON array or the table at the end."""

    def __init__(self, job: Batch) -> None:
        self._job = job
        self._lines: list[str] = []

    def add(self, row: Row) -> None:
        if self._job.form == "terminal":
            return
        from analyzer.output import document
        from analyzer.output.redact import redact

        diagnosis = row.diagnosis or unread(row)
        diagnosis = redact(diagnosis)[0] if self._job.redact else diagnosis
        line = document.dumps(diagnosis, indent=None, with_curves=False)
        if self._job.output or self._job.form == "json":
            self._lines.append(line)
        else:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def close(self, done: Sequence[Row]) -> None:
        if self._job.form == "jsonl" and not self._job.output:
            return
        text = "\n".join(summary(done) if self._job.form == "terminal" else self._lines)
        if self._job.form == "json":
            text = "[\n" + ",\n".join(self._lines) + "\n]"
        if self._job.output:
            write(self._job.output, text + "\n")
        else:
            sys.stdout.write(text + "\n")


def unread(row: Row) -> Diagnosis:
    """A run that could not be read, as a document of its own: unjudged, with the reason among its problems."""
    run = RunSummary(
        source=row.root, files=(), readers=(), first_step=None, last_step=None, planned_steps=None, step_source="none",
        curves=(), packages={}, config={}, hardware={}, arguments={}, environment_refs={}, outcome="unknown", verdict="unjudged",
    )  # fmt: skip
    return Diagnosis(run, problems=((SourceRef(row.root, 0), "source", row.error),))


class _Progress:
    """How far the scan is, on standard error: one line that is redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self, total: int, stream: TextIO | None = None) -> None:
        self._total, self._done, self._start, self._said = total, 0, time.monotonic(), time.monotonic()
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()

    def add(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said < (0.1 if self._is_terminal else 5.0) or self._total <= SINGLE:
            return
        self._said = now
        rate = self._done / max(now - self._start, 1e-6)
        left = (self._total - self._done) / max(rate, 1e-6)
        text = f"{self._done}/{self._total} runs, {rate:.0f}/s, {left:.0f} s left"
        self._stream.write(f"\r\x1b[K{text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        if self._is_terminal and self._total > SINGLE:
            self._stream.write("\r\x1b[K")


def summary(done: Sequence[Row]) -> list[str]:
    """The overview: counts, groups by first cause, then a line a run."""
    counts = Counter(row.diagnosis.verdict if row.diagnosis else "unread" for row in done)
    words = ("failed", "suspicious", "healthy", "unjudged", "unread")
    head = ", ".join(f"{counts[word]} {word}" for word in words if counts[word])
    lines = [f"{len(done)} runs: {head}", ""]
    groups = Counter(_cause(row) for row in done if row.diagnosis and row.diagnosis.causes)
    if groups:
        lines += [f"  {count:>4} × {cause}" for cause, count in groups.most_common()] + [""]
    order = {"failed": 0, "suspicious": 1, "unread": 2, "unjudged": 3, "healthy": 4}
    ranked = sorted(done, key=lambda row: (order[row.diagnosis.verdict if row.diagnosis else "unread"], row.root))
    cells = [_cells(row) for row in ranked]
    return lines + table(("run", "verdict", "steps", "first finding", "cause"), cells)


def _cells(row: Row) -> tuple[str, ...]:
    if row.diagnosis is None:
        return row.root, "unread", "-", row.error, ""
    run = row.diagnosis.run
    steps = "-" if run.last_step is None else f"{run.last_step}" + (f"/{run.planned_steps}" if run.planned_steps else "")
    first = _first(row.diagnosis)
    return row.root, run.verdict, steps, f"{first.rule}: {first.summary}" if first else "", _cause(row)


def _first(diagnosis: Diagnosis) -> Finding | None:
    if diagnosis.first_cause is not None:
        return diagnosis.findings[diagnosis.first_cause.finding]
    return diagnosis.findings[0] if diagnosis.findings else None


def _cause(row: Row) -> str:
    causes = row.diagnosis.causes if row.diagnosis else ()
    return f"{causes[0].id} ({causes[0].verdict})" if causes else ""


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder ({error.strerror}): choose another place for the pages.") from None


def _page_name(root: str, number: int) -> str:
    words = "".join(char if char.isalnum() or char in "-_." else "-" for char in Path(root).name or "run").strip(".-")
    return f"{number:05d}-{words[:60] or 'run'}.html"


def _write_page(job: Batch, row: Row, number: int) -> None:
    from analyzer.output import html
    from analyzer.output.redact import redact

    assert job.html is not None and row.diagnosis is not None
    diagnosis, redacted = redact(row.diagnosis) if job.redact else (row.diagnosis, None)
    library = job.html / html.BUNDLE_NAME
    if not library.exists():
        write(library, html.bundle() or "")
    page = html.render(diagnosis, lang=job.lang, redacted=redacted, shared_bundle=True)
    write(job.html / _page_name(row.root, number), page)


def _write_index(job: Batch, done: Sequence[Row]) -> None:
    from analyzer.output import html
    from analyzer.output.index import index_row
    from analyzer.output.redact import redact_row

    assert job.html is not None
    entries = [
        index_row(row.root, _page_name(row.root, number) if row.diagnosis else "", row.diagnosis, row.error, job.lang)
        for number, row in enumerate(done, 1)
    ]
    entries = [redact_row(entry) for entry in entries] if job.redact else entries
    write(job.html / "index.html", html.render_index(entries, lang=job.lang))
