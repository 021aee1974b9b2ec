"""A curve in a few characters: bars for values, ✕ for what is not finite, 0 where a loss is exactly zero and should not be."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

BARS: Final = "▁▂▃▄▅▆▇█"
BAD: Final = "✕"
ZERO: Final = "0"


def sparkline(
    steps: Sequence[int], values: Sequence[float], width: int, span: tuple[int, int], zero_from: int | None = None
) -> str:
    """`width` characters over the steps `span` (first, last), so that several curves share one axis.

    A bucket with any non-finite value shows ✕; without a value, a space. From `zero_from` on an exact zero shows 0.
    Heights run from the smallest to the largest finite value; far outliers are cut so that the rest keeps its shape.
    """
    first, last = span
    scale = max(1, last - first)
    buckets: list[list[float]] = [[] for _ in range(width)]
    zeros: set[int] = set()
    for step, value in zip(steps, values, strict=False):
        index = (step - first) * (width - 1) // scale
        if 0 <= index < width:
            buckets[index].append(value)
            if zero_from is not None and step >= zero_from and value == 0.0:
                zeros.add(index)
    low, high = _range([v for v in values if math.isfinite(v)])
    return _filled("".join(_mark(bucket, low, high, index in zeros) for index, bucket in enumerate(buckets)))


def _range(finite: list[float]) -> tuple[float, float]:
    if not finite:
        return 0.0, 1.0
    ordered = sorted(finite)
    low, high = ordered[0], ordered[-1]
    middle, upper = ordered[len(ordered) // 2], ordered[(len(ordered) - 1) * 95 // 100]
    spread = max(upper - middle, middle - low)
    return low, min(high, upper + 3 * spread) if spread > 0 else high


def _mark(bucket: list[float], low: float, high: float, is_zero: bool) -> str:
    if not bucket:
        return " "
    if any(not math.isfinite(value) for value in bucket):
        return BAD
    if is_zero:
        return ZERO
    share = (max(bucket) - low) / (high - low) if high > low else 0.5
    return BARS[max(0, min(len(BARS) - 1, int(share * len(BARS))))]


def _filled(marks: str) -> str:
    """Few points leave gaps between them: a gap repeats the mark before it, up to the last mark."""
    end = len(marks.rstrip())
    out: list[str] = []
    for index, mark in enumerate(marks[:end]):
        out.append(out[-1] if mark == " " and index and out else mark)
    return "".join(out).ljust(len(marks))
