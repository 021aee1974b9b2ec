"""The median. `statistics` has one, and brings fractions and decimals with it: a fortieth of what a small log takes."""

from __future__ import annotations

from collections.abc import Iterable


def median(values: Iterable[float]) -> float:
    """The middle of the sorted values, of an even number the mean of the two. Raises ValueError where there is none."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median for empty data")
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
