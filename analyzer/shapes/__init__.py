"""Named shapes of metrics that causes ask for (`metric:grad_norm sentinel`). Each is one function with the shape's name.

A shape answers met, not-met or unknown (the metric was not logged, or there is too little of it), with the points that
say so. Plain numbers need no shape: `metric:loss first > 6` compares a statistic (first, last, min, max, median, count
of finite points). To add a shape, write a function with `@shape` in the module it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from analyzer.median import median
from analyzer.remembered import remembered
from analyzer.shapes import around_onset, history, levels, points
from analyzer.shapes.register import SHAPES, UNKNOWN, Answer, at, say
from analyzer.shapes.register import points as finite_points
from parsers.model import Run

_STATISTICS: Final[dict[str, Callable[[Sequence[float]], float]]] = {
    "first": lambda values: values[0], "last": lambda values: values[-1], "min": min, "max": max, "median": median,
    "count": lambda values: float(len(values)),
}  # fmt: skip
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    ">": lambda a, b: a > b, ">=": lambda a, b: a >= b, "<": lambda a, b: a < b, "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


def ask(run: Run, metric: str, name: str) -> Answer:
    """Whether `metric` has the shape `name`, or its statistic compares as told; raises ValueError for an unknown one."""
    found = SHAPES.get(name)
    if found is not None:
        return found(run, metric)
    parts = name.split()
    if len(parts) == 3 and parts[0] in _STATISTICS and parts[1] in _COMPARE:
        return _statistic(run, metric, parts[0], parts[1], float(parts[2]))
    raise ValueError(f"unknown shape {name!r}")


def _statistic(run: Run, metric: str, statistic: str, operator: str, wanted: float) -> Answer:
    found = finite_points(run, metric)
    if found is None:
        return UNKNOWN
    series, values = found
    got = remembered(run, f"{statistic} {metric}", lambda: _STATISTICS[statistic](values))
    index = next((i for i, v in enumerate(series.values) if v == got), len(series) - 1)
    return say(_COMPARE[operator](got, wanted), at(series, index))


__all__ = ["SHAPES", "Answer", "around_onset", "ask", "history", "levels", "points"]
