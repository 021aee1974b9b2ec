"""Metrics that came as whole columns → series, and the series of a resumed run's event files → one.

Nothing is copied: ten million points are kept once.
"""

from __future__ import annotations

import itertools
import os.path
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import Final

from parsers.model import Columns, Series
from parsers.table import Tables

_LONG: Final = 100_000
"""From so many points on NumPy looks for steps that go back."""


def bulk_tracks(tables: Tables, metric: Callable[[str, str], str], series_name: Callable[[str, Columns], str]) -> list[Series]:
    """The series of the columns of one file. `metric(name, engine)` and `series_name(name, columns)` map names."""
    tracks = []
    for reader, columns in tables.bulk:
        if columns.kind == "summary" or not columns.steps:
            continue
        name = series_name(columns.name, columns)
        tracks.append(
            Series(
                metric(name, columns.engine), name, reader, tables.file, columns.rank, columns.engine, False,
                columns.steps, columns.values, columns.lines, columns.times, _segments(columns),
            )
        )  # fmt: skip
    return tracks


def _segments(columns: Columns) -> array[int]:
    """0, and one more from each point on at which the steps begin again."""
    steps, lines = columns.steps, columns.lines
    segments = array("i", bytes(4 * len(steps)))
    starts = [bisect_left(lines, start) for start in columns.starts]
    begins = {index for index in starts if 0 < index < len(steps) and steps[index] <= steps[index - 1]}
    begins.update(_rewinds(steps))
    ordered = [*sorted(begins), len(steps)]
    for number, (begin, end) in enumerate(itertools.pairwise(ordered), 1):
        segments[begin:end] = array("i", [number]) * (end - begin)
    return segments


def _rewinds(steps: array[int]) -> list[int]:
    """The points whose step is lower than that of the point before."""
    if len(steps) < _LONG:
        return [index for index in range(1, len(steps)) if steps[index] < steps[index - 1]]
    import numpy as np

    values = np.frombuffer(steps, np.int64)
    found: list[int] = (np.flatnonzero(values[1:] < values[:-1]) + 1).tolist()
    return found


def join_restarts(tracks: Sequence[Series]) -> list[Series]:
    """Joins the series of one metric that writers of one directory wrote one after the other, in the order of time.

    A resumed run begins a new event file beside the old one. Files that were written at the same time (a writer a rank)
    stay apart.
    """
    groups: dict[tuple[str, str, int | None, str], list[Series]] = {}
    for track in tracks:
        key = (os.path.dirname(track.file), track.name, track.rank, track.engine)
        groups.setdefault(key, []).append(track)
    return [track for group in groups.values() for track in (_join(group) if len(group) > 1 else group)]


def _join(group: list[Series]) -> list[Series]:
    ordered = sorted(group, key=lambda track: (track.times[0], track.file))
    joined = [ordered[0]]
    for track in ordered[1:]:
        if track.times[0] >= joined[-1].times[-1]:
            joined[-1] = _append(joined[-1], track)
        else:
            joined.append(track)
    return joined


def _append(first: Series, then: Series) -> Series:
    begins = 1 if then.steps[0] <= first.steps[-1] else 0
    offset = first.segments[-1] + begins
    parts = first.parts or ((0, first.file),)
    return Series(
        first.metric, first.name, first.reader, first.file, first.rank, first.engine, False,
        first.steps + then.steps, first.values + then.values, first.lines + then.lines, first.times + then.times,
        first.segments + array("i", [segment + offset for segment in then.segments]),
        (*parts, (len(first), then.file)),
    )  # fmt: skip
