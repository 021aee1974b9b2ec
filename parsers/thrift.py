"""What of a log is passed over that would otherwise be read line by line without end: no log may cost more than its size allows.

Lines that many readers or only slow ones look at cost a hundred times what lines in columns cost. Of those `BUDGET` bytes of a
file are read whole: more than any run prints besides its metrics. Behind them the first part of each block is read, and of the
rest what says something new: lines that differ from earlier ones in more than digits. The last lines of the file are read in any
case, and a problem says how many lines were passed over. Lines in columns are not concerned.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from parsers.source import Block

BUDGET: Final = 6_000_000
"""Bytes of lines, and `LINE` for each reader that gets one, that are read one by one before anything is passed over."""
LINE: Final = 40
SHARE: Final = 64
"""Of what is behind them one part in so many is read whole: the beginning of each block, so that what belongs together stays."""
STRETCH: Final = 2**16
"""Bytes that are read whole of any block, in at most `FEW` lines: small blocks are those of a log that grows."""
FEW: Final = 64
ALIKE: Final = 8
"""Lines of one wording that are read behind the budget before the others are passed over."""
MAX_WORDINGS: Final = 8192
"""Different wordings; a log with more of them is noise."""
MAX_WORDS: Final = 400
"""Bytes of a line by which its wording is told."""
MAX_HUNGRY: Final = 200
MAX_WAITED: Final = 500
"""Lines that a reader may wait for behind one of those, and that readers may wait for in one block."""
TAIL: Final = 400
"""The last lines of a file, which are read in any case: what ended the program is among them."""
_DIGITS: Final = b"0123456789"

Last = tuple[int, bytes, bool]
"""Number and text of one of the last lines, and whether it was passed over."""


class Thrift:
    """What one file's lines have cost so far, and which of them are like earlier ones."""

    def __init__(self) -> None:
        self.spent = 0
        self.passed = 0
        self.first = 0
        """The line that was passed over first."""
        self.waited = 0
        self._due = 0.0
        self._known: dict[bytes, int] = {}
        self._tail: list[Last] = []

    @property
    def is_on(self) -> bool:
        """Whether lines are passed over from now on."""
        return self.spent > BUDGET

    def whole(self, size: int, length: int) -> int:
        """How many of the `size` fragments of a block of so many bytes are read whole."""
        self.waited = 0
        self._due += size / SHARE
        share = int(self._due)
        self._due -= share
        return max(share, min(FEW, STRETCH * size // max(1, length)))

    def waits(self) -> int:
        """How many lines a reader may wait for in the rest of a block."""
        return max(0, min(MAX_HUNGRY, MAX_WAITED - self.waited))

    def kept(self, places: Sequence[int], texts: Sequence[bytes], numbers: Sequence[int]) -> list[int]:
        """Those of these places whose lines say something new. `texts`: their lines; `numbers`: those of all lines."""
        known, kept = self._known, list[int]()
        for at, words in zip(places, b"\n".join(texts).translate(None, _DIGITS).split(b"\n"), strict=True):
            said = words if len(words) <= MAX_WORDS else words[:MAX_WORDS]
            count = known.get(said, 0)
            if count < ALIKE and (count or len(known) < MAX_WORDINGS):
                known[said] = count + 1
                kept.append(at)
        if len(kept) < len(places):
            if not self.passed:
                read = set(kept)
                self.first = numbers[next(at for at in places if at not in read)]
            self.passed += len(places) - len(kept)
        return kept

    def remember(self, lines: Sequence[Last]) -> None:
        """Keeps a block's last lines; those that were read are empty."""
        self._tail = [*self._tail, *lines][-TAIL:]

    def tail(self) -> Block | None:
        """The last lines of the file, but those that were read: they are not passed over after all."""
        tail, self._tail = self._tail, []
        again = sum(is_passed for *_, is_passed in tail)
        if not again:
            return None
        self.passed -= again
        after = [number for number, *_ in tail[1:]]
        breaks = [b"\r" if number == then else b"\n" * (then - number) for (number, *_), then in zip(tail, after, strict=False)]
        parts = [text + end for (_, text, _), end in zip(tail, [*breaks, b"\n"], strict=True)]
        return Block(b"".join(parts), tail[0][0])

    def note(self) -> str:
        """What a document says about it."""
        return (
            f"The log is long: {self.passed:,} of the lines that are read one by one differ from those before in numbers alone "
            "and were passed over."
        )
