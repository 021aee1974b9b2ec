"""Blocks of one large file prepared by several processes while this one reads on, in the order of the file.

Preparing (`prepare.py`) is most of the work and needs nothing of what came before; what the readers say stays in this
process. The results are the same with any number of processes.
"""

from __future__ import annotations

import gc
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import active_count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from parsers.prepare import Fragments, Prepared, is_short, prepare
from parsers.registry import Router
from parsers.source import Block
from parsers.spread import begin, cores

if TYPE_CHECKING:
    from concurrent.futures import Future

MIN_BYTES: Final = 48 * 2**20
"""Below this a pool of processes costs more than it saves."""
MIN_PIPED: Final = 8 * 2**20
"""Below this threads save nothing that one would notice."""
MAX_WORKERS: Final = 4
"""Processes that keep this one busy."""
WAITING: Final = 2
"""Blocks that are under way beyond one for each process."""

ENDS: Final = 256
"""First and last bytes of a block by which a process knows that it has read the same."""


def is_worth_threads(size: int) -> bool:
    """Whether a file of so many bytes is read by several threads (`pipe.py`): not by one of a pool's processes."""
    from multiprocessing import parent_process

    return size >= MIN_PIPED and cores() > 1 and parent_process() is None


class Place(NamedTuple):
    """Where a block stands in a file."""

    path: str
    offset: int
    size: int
    ends: bytes


_ROUTER: Router | None = None
"""The readers' hints, for the processes that are forked from this one."""


def workers(size: int) -> int:
    """How many processes are worth it for a file of so many bytes: 1 where there is one core, or none can be forked."""
    if size < MIN_BYTES or not hasattr(os, "fork"):
        return 1
    from multiprocessing import parent_process

    if parent_process() is not None or active_count() > 1:  # a process with threads must not be forked
        return 1
    return min(cores(), MAX_WORKERS)


def ahead(
    path: str, blocks: Iterator[Block], router: Router, count: int, masks: Callable[[], Sequence[int]]
) -> Iterator[tuple[Block, Prepared | None]]:
    """Each block of a file with what `count` processes prepared of it, None where it must be read without.

    `masks`: who waits for each hint, as of now.
    """
    global _ROUTER
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    _ROUTER = router
    under_way: deque[tuple[Block, Future[Prepared] | None]] = deque()
    try:
        pool = ProcessPoolExecutor(count, get_context("fork"), _begin)
    except (OSError, NotImplementedError, ImportError):  # no semaphores here: a sandbox, a small container
        yield from ((block, None) for block in blocks)
        return
    try:
        for block in blocks:
            under_way.append((block, _submit(pool, path, block, masks())))
            if len(under_way) >= count + WAITING:
                yield _done(*under_way.popleft())
        while under_way:
            yield _done(*under_way.popleft())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        _ROUTER = None


def _begin() -> None:
    begin()
    gc.disable()  # what is made here has no cycles


def _submit(pool: Any, path: str, block: Block, masks: Sequence[int]) -> Future[Prepared] | None:
    if is_short(block.data):
        return None
    try:
        if block.offset < 0:
            found: Future[Prepared] = pool.submit(_prepare, block.data, block.line, masks)
        else:
            place = Place(path, block.offset, len(block.data), _ends(block.data))
            found = pool.submit(_prepare_there, place, block.line, masks)
    except (RuntimeError, OSError):  # a process was killed, or none can be forked here
        return None
    return found


def _done(block: Block, future: Future[Prepared] | None) -> tuple[Block, Prepared | None]:
    try:
        return block, future.result() if future else None
    except Exception:  # whatever it was: the block is read here then, and what it raises is raised here
        return block, None


def _prepare_there(place: Place, line: int, masks: Sequence[int]) -> Prepared:
    with Path(place.path).open("rb", buffering=0) as file:
        file.seek(place.offset)
        data = file.read(place.size)
    if len(data) != place.size or _ends(data) != place.ends:
        raise OSError("the file is another one by now")
    return _prepare(data, line, masks)


def _ends(data: bytes) -> bytes:
    return data[:ENDS] + data[-ENDS:]


def _prepare(data: bytes, line: int, masks: Sequence[int]) -> Prepared:
    """In another process."""
    if _ROUTER is None:
        raise RuntimeError("not forked from a process that reads")
    fragments = Fragments(Block(data, line))
    made = prepare(_ROUTER, fragments, masks)
    if made.others and not made.texts:
        texts = fragments.texts
        made.texts.update({at: texts[at] for others in made.others for at in others.at})
    groups = [group._replace(at=array("i", group.at), lines=array("q", group.lines)) for group in made.groups]
    return made._replace(groups=groups)
