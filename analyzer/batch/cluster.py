"""Work on a Ray cluster: an existing one by address, or one that is started here. The only module that imports ray.

Every machine needs nanalyze installed and sees the runs under the same paths or URLs. The work of a node that is lost is
done again by another; a run that takes its process down twice is a row with the reason.
"""

from __future__ import annotations

import importlib
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from analyzer.batch.task import Result, Task, Work, failed, performed
from analyzer.errors import UsageError

CHUNK: Final = 16
"""Runs a task: Ray's own cost is some ten milliseconds a task."""
WINDOW: Final = 4
"""Tasks under way a core: more would only wait in the object store."""
RETRIES: Final = 3
"""How often Ray does a chunk again whose node or process was lost, before its runs are tried one by one."""


def results(
    tasks: Sequence[Task], work: Work, told: Callable[[Result], None] = lambda _: None, address: str = "", workers: int = 0
) -> Iterator[Result]:
    """A result a task, in their order; `told` hears of each chunk's when it is fetched.

    Raises UsageError where there is no ray or no such cluster.
    """
    ray, is_ours = _connected(address, workers)
    try:
        yield from _Rounds(ray, tasks, work, told).results()
    finally:
        if is_ours:
            ray.shutdown()


@dataclass(slots=True)
class _Chunk:
    """Runs that are one task of Ray's: `results` once they are fetched."""

    tasks: Sequence[Task]
    ref: Any
    results: list[Result] | None = None


class _Rounds:
    """Chunks under way: as many as the cluster can use, fetched as they are done, given out in order."""

    def __init__(self, ray: Any, tasks: Sequence[Task], work: Work, told: Callable[[Result], None]) -> None:
        self._ray, self._tasks, self._work, self._told = ray, tasks, work, told
        self._remote = ray.remote(num_cpus=1, max_retries=RETRIES)(performed)
        self._shared = ray.put(work)
        self._under_way: deque[_Chunk] = deque()

    def results(self) -> Iterator[Result]:
        """A result a task, in their order."""
        most = max(2, WINDOW * int(self._ray.cluster_resources().get("CPU", 1)))
        for start in range(0, len(self._tasks), CHUNK):
            chunk = self._tasks[start : start + CHUNK]
            self._under_way.append(_Chunk(chunk, self._remote.remote(list(chunk), self._shared)))
            if len(self._under_way) >= most:
                yield from self._first()
        while self._under_way:
            yield from self._first()

    def _first(self) -> list[Result]:
        """The results of the first chunk; those of others are fetched while it is waited for."""
        first = self._under_way[0]
        while first.results is None:
            ready, _ = self._ray.wait([one.ref for one in self._under_way if one.results is None], num_returns=1)
            for chunk in self._under_way:
                if chunk.results is None and chunk.ref in ready:
                    chunk.results = self._fetched(chunk)
                    for result in chunk.results:
                        self._told(result)
        self._under_way.popleft()
        return first.results

    def _fetched(self, chunk: _Chunk) -> list[Result]:
        ray = self._ray
        try:
            return list(ray.get(chunk.ref))
        except ray.exceptions.RayTaskError:
            raise
        except ray.exceptions.RayError:
            return [one for task in chunk.tasks for one in _alone(ray, self._remote, self._shared, self._work, task)]


def _alone(ray: Any, remote: Any, shared: Any, work: Work, task: Task) -> list[Result]:
    """One run by itself, after the chunk that it was in took its process down."""
    try:
        found: list[Result] = ray.get(remote.options(max_retries=1).remote([task], shared))
        return found
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError as error:
        return [failed(task, work, f"its process ended ({type(error).__name__})")]


def _connected(address: str, workers: int) -> tuple[Any, bool]:
    try:
        ray: Any = importlib.import_module("ray")
        importlib.import_module("ray.exceptions")
    except ImportError:
        raise UsageError("the engine ray needs Ray: pip install 'nanalyze[ray]', or use --engine local.") from None
    if ray.is_initialized():
        return ray, False
    try:
        if address:
            ray.init(address=address, log_to_driver=False, logging_level="ERROR")
        else:
            ray.init(num_cpus=workers or None, log_to_driver=False, logging_level="ERROR", include_dashboard=False)
    except Exception as error:
        raise UsageError(f"no Ray cluster at {address or 'this machine'} ({error}): check --address.") from None
    return ray, True
