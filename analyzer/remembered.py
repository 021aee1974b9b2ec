"""What was worked out about a run already: shapes, settings and rules ask the same of a series of a million points."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from parsers.model import Run

T = TypeVar("T")
_LATEST: Final[list[tuple[Run, dict[str, Any]]]] = []


def remembered(run: Run, key: str, find: Callable[[], T]) -> T:
    """What `find` answers, worked out once a run. Only the latest run is remembered."""
    known = about(run)
    if key not in known:
        known[key] = find()
    return cast(T, known[key])


def about(run: Run) -> dict[str, Any]:
    """What is remembered of a run, by key."""
    if not _LATEST or _LATEST[0][0] is not run:
        _LATEST[:] = [(run, {})]
    return _LATEST[0][1]
