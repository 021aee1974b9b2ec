"""Work on a Ray cluster: an existing one by address, or one that is started here. The only module that imports ray.

Every machine needs nanalyze installed and sees the runs under the same paths or URLs. The work of a node that is lost is
done again by another; a run that takes its process down twice is a row with the reason.
"""

from __future__ import annotations

import importlib
import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any, Final

from analyzer.batch.task import Result, Task, Work, failed, performed
from analyzer.errors import UsageError

CHUNK: Final = 16
"""Runs a task: Ray's own cost is some ten milliseconds a task."""
WINDOW: Final = 4
"""Tasks under way a core: more would only wait in the object store."""
RETRIES: Final = 3
"""How often Ray does a chunk again whose node or process was lost, before its runs are tried one by one."""


def results(tasks: Sequence[Task], work: Work, address: str = "", workers: int = 0) -> Iterator[Result]:
    """A result a task, in their order. Raises UsageError where there is no ray or no such cluster."""
    ray, is_ours = _connected(address, workers)
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(performed)
        shared = ray.put(work)
        chunks = (tasks[start : start + CHUNK] for start in range(0, len(tasks), CHUNK))
        most = max(2, WINDOW * int(ray.cluster_resources().get("CPU", 1)))
        under_way: deque[tuple[Sequence[Task], Any]] = deque()
        for chunk in chunks:
            under_way.append((chunk, remote.remote(list(chunk), shared)))
            if len(under_way) >= most:
                yield from _taken(ray, remote, shared, work, *under_way.popleft())
        while under_way:
            yield from _taken(ray, remote, shared, work, *under_way.popleft())
    finally:
        if is_ours:
            ray.shutdown()


def _taken(ray: Any, remote: Any, shared: Any, work: Work, chunk: Sequence[Task], ref: Any) -> Iterator[Result]:
    try:
        yield from ray.get(ref)
    except ray.exceptions.RayTaskError:
        raise
    except ray.exceptions.RayError:
        yield from itertools.chain.from_iterable(_alone(ray, remote, shared, work, task) for task in chunk)


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
