"""Times of events on one clock: c10d's stamps have no year, and containers stamp in another zone than the program.

A c10d line (`E1124 02:46:39.9`) carries `clock`, seconds since 1 January of a year that is not printed. Where a line
carries both stamps (a log shipper's in front), the difference between them puts every clock of that file right; else the
year of the file's other stamps, or of the run's, is taken.
"""

from __future__ import annotations

import calendar
import math
import time
from collections.abc import Iterator
from functools import cached_property

from analyzer.median import median
from parsers import Event, Run


class Clocks:
    """The stamps of a run, as far as they can be told."""

    def __init__(self, run: Run) -> None:
        self._run = run

    @cached_property
    def _offsets(self) -> dict[str, float]:
        return {file: median(gaps) for file, gaps in _pairs(self._run).items()}

    @cached_property
    def _year(self) -> int | None:
        stamp = next(_stamps(self._run), None)
        return time.gmtime(stamp).tm_year if stamp is not None else None

    def time(self, event: Event) -> float | None:
        """Seconds since the epoch at which an event was told; None where nothing says it."""
        if event.time is not None:
            return event.time
        clock = event.data.get("clock")
        if not isinstance(clock, float) or self._year is None:
            return None
        return in_year(clock, self._year) + self._offsets.get(event.ref.file, 0.0)

    def began(self, event: Event) -> float | None:
        """When the thing began that an event tells: a timed-out collective was entered `ran_ms` before."""
        told, ran = self.time(event), event.data.get("ran_ms")
        return told - ran / 1000 if told is not None and isinstance(ran, int | float) else told


def in_year(clock: float, year: int) -> float:
    """Seconds since 1 January 1970 of a stamp without a year → seconds since the epoch in `year`."""
    at = time.gmtime(clock)
    whole = calendar.timegm((year, at.tm_mon, at.tm_mday, at.tm_hour, at.tm_min, at.tm_sec))
    return whole + clock % 1


def _stamps(run: Run) -> Iterator[float]:
    yield from (event.time for event in run.events if event.time is not None)
    for track in run.tracks:
        yield from (stamp for stamp in track.times[:1] if math.isfinite(stamp))


def _pairs(run: Run) -> dict[str, list[float]]:
    """Per file the differences between the two stamps of lines that carry both."""
    found: dict[str, list[float]] = {}
    for event in run.events:
        clock = event.data.get("clock")
        if event.time is not None and isinstance(clock, float):
            year = time.gmtime(event.time).tm_year
            found.setdefault(event.ref.file, []).append(event.time - in_year(clock, year))
    return found
