"""A run's own rhythm, learned from when its records came, and when a silence is out of it."""

from __future__ import annotations

from collections import deque
from typing import Final

from analyzer.median import median

KEPT: Final = 200
"""Intervals that are remembered: a run's pace may change."""
SPAN: Final = 60
"""Counts of steps that the speed is taken over, each at least a second after the one before."""
MIN_BEATS: Final = 5
"""Intervals before a rhythm is known."""
TIMES: Final = 12.0
"""Usual intervals that a silence must last: an evaluation or a checkpoint takes some of them."""
LONGEST: Final = 3.0
"""Times the longest pause so far: evaluations and checkpoints come again."""
MIN_SECONDS: Final = 60.0
"""Below a minute a pause is no stall, whatever the pace."""
WORSE: Final = 4.0
"""A silence of so many times the limit is critical."""


class Rhythm:
    """When records came, in the caller's clock (seconds)."""

    def __init__(self, fixed: float | None = None) -> None:
        """`fixed`: seconds of silence that are a stall, whatever the rhythm."""
        self._fixed = fixed
        self._intervals: deque[float] = deque(maxlen=KEPT)
        self._last: float | None = None
        self._steps: deque[tuple[float, int]] = deque(maxlen=SPAN)

    def count(self, now: float, step: int) -> None:
        """The run stands at this step."""
        if self._steps and step < self._steps[-1][1]:
            self._steps.clear()  # it began anew
        if not self._steps or (step > self._steps[-1][1] and now - self._steps[-1][0] >= 1.0):
            self._steps.append((now, step))

    @property
    def speed(self) -> float | None:
        """Steps in a second over the last counts, None before it is known."""
        if len(self._steps) < 2:
            return None
        (begin, first), (end, last) = self._steps[0], self._steps[-1]
        return (last - first) / (end - begin)

    def beat(self, now: float, is_live: bool = True) -> None:
        """A record came. `is_live`: it was just written, and not found in a log that existed before."""
        if self._last is not None and is_live:
            self._intervals.append(now - self._last)
        self._last = now

    @property
    def usual(self) -> float | None:
        """The usual interval in seconds, None before it is known."""
        return median(self._intervals) if len(self._intervals) >= MIN_BEATS else None

    @property
    def limit(self) -> float | None:
        """Seconds of silence from which the run stalls, None before its rhythm is known."""
        if self._fixed is not None:
            return self._fixed
        usual = self.usual
        return None if usual is None else max(MIN_SECONDS, TIMES * usual, LONGEST * max(self._intervals))

    def silence(self, now: float) -> float:
        """Seconds since the last record."""
        return 0.0 if self._last is None else max(0.0, now - self._last)

    def stall(self, now: float) -> float | None:
        """Seconds of a silence that is out of rhythm, None while all is well."""
        limit, silence = self.limit, self.silence(now)
        return silence if limit is not None and silence >= limit else None
