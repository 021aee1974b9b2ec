"""Where shapes are registered, and what they have in common."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from analyzer.model import Evidence, State
from analyzer.onset import Onset, onset
from analyzer.remembered import remembered
from analyzer.signals import finite
from parsers.model import Run, Series

Answer = tuple[State, tuple[Evidence, ...]]
Shape = Callable[[Run, str], Answer]
SHAPES: Final[dict[str, Shape]] = {}
UNKNOWN: Final[Answer] = ("unknown", ())


def shape(function: Shape) -> Shape:
    """Registers a shape under its name with dashes."""
    SHAPES[function.__name__.replace("_", "-")] = function
    return function


def say(holds: bool, *evidence: Evidence) -> Answer:
    """Met or not met, with the points that say so."""
    return ("met" if holds else "not-met"), tuple(evidence)


def at(series: Series, index: int) -> Evidence:
    """One point of a series as evidence."""
    return Evidence(series.ref(index))


def first_bad(run: Run) -> Onset | None:
    """The run's first bad record."""
    return remembered(run, "onset", lambda: onset(run))


def points(run: Run, metric: str) -> tuple[Series, list[float]] | None:
    """A series and its finite values; None where it was not logged or has none."""
    series = run.series(metric)
    values = remembered(run, f"finite {metric}", lambda: finite(series.values)) if series is not None else []
    return (series, values) if series is not None and values else None


def placed(run: Run, metric: str) -> tuple[Series, Onset, int] | None:
    """The series, the run's first bad record, and its index in the series; None where any is missing."""
    series, bad = run.series(metric), first_bad(run)
    index = bad.index_in(series) if series is not None and bad is not None else None
    return None if series is None or bad is None or index is None else (series, bad, index)


def is_bad(value: float) -> bool:
    """NaN, infinite or exactly 0."""
    return not math.isfinite(value) or value == 0.0
