"""How often a growing run is judged: as often as a small share of one core pays for.

Judging looks at the whole run, so it costs more the longer the run is. What it cost is paid from a credit that grows with
time; a sign of failure may overdraw it, so that the first `nan` is judged at once however long the run is.
"""

from __future__ import annotations

from typing import Final

SHARE: Final = 0.008
"""Of one core, on average."""
CREDIT: Final = 2.0
"""Seconds of work that may be saved up, and that a run begins with."""
OVERDRAFT: Final = 2.0
"""Seconds that signs of failure may take in advance."""


class Pace:
    """The credit of one run, in seconds of a core."""

    def __init__(self, now: float, share: float = SHARE) -> None:
        self._share = share
        self._credit = CREDIT
        self._at = now

    def allows(self, now: float, is_urgent: bool = False, is_last: bool = False) -> bool:
        """Whether the run may be judged now. `is_last`: nothing follows that could be judged later, so twice as much is lent."""
        self._credit = min(CREDIT, self._credit + max(0.0, now - self._at) * self._share)
        self._at = now
        return self._credit > (-2 * OVERDRAFT if is_last else -OVERDRAFT if is_urgent else 0.0)

    def pay(self, seconds: float) -> None:
        """Takes what a judgement cost."""
        self._credit -= seconds
