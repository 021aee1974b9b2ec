"""Work in processes of this machine: results in order, a window of work under way, and no run that takes the others down.

A worker that dies or hangs costs its run a second attempt, then a row with the reason; a new worker takes over the rest.
Workers end when their pipe closes, so a scan that is killed leaves none behind.
"""

from __future__ import annotations

import gc
import multiprocessing
import resource
import selectors
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Final

from analyzer.batch.task import Result, Task, Work, allowed, failed, late, perform
from parsers.discover import RunFiles

MOST: Final = 8
"""Runs that a worker holds where they are quick: sending them one by one would take as long as they do."""
QUICK: Final = 0.02
"""Seconds a run below which they are."""
LEAST: Final = 2
"""Runs that a worker holds otherwise: the one it works on and the next. What waits behind a run that takes long waits long."""
WINDOW: Final = 256
"""Runs a worker that may be done before the first of them is taken: what waits costs memory."""
ATTEMPTS: Final = 2
GRACE: Final = 5.0
"""Seconds behind its time limit after which a worker that does not answer is killed."""
FULL: Final = 400 * 2**20
"""Bytes that a worker may have held at most; one that held more is replaced after its run."""


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection
    queue: deque[int] = field(default_factory=deque)
    """Numbers of the tasks it was given and has not answered."""
    since: float = 0.0


def results(tasks: Sequence[Task], work: Work, workers: int, told: Callable[[Result], None] = lambda _: None) -> Iterator[Result]:
    """A result a task, in their order; `told` hears of each as soon as it is there."""
    if workers <= 1 or len(tasks) <= 1:
        for task in tasks:
            result = perform(task, work)
            told(result)
            yield result
        return
    pool = _Pool(tasks, work, min(workers, len(tasks)), told)
    try:
        yield from pool.results()
    finally:
        pool.close()


class _Pool:
    def __init__(self, tasks: Sequence[Task], work: Work, workers: int, told: Callable[[Result], None]) -> None:
        self._tasks, self._work, self._told = tasks, work, told
        self._todo: deque[int] = deque(range(len(tasks)))
        self._done: dict[int, Result] = {}
        self._attempts: dict[int, int] = {}
        self._files: dict[int, RunFiles] = {}
        """Of the tasks that were given out: a task may be fetched from somewhere, and only once."""
        self._next = 0
        self._pace = 1.0
        """Seconds that a run took lately."""
        self._context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
        if sys.platform == "linux":
            _prepare()
        self._workers: list[_Worker] = []
        self._waiting = selectors.DefaultSelector()
        """The pipes of workers that have something to answer."""
        for _ in range(workers):
            self._begin()

    def results(self) -> Iterator[Result]:
        """Gives work out, takes answers in, and yields what is next in order."""
        while self._next < len(self._tasks):
            self._give()
            for key, _ in self._waiting.select(1.0):
                self._take(key.data)
            self._check_time()
            while self._next in self._done:
                yield self._done.pop(self._next)
                self._next += 1

    def close(self) -> None:
        """Ends the workers at once."""
        self._waiting.close()
        for one in self._workers:
            one.pipe.close()
            one.process.terminate()
        for one in self._workers:
            one.process.join(1.0)
            if one.process.is_alive():
                one.process.kill()

    def _begin(self) -> None:
        ours, theirs = self._context.Pipe()
        others = [one.pipe for one in self._workers] + [ours]
        inherited = others if self._context.get_start_method() == "fork" else []
        process = self._context.Process(target=_serve, args=(theirs, inherited, self._work), daemon=True)  # type: ignore[attr-defined]
        process.start()
        theirs.close()
        self._workers.append(_Worker(process, ours))

    def _give(self) -> None:
        limit = self._next + WINDOW * len(self._workers)
        most = MOST if self._pace < QUICK else LEAST
        for one in list(self._workers):
            numbers: list[int] = []
            room = most - len(one.queue)
            while room >= most // 2 and len(numbers) < room and self._todo and self._todo[0] < limit:
                numbers.append(self._todo.popleft())
            if not numbers:
                continue
            if not one.queue:
                one.since = time.monotonic()
                self._waiting.register(one.pipe, selectors.EVENT_READ, one)
            one.queue.extend(numbers)
            tasks = [self._tasks[number] for number in numbers]
            self._files.update((number, task.files) for number, task in zip(numbers, tasks, strict=True))
            try:
                one.pipe.send([_plain(task) for task in tasks])
            except OSError:
                self._take(one)  # it has gone, and may have said why

    def _take(self, one: _Worker) -> None:
        try:
            answer = one.pipe.recv()
        except (EOFError, OSError):
            self._lose(one, _end(one.process))
            return
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, str):  # it held too much memory and is going
            self._lose(one, "", is_fault=False)
            return
        number = one.queue.popleft()
        self._finish(number, Result(self._files.pop(number), *answer))
        now = time.monotonic()
        self._pace += (now - one.since - self._pace) / MOST
        one.since = now
        if not one.queue:
            self._waiting.unregister(one.pipe)

    def _finish(self, number: int, result: Result) -> None:
        self._done[number] = result
        self._told(result)

    def _check_time(self) -> None:
        if not self._work.limit:
            return
        for one in list(self._workers):
            files = self._files[one.queue[0]] if one.queue else None
            since = time.monotonic() - one.since
            if files and since > self._work.limit + GRACE and since > allowed(files, self._work) + GRACE:
                one.process.kill()
                self._lose(one, late(files, self._work), attempts=1)

    def _lose(self, one: _Worker, why: str, attempts: int = ATTEMPTS, is_fault: bool = True) -> None:
        """A worker is gone: its current run is tried again or given up, the others go back, and another worker begins."""
        self._workers.remove(one)
        if one.queue:
            self._waiting.unregister(one.pipe)
        one.pipe.close()
        if one.queue and is_fault:
            number = one.queue[0]
            self._attempts[number] = self._attempts.get(number, 0) + 1
            if self._attempts[number] >= attempts:
                one.queue.popleft()
                self._finish(number, failed(self._tasks[number], self._work, why))
        self._todo.extendleft(reversed(one.queue))
        self._begin()


def _end(process: BaseProcess) -> str:
    process.join(1.0)
    code = process.exitcode
    how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
    return f"its process ended ({how}{', out of memory?' if code == -9 else ''})"


def _prepare() -> None:
    """Loads what every run needs before processes are forked: they share it."""
    from analyzer import cause, rule
    from analyzer.diagnosis import known_signatures
    from parsers.read import make_router

    rule.load()
    cause.load_for_weighing()
    _ = make_router(known_signatures()).shapes
    gc.collect()
    gc.freeze()  # what is loaded stays: collections need not look at it, and its pages stay shared


def _plain(task: Task) -> tuple[Any, ...]:
    """A task as it is sent: dataclasses take ten times as long to pickle as what is in them."""
    files = task.files
    return files.root, files.files, files.marks, task.page, task.body, task.written_at


def _serve(pipe: Connection, inherited: Sequence[Connection], work: Work) -> None:
    for other in inherited:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the scan itself answers to Ctrl-C
    try:
        while True:
            for root, files, marks, *rest in pipe.recv():
                pipe.send(_answer(Task(RunFiles(root, files, marks), *rest), work))
                if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > FULL:
                    pipe.send("full")
                    return
    except (EOFError, OSError):  # the scan is gone
        return


def _answer(task: Task, work: Work) -> Any:
    try:
        found = perform(task, work)
        return found.card, found.content, found.body, found.line, found.row, found.whole
    except Exception as error:  # only when strict
        return error
