"""What an iterator yields, made ahead by a thread.

Reading, decompressing, hashing and sorting by the extension let other threads run. So of a large file one thread reads the bytes,
one sorts its blocks, and the program's own one does what the readers say: two cores are busy without a copy between processes.
Without the extension most of the work is Python's, and processes do it (`ahead.py`).
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from queue import Empty, Full, Queue
from threading import Event, Thread
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

DEPTH: Final = 2
"""Items that wait to be taken."""
_PATIENCE: Final = 0.05
"""Seconds after which a thread that can give nothing away looks whether anybody still wants it."""
_SWITCH: Final = 0.0005
"""Seconds after which a thread that computes lets another one go on; Python's own is ten times that, too long for a hand-over."""
_END: Final = object()


class Pipe(Generic[T]):
    """An iterator over what another one yields; what that raises is raised at its place. To be closed, also in the middle."""

    def __init__(self, source: Iterator[T], depth: int = DEPTH) -> None:
        self._source = source
        self._queue: Queue[Any] = Queue(depth)
        self._is_over = Event()
        self._error: BaseException | None = None
        self._thread = Thread(target=self._run, name="nanalyze reads ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        found = self._queue.get()
        if found is _END:
            self._queue.put(_END)
            error, self._error = self._error, None
            if error is not None:
                raise error
            raise StopIteration
        item: T = found
        return item

    def close(self) -> None:
        """Ends the thread, whatever it was going to give."""
        self._is_over.set()
        while self._thread.is_alive():
            try:
                self._queue.get(timeout=_PATIENCE)
            except Empty:
                continue
        self._thread.join()

    def _run(self) -> None:
        try:
            for item in self._source:
                if not self._give(item):
                    return
        except BaseException as error:  # it is raised where the item is asked for
            self._error = error
        finally:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        self._give(_END)

    def _give(self, item: object) -> bool:
        while not self._is_over.is_set():
            try:
                self._queue.put(item, timeout=_PATIENCE)
            except Full:
                continue
            return True
        return False


class Handing:
    """For the time of a `with`: threads hand over to each other without delay."""

    def __enter__(self) -> None:
        self._before = sys.getswitchinterval()
        sys.setswitchinterval(min(self._before, _SWITCH))

    def __exit__(self, *_: object) -> None:
        sys.setswitchinterval(self._before)
