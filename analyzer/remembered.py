"""What was worked out about a run already: shapes, settings and rules ask the same of a series of a million points."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from parsers.model import Run

T = TypeVar("T")


def remembered(run: Run, key: str, find: Callable[[], T]) -> T:
    """What `find` answers, worked out once a run."""
    known = run.remembered
    if key not in known:
        known[key] = find()
    return cast(T, known[key])
