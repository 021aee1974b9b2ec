"""What the user can mend: each error is one sentence that says what to do, and the exit code it leads to."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FOUND: Final = 1
USAGE: Final = 2
NOTHING: Final = 3
OURS: Final = 4


class AnalyzerError(Exception):
    """Base: nothing could be read or judged (exit code 3) unless it says otherwise."""

    def __init__(self, sentence: str, code: int = NOTHING) -> None:
        super().__init__(sentence)
        self.code = code


class UsageError(AnalyzerError):
    """Wrong usage: exit code 2."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, USAGE)
