"""Series reduced for drawing without losing what matters: spikes, zeros' edges and every non-finite point survive."""

from __future__ import annotations

import math
from array import array
from typing import Final

from analyzer.model import Curve
from parsers import Run, Series

BUCKETS: Final = 1000
"""Two points a bucket on a chart of at most 2,000 pixels: more would be drawn over each other."""
MAX_CURVES: Final = 40
Shared = dict[int, tuple[int, ...]]
"""Steps and lines that metrics logged together have in common, by the identity of their column."""


def curves(run: Run) -> tuple[Curve, ...]:
    """The preferred series of every metric, reduced, in the order of the tracks."""
    seen: dict[str, Curve] = {}
    shared: Shared = {}
    for track in run.tracks:
        if track.metric not in seen and track.values and len(seen) < MAX_CURVES:
            seen[track.metric] = reduced(track, shared)
    return tuple(seen.values())


def reduced(track: Series, shared: Shared | None = None) -> Curve:
    """At most four points a bucket: its least and greatest value, and the first and last that is not finite."""
    steps, values, lines = _points(track, {} if shared is None else shared)
    return Curve(
        metric=track.metric,
        name=track.name,
        points=len(track.values),
        non_finite=track.non_finite,
        first=track.values[0],
        last=track.values[-1],
        steps=steps,
        values=values,
        lines=lines,
        file=track.file,
        reader=track.reader,
    )


def _points(track: Series, shared: Shared) -> tuple[tuple[int, ...], tuple[float, ...], tuple[int, ...]]:
    if len(track.values) <= 2 * BUCKETS:
        return _whole(track.steps, shared), tuple(track.values), _whole(track.lines, shared)
    keep = _chosen(track)
    return (
        tuple(track.steps[i] for i in keep), tuple(track.values[i] for i in keep), tuple(track.lines[i] for i in keep),
    )  # fmt: skip


def _whole(column: array[int], shared: Shared) -> tuple[int, ...]:
    known = shared.get(id(column))
    if known is None:
        known = shared[id(column)] = tuple(column)
    return known


def _chosen(track: Series) -> list[int]:
    values, size = track.values, len(track)
    chosen = {0, size - 1}
    width = math.ceil(size / BUCKETS)
    for start in range(0, size, width):
        part = values[start : start + width]
        if math.isfinite(sum(part)):
            chosen.update((start + part.index(min(part)), start + part.index(max(part))))
            continue
        bucket = [i for i in range(start, min(start + width, size)) if math.isfinite(values[i])]
        if bucket:
            chosen.add(min(bucket, key=values.__getitem__))
            chosen.add(max(bucket, key=values.__getitem__))
        bad = [i for i in range(start, min(start + width, size)) if not math.isfinite(values[i])]
        chosen.update(bad[:1] + bad[-1:])
    return sorted(chosen)
