"""The end of watching: why it ended, the exit code that says so, the report."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

from analyzer.errors import FOUND, NOTHING, OK
from analyzer.model import Diagnosis
from analyzer.output import forms
from analyzer.writing import exit_code, write

STOPPED: Final = 5
QUIET: Final = 6
INTERRUPTED: Final = 130
Reason = Literal["ended", "gone", "stopped", "quiet", "missing", "interrupted"]
WORDS: Final[dict[Reason, str]] = {
    "ended": "the run is over",
    "gone": "the training process is gone",
    "stopped": "the training process was stopped",
    "quiet": "nothing new was written for as long as --max-wait allows",
    "missing": "the file did not appear within --max-wait",
    "interrupted": "interrupted",
}
SUFFIXES: Final = (".html", ".json", ".md")
"""What a report's name may end in."""


def code(reason: Reason, diagnoses: Sequence[Diagnosis], fail_on: str) -> int:
    """The exit code: who ended it, then what was found, then whether the run was over."""
    if reason == "interrupted":
        return INTERRUPTED
    if reason == "stopped":
        return STOPPED
    codes = {exit_code(one, fail_on) for one in diagnoses} or {NOTHING}
    if FOUND in codes:
        return FOUND
    if reason == "quiet" and diagnoses:
        return QUIET
    return OK if OK in codes else max(codes)


def report(path: Path, diagnosis: Diagnosis, redacts: bool = True, lang: str = "en") -> None:
    """Writes a report; its suffix says which form."""
    write(path, forms.shared(diagnosis, forms.BY_SUFFIX.get(path.suffix, "html"), lang, redacts))
    print(f"{path}", file=sys.stderr)
