"""Batch: every run of a tree, from the cache or from its files; rows appear as they come, and one bad run ends nothing."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, overload

from analyzer.batch import cache as caches
from analyzer.batch import local, overview
from analyzer.batch.body import is_thinned, samples
from analyzer.batch.cache import Known
from analyzer.batch.card import Card, loads
from analyzer.batch.names import page_name
from analyzer.batch.progress import Progress
from analyzer.batch.stream import Stream
from analyzer.batch.task import Pages, Result, Task, Work, base, base_of, content_on_disk, perform
from analyzer.errors import FOUND, NOTHING, OK, UsageError
from analyzer.writing import write

if TYPE_CHECKING:
    from analyzer.batch.tables import Tables
    from analyzer.diagnosis import Options
    from analyzer.output.index import Row
    from parsers.discover import RunFiles

INTERRUPTED: Final = 130
_SPANS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
AHEAD: Final = 500
"""Known results that are fetched at a time."""


@dataclass(frozen=True, slots=True)
class Extras:
    """What only a batch can be asked for."""

    parquet: str = ""
    junit: Path | None = None
    sarif: Path | None = None
    html: str = ""
    output: str = ""
    cache: str = ""
    resume: bool = True
    engine: str = "local"
    address: str = ""
    timeout: float = 0.0
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    since: str = ""
    follow: bool = False
    code_quality: Path | None = None


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
    extras: Extras = field(default_factory=Extras)


def find(paths: Sequence[str], extras: Extras) -> tuple[RunFiles, ...]:
    """The runs below some folders and URLs, as the extras choose them. Says which folders could not be read."""
    from analyzer.batch import remote
    from parsers import discover
    from parsers.tree import Choice, PatternError

    choice = Choice(extras.include, extras.exclude, extras.follow)
    runs = [run for url in paths if remote.is_url(url) for run in remote.find_runs(url)]
    places = [path for path in paths if not remote.is_url(path)]
    try:
        runs += discover.find_runs(places, choice) if places else []
    except PatternError as error:
        raise UsageError(str(error)) from None
    for folder in choice.unreadable[:5]:
        _say(f"{folder} cannot be read: its runs are left out (check its permissions).")
    if len(choice.unreadable) > 5:
        _say(f"{len(choice.unreadable) - 5} more folders cannot be read.")
    return tuple(run for run in runs if _is_recent(run, since(extras.since)))


def since(text: str) -> float:
    """`7d`, `12h` or `2026-11-01` → seconds since the epoch, 0 for ''. Raises UsageError for anything else."""
    if not text:
        return 0.0
    span = re.fullmatch(r"(\d{1,6})([mhdw])", text)
    if span:
        return time.time() - int(span[1]) * _SPANS[span[2]]
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        raise UsageError(f"--since {text} is no time: give 12h, 7d or 2026-11-01.") from None


def _is_recent(run: RunFiles, begin: float) -> bool:
    import os

    if not begin or run.marks:
        return True
    times = [os.stat(file).st_mtime for file in run.files if os.path.exists(file)]
    return max(times, default=0.0) >= begin


def batch(job: Batch) -> int:
    """Scans, writes what was asked for, and returns the exit code."""
    with ExitStack() as stack:
        sinks = _Sinks(job, stack)
        is_stopped = False
        try:
            for result in results(job, sinks):
                sinks.add(result)
        except KeyboardInterrupt:
            is_stopped = True
            left = "" if job.extras.cache == "off" else " The next scan goes on from there."
            _say(f"stopped after {len(sinks.cards)} of {len(job.runs)} runs; what was done is shown.{left}")
        sinks.close()
    return INTERRUPTED if is_stopped else _exit_code(sinks.cards, job.fail_on)


def results(job: Batch, sinks: _Sinks) -> Iterator[Result]:
    """A result a run, in the order of `job.runs`, whatever is known already and whatever finishes first."""
    work = Work(
        job.options, job.extras.timeout, sinks.has_lines, job.redact, sinks.pages,
        job.extras.cache != "off", bool(sinks.tables),
    )  # fmt: skip
    with caches.Cache(caches.path_of(job.extras.cache), _knowledge(job), _say) as cache:
        marks = {run.root: caches.mark(run) for run in job.runs} if job.extras.cache != "off" else {}
        keys = _keys(job, cache, marks) if job.extras.resume and marks else {}
        yield from _merged(job, work, sinks, cache, marks, keys)


def _keys(job: Batch, cache: caches.Cache, marks: dict[str, caches.Mark]) -> dict[str, bytes]:
    """root → the key of its result: of runs that nobody touched, and of those that were moved, copied or touched."""
    contents = cache.contents(job.runs, marks)
    others = [run for run in job.runs if run.root not in contents]
    shapes = cache.shapes([mark.shape for run in others if (mark := marks[run.root]).shape])
    for run in others:
        if marks[run.root].shape in shapes and (content := content_on_disk(run)):
            contents[run.root] = content
            cache.place(run.root, marks[run.root], content)
    return {root: cache.key(content) for root, content in contents.items()}


def _merged(
    job: Batch, work: Work, sinks: _Sinks, cache: caches.Cache, marks: dict[str, caches.Mark], keys: dict[str, bytes]
) -> Iterator[Result]:
    known: dict[str, Known] = {}
    tasks = _Tasks(cache)
    for start in range(0, len(job.runs), AHEAD):
        some = job.runs[start : start + AHEAD]
        kept = cache.known([keys[run.root] for run in some if run.root in keys])
        bodies = cache.first_bytes(list(kept)) if work.with_lines_or_pages or work.whole else {}
        for run in some:
            found = kept.get(keys.get(run.root, b""))
            first = bodies.get(found.key, b"") if found else b""
            page = page_name(run.root, job.lang, job.redact) if work.pages else ""
            if found is None or (work.with_lines_or_pages and not first) or (work.whole and is_thinned(first)):
                tasks.add(Task(run, page), b"")
            elif work.with_lines_or_pages:
                tasks.add(Task(run, page, written_at=found.root), found.key)
            else:
                known[run.root] = found
    progress = sinks.progress = Progress(len(job.runs), len(known))
    done = _engine(job, tasks, work)
    for run in job.runs:
        result = _kept(run, known.pop(run.root), work, cache) if run.root in known else None
        if result is None:
            result = next(done)
        else:
            progress.pass_known()
        cache.add(result, marks.get(run.root, caches.UNKNOWN))
        yield result


def _kept(run: RunFiles, found: Known, work: Work, cache: caches.Cache) -> Result:
    """The result of a run that is known, with its curves where they are wanted; one that turns out damaged is judged again."""
    try:
        whole = samples(cache.body(found.key)) if work.whole else {}
    except Exception:  # whatever a damaged file leads to
        return perform(Task(run), work)
    return Result(run, loads(found.card, run.root, {base_of(found.root, run): base(run)}), whole=whole)


class _Tasks(Sequence[Task]):
    """What is to be done; a document that is known is fetched when its task is given out, for all of them fill the memory."""

    def __init__(self, cache: caches.Cache) -> None:
        self._cache = cache
        self._tasks: list[tuple[Task, bytes]] = []

    def add(self, task: Task, key: bytes) -> None:
        """One task more; `key`: that of its document, b'' where none is known."""
        self._tasks.append((task, key))

    def __len__(self) -> int:
        return len(self._tasks)

    @overload
    def __getitem__(self, index: int) -> Task: ...

    @overload
    def __getitem__(self, index: slice) -> list[Task]: ...

    def __getitem__(self, index: int | slice) -> Task | list[Task]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        task, key = self._tasks[index]
        return replace(task, body=self._cache.body(key)) if key else task


def _engine(job: Batch, tasks: Sequence[Task], work: Work) -> Iterator[Result]:
    if job.extras.engine == "ray":
        from analyzer.batch import cluster

        return cluster.results(tasks, work, job.extras.address, job.jobs) if tasks else iter(())
    return local.results(tasks, work, job.jobs or local.cores())


def _knowledge(job: Batch) -> bytes:
    return caches.knowledge(job.options) if job.extras.cache != "off" else b""


class _Sinks:
    """Everything that is written, told run by run."""

    def __init__(self, job: Batch, stack: ExitStack) -> None:
        from analyzer.batch.remote import folder_for
        from analyzer.output import redact

        self._job = job
        self._hide = redact.Batch() if job.redact else None
        self.cards: list[Card] = []
        self.rows: list[Row] = []
        self.failed = 0
        self.progress: Progress | None = None
        self.has_lines = job.form != "terminal"
        html = job.extras.html or (str(job.html) if job.html else "")
        self.pages = Pages(_folder(stack.enter_context(folder_for(html))), job.lang, job.redact) if html else None
        self._output = self._target(job, stack)
        self._stream = Stream(self._output, job.form == "json") if self.has_lines else None
        if self._stream:
            stack.callback(self._stream.abandon)
        self.tables: Tables | None = self._tables(job, stack) if job.extras.parquet else None
        if self.pages:
            self._library(self.pages)

    def _target(self, job: Batch, stack: ExitStack) -> Path | None:
        from analyzer.batch.remote import folder_for, is_url

        if not is_url(job.extras.output):
            return job.output
        folder, _, name = job.extras.output.rpartition("/")
        return stack.enter_context(folder_for(folder)) / name

    def _tables(self, job: Batch, stack: ExitStack) -> Tables:
        from analyzer.batch.remote import folder_for, is_url
        from analyzer.batch.tables import Tables

        target = job.extras.parquet
        if is_url(target) and target.endswith(".parquet"):
            folder, _, name = target.rpartition("/")
            return Tables(stack.enter_context(folder_for(folder)) / name)
        return Tables(stack.enter_context(folder_for(target)))

    def _library(self, pages: Pages) -> None:
        from analyzer.output import html

        library = pages.folder / html.BUNDLE_NAME
        if not library.exists():
            write(library, html.bundle() or "")

    def add(self, result: Result) -> None:
        """One run more."""
        self.cards.append(result.card)
        self.failed += result.card.word == "failed"
        if self._stream:
            self._stream.add(result.line)
        if result.row:
            self.rows.append(result.row)
        if self.tables:
            card = self._hide(result.card) if self._hide else result.card
            self.tables.add(card, result.whole)
        if self.progress:
            self.progress.add(self.failed)

    def close(self) -> None:
        """Writes what can only be written at the end."""
        job = self._job
        if self.progress:
            self.progress.close()
        if self._stream:
            self._stream.close()
        else:
            self._say_table()
        if self.pages:
            from analyzer.output import html

            write(self.pages.folder / "index.html", html.render_index(self.rows, lang=job.lang))
        if self.tables:
            self.tables.close()
        if job.extras.junit or job.extras.code_quality or job.extras.sarif:
            self._reports([self._hide(card) for card in self.cards] if self._hide else self.cards)

    def _reports(self, cards: Sequence[Card]) -> None:
        """What a CI server reads."""
        extras = self._job.extras
        if extras.junit:
            from analyzer.batch import junit

            write(extras.junit, junit.render(cards, self._job.fail_on))
        if extras.code_quality:
            from analyzer.batch import code_quality

            write(extras.code_quality, code_quality.render(cards))
        if extras.sarif:
            from analyzer.batch import sarif

            write(extras.sarif, sarif.render(cards))

    def _say_table(self) -> None:
        from analyzer.output.plain import neutral

        text = "\n".join(map(neutral, overview.lines(self.cards))) + "\n"
        if self._output:
            write(self._output, text)
        else:
            sys.stdout.write(text)


def _folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made a folder ({error.strerror}): choose another place for the pages.") from None
    return folder


def _exit_code(cards: Sequence[Card], fail_on: str) -> int:
    if any(card.loud(fail_on) for card in cards):
        return FOUND
    judged = [card for card in cards if not card.error and (card.verdict != "unjudged" or card.findings)]
    return OK if judged or not cards else NOTHING


def _say(sentence: str) -> None:
    from analyzer.output.plain import neutral

    print(f"analyze: {neutral(sentence)}", file=sys.stderr)


__all__ = ["Batch", "Extras", "batch", "find", "results", "since"]
