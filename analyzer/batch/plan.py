"""What of a batch is known already and what is to be done: results in the order of the runs, told of as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, Protocol, overload

from analyzer.batch import cache as caches
from analyzer.batch import local
from analyzer.batch.body import is_thinned, samples
from analyzer.batch.card import loads
from analyzer.batch.names import page_name
from analyzer.batch.request import Batch
from analyzer.batch.task import Result, Task, Work, base, base_of, content_on_disk, perform
from parsers.discover import RunFiles
from parsers.spread import cores

AHEAD: Final = 500
"""Known results that are looked up at a time."""


def results(job: Batch, work: Work, cache: caches.Cache, gauge: Gauge) -> Iterator[Result]:
    """A result a run, in the order of `job.runs`, whatever is known already and whatever finishes first.

    `gauge` hears how many runs are known as soon as that is so, and of each result when it is there, in whatever order: a run
    that takes long holds nobody else's result back from the cache and from those who wait.
    """
    marks = {run.root: caches.mark(run) for run in job.runs} if job.extras.cache != "off" else {}
    keys = _keys(job, cache, marks) if job.extras.resume and marks else {}
    known, tasks = _split(job, work, cache, keys)
    gauge.begin(len(job.runs), len(known))

    def told(result: Result) -> None:
        cache.add(result, marks.get(result.files.root, caches.UNKNOWN))
        gauge.add(result)

    done = _engine(job, tasks, work, told)
    for run in job.runs:
        if run.root not in known:
            yield next(done)
            continue
        result = _kept(run, known.pop(run.root), work, cache)
        gauge.pass_known()
        told(result)
        yield result


class Gauge(Protocol):
    """Who wants to know how far a batch is."""

    def begin(self, total: int, known: int) -> None:
        """So many runs there are, and so many of them need no reading."""

    def pass_known(self) -> None:
        """The result that comes next needed no reading."""

    def add(self, result: Result) -> None:
        """A result is there."""


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


def _split(job: Batch, work: Work, cache: caches.Cache, keys: Mapping[str, bytes]) -> tuple[dict[str, caches.Known], _Tasks]:
    """(root → what is known of it and is enough, what is to be done)."""
    known: dict[str, caches.Known] = {}
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
    return known, tasks


def _kept(run: RunFiles, found: caches.Known, work: Work, cache: caches.Cache) -> Result:
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


def _engine(job: Batch, tasks: Sequence[Task], work: Work, told: Callable[[Result], None]) -> Iterator[Result]:
    if job.extras.engine == "ray":
        from analyzer.batch import cluster

        return cluster.results(tasks, work, told, job.extras.address, job.jobs) if tasks else iter(())
    return local.results(tasks, work, job.jobs or cores(), told)
