"""A global step from counts that start again with every epoch (`Epoch 2, step 100/600`): for readers of prints and bars."""

from __future__ import annotations


class EpochClock:
    """Turns (epoch, count within it, its length) into a step that goes on counting.

    With a known length the step is epochs before × length + count, so a resumed run keeps its place; the first epoch
    that is seen decides whether epochs count from 0 or 1 unless `first` says so. Without a length a count that falls
    back is put behind what was counted so far.
    """

    def __init__(self, first: int | None = None) -> None:
        self._first = first
        self._epoch: int | None = None
        self._base = 0
        self._last = 0

    def step(self, epoch: int | None, at: int, of: int | None = None) -> int:
        """The global step of count `at` of `of`; without an epoch the count itself."""
        if epoch is None:
            return at
        if self._first is None:
            self._first = 0 if epoch == 0 else 1
        if of:
            return max(0, epoch - self._first) * of + at
        if self._epoch is not None and epoch > self._epoch and at <= self._last:
            self._base += self._last
        elif self._epoch is not None and epoch < self._epoch:
            self._base = 0
        self._epoch, self._last = epoch, at
        return self._base + at
