"""A judgement of a growing run, made a few rules at a time: whoever looks at a run must not be busy for long.

How many rules a look takes on hangs on how much there is to look at, not on the clock: what is said does not depend on how
fast the machine is. A short run, and one that shows a sign of failure, is judged at once.
"""

from __future__ import annotations

from typing import Final

from analyzer.symptoms import Symptoms, Wishes, by_rule
from parsers import Run

AT_ONCE: Final = 40_000
"""Points of a run's series times rules for one look: two or three milliseconds."""

FEW: Final = 40
"""Rules for one look, below which a run is long."""


class Judging:
    """The rules over one state of a run. `settled` and `is_over`: as of the look that began it."""

    def __init__(self, run: Run, wishes: Wishes, is_over: bool, settled: bool) -> None:
        self.run = run
        self.is_over = is_over
        self.settled = settled
        self._rules = by_rule(run, wishes)
        self._share = max(1, AT_ONCE // max(1, sum(len(track) for track in run.tracks)))

    @property
    def is_long(self) -> bool:
        """Whether the rules take several looks."""
        return self._share < FEW

    def go_on(self, is_whole: bool) -> Symptoms | None:
        """The next rules, all that are left if `is_whole`; what they found, once they are through."""
        left = self._share
        try:
            while is_whole or left > 0:
                next(self._rules)
                left -= 1
        except StopIteration as end:
            found: Symptoms = end.value
            return found
        return None
