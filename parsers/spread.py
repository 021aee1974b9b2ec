"""The same work on many files, in this process or in several: the results are the same, in the order of the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, Protocol, TypeVar

MIN_BYTES: Final = 64 * 2**20
MIN_FILES: Final = 8
"""Below these a pool of processes costs more than it saves."""
CHUNK: Final = 8
"""Files a task."""


class HasPath(Protocol):
    """Something that names a file."""

    @property
    def path(self) -> str:
        """The file."""
        ...


J = TypeVar("J", bound=HasPath)
R = TypeVar("R")


def spread(work: Callable[[J], R], jobs: Sequence[J]) -> Iterator[R]:
    """`map(work, jobs)`. `work` must be picklable. A process of a pool starts no pool of its own."""
    workers = _workers(jobs)
    if workers > 1:
        from concurrent.futures import ProcessPoolExecutor

        try:
            pool = ProcessPoolExecutor(workers, initializer=begin)
        except (OSError, NotImplementedError, ImportError):  # no semaphores here: a sandbox, a small container
            workers = 1
    if workers <= 1:
        yield from map(work, jobs)
        return
    try:
        yield from pool.map(work, jobs, chunksize=CHUNK)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def begin() -> None:
    """The beginning of a pool's process: Ctrl-C is its parent's to answer, and when that is gone it goes too."""
    import signal
    from multiprocessing import parent_process
    from threading import Thread

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)


def _workers(jobs: Sequence[HasPath]) -> int:
    if len(jobs) < MIN_FILES:
        return 1
    from multiprocessing import parent_process

    if parent_process() is not None:
        return 1
    if sum(_size(job.path) for job in jobs) < MIN_BYTES:
        return 1
    return min(cores(), len(jobs) // CHUNK)


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
