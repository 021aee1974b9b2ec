"""The training bar as a clock: at which step it was after how many seconds. For many logs it is the only clock there is.

A bar's own seconds start at 0 with every program and every epoch, have no fractions, and go on while an evaluation runs on a
bar of its own: between such breaks lies one *segment*, and only within one may seconds be compared. Several ranks draw their
bars into one log; what goes back a little is another rank's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from parsers.bar_clock import Clock, training_clock
from parsers.model import Environment, Series
from parsers.table import Tables

NAME: Final = "progress bar, seconds elapsed"
RESTART: Final = 5.0
"""Seconds by which a bar's clock must go back to be a new one: ranks start that far apart."""


class _Point(NamedTuple):
    step: int
    seconds: float
    line: int
    segment: int
    seq: int


def bars(tables: Sequence[Tables], environment: Environment) -> Iterator[Series]:
    """Per file the training bar: `values` and `times` are its elapsed seconds, where it has at least two counts.

    The last count may come twice: drawn when it was reached, and drawn again when the program ended.
    """
    for table in tables:
        if len(table.ticks) < 2:
            continue
        train = [one for one in table.by_key.values() if one.kind == "train" and len(one)]
        clock = training_clock(table, train, environment)
        series = Series(NAME, NAME, "progress_bar", table.file, is_text=False)
        points = list(_points(table, clock)) if clock.total else []
        for point in points:
            series.append(point.step, point.seconds, point.line, point.seconds, point.segment)
        if table.parts:
            series.parts = table.parts_of([point.seq for point in points])
        if len(series) > 1:
            yield series


def _points(table: Tables, clock: Clock) -> Iterator[_Point]:
    ticks, segment = table.ticks, 0
    cuts = set(ticks.cuts)
    last: _Point | None = None
    before = -1
    for index in clock.at:
        seconds, step = ticks.seconds[index], ticks.step[index]
        if math.isnan(seconds):
            continue
        if last is not None and (index != before + 1 or seconds < last.seconds - RESTART or ticks.seq[index] in cuts):
            segment += 1
        elif last is not None and (step < last.step or seconds < last.seconds):
            before = index
            continue
        before = index
        last = _Point(step, seconds, ticks.line[index], segment, ticks.seq[index])
        yield last
