"""The training bar as a clock: at which step it was after how many seconds. For many logs it is the only clock there is.

A bar's own seconds start at 0 with every program and every epoch, have no fractions, and go on while an evaluation runs on a
bar of its own: between such breaks lies one *segment*, and only within one may seconds be compared. Several ranks draw their
bars into one log; what goes back a little is another rank's.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from parsers import many_steps
from parsers.bar_clock import Clock, Clocks
from parsers.model import Series
from parsers.table import Tables

NAME: Final = "progress bar, seconds elapsed"
RESTART: Final = 5.0
"""Seconds by which a bar's clock must go back to be a new one: ranks start that far apart."""


class _Points(NamedTuple):
    """Counts of the training bar, as columns."""

    steps: array[int]
    seconds: array[float]
    lines: array[int]
    segments: array[int]
    seqs: list[int]


def bars(tables: Sequence[Tables], clocks: Clocks) -> Iterator[Series]:
    """Per file the training bar: `values` and `times` are its elapsed seconds, where it has at least two counts.

    The last count may come twice: drawn when it was reached, and drawn again when the program ended.
    """
    for table in tables:
        if len(table.ticks) < 2:
            continue
        train = [one for one in table.by_key.values() if one.kind == "train" and len(one)]
        clock = clocks.of(table, train)
        points = _points(table, clock) if clock.total else None
        if points is None or len(points.steps) < 2:
            continue
        series = Series(
            NAME, NAME, "progress_bar", table.file, is_text=False, steps=points.steps, values=points.seconds,
            lines=points.lines, times=points.seconds[:], segments=points.segments,
        )  # fmt: skip
        if table.parts:
            series.parts = table.parts_of(points.seqs)
        yield series


def _points(table: Tables, clock: Clock) -> _Points:
    ticks, segment, cuts = table.ticks, 0, set(table.ticks.cuts)
    if not many_steps.is_few(len(clock.at)) and (whole := _at_once(table, clock)):
        return whole
    all_steps, all_seconds, all_seqs = ticks.step, ticks.seconds, ticks.seq
    kept, segments = list[int](), list[int]()
    last_step, last_second, before = 0, math.nan, -1
    for index in clock.at:
        seconds, step = all_seconds[index], all_steps[index]
        if seconds != seconds:
            continue
        if kept:
            if index != before + 1 or seconds < last_second - RESTART or (cuts and all_seqs[index] in cuts):
                segment += 1
            elif step < last_step or seconds < last_second:
                before = index
                continue
        before, last_step, last_second = index, step, seconds
        kept.append(index)
        segments.append(segment)
    return _Points(
        array("q", [all_steps[index] for index in kept]),
        array("d", [all_seconds[index] for index in kept]),
        array("q", [ticks.line[index] for index in kept]),
        array("i", segments),
        [all_seqs[index] for index in kept],
    )


def _at_once(table: Tables, clock: Clock) -> _Points | None:
    """The same of a bar of which every count is kept; None where some are not."""
    import numpy as np

    ticks, at = table.ticks, many_steps.integers(clock.at)
    steps, seqs = many_steps.integers(ticks.step)[at], many_steps.integers(ticks.seq)[at]
    seconds = np.frombuffer(ticks.seconds, np.float64)[at]
    is_new = (np.diff(at) != 1) | (seconds[1:] < seconds[:-1] - RESTART)
    if ticks.cuts:
        is_new |= np.isin(seqs[1:], many_steps.integers(ticks.cuts))
    goes_on = (np.diff(steps) >= 0) & (np.diff(seconds) >= 0)
    if np.isnan(seconds).any() or not (is_new | goes_on).all():
        return None
    segments, shown = array("i"), array("d")
    segments.frombytes(np.concatenate([[0], np.cumsum(is_new)]).astype(np.int32).tobytes())
    shown.frombytes(seconds.tobytes())
    lines = many_steps.column(many_steps.integers(ticks.line)[at])
    return _Points(many_steps.column(steps), shown, lines, segments, seqs.tolist())
