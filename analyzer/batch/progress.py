"""How far a scan is, on standard error: a bar that is redrawn on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Final, TextIO

SILENT: Final = 4
"""Up to this many runs nothing is said."""
WIDTH: Final = 28


class Progress:
    """Counts runs. `known`: how many of them need no reading; they pass at once and would spoil the rate."""

    def __init__(self, total: int, known: int = 0, stream: TextIO | None = None) -> None:
        self._total, self._known, self._done = total, known, 0
        self._passed = 0
        self._start = self._said = time.monotonic()
        self._stream = stream or sys.stderr
        self._is_terminal = self._stream.isatty()

    def pass_known(self) -> None:
        """The run that comes next needed no reading."""
        self._passed += 1

    def add(self, failed: int = 0) -> None:
        """One run more; `failed` runs so far."""
        self._done += 1
        now = time.monotonic()
        if self._total <= SILENT or now - self._said < (0.1 if self._is_terminal else 5.0):
            return
        self._said = now
        text = self._text(now - self._start, failed)
        self._stream.write(f"\r\x1b[K{self._bar()} {text}" if self._is_terminal else f"{text}\n")
        self._stream.flush()

    def close(self) -> None:
        """Wipes the bar."""
        if self._is_terminal and self._total > SILENT:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def _text(self, seconds: float, failed: int) -> str:
        read = self._done - self._passed
        rate = read / max(seconds, 1e-6)
        left = (self._total - self._known - read) / max(rate, 1e-6)
        known = f", {self._known} known" if self._known else ""
        return (
            f"{self._done}/{self._total} runs{known}, {failed} failed, {rate:.{0 if rate >= 10 else 1}f}/s, {_clock(left)} left"
        )

    def _bar(self) -> str:
        full = WIDTH * self._done // max(1, self._total)
        return f"[{'#' * full}{'.' * (WIDTH - full)}]"


def _clock(seconds: float) -> str:
    whole = round(seconds)
    return f"{whole} s" if whole < 120 else f"{whole // 60} min" if whole < 7200 else f"{whole // 3600} h"
