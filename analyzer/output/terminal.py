"""`Diagnosis` → one screen of text: verdict, proof, why, what to do. Colour adds, it never carries.

Built as plain text with a few SGR codes, so that piped output imports nothing. Every text of the log passes through
`neutral`: an escape sequence in a log must not reach the terminal.
"""

from __future__ import annotations

import os
import sys
from typing import Final

from analyzer.model import Diagnosis
from analyzer.output.strings import catalogue
from analyzer.output.summary import Line, Summary
from analyzer.output.translate import translated

WIDEST: Final = 110
"""Longer lines are hard to read, however wide the window is."""
NARROWEST: Final = 40
PIPED: Final = 100

_SGR: Final = {
    "bold": "1", "dim": "2", "critical": "31", "warning": "33", "info": "36", "failed": "1;41;97",
    "suspicious": "1;43;30", "healthy": "1;42;30", "unjudged": "1;47;30", "for": "32", "against": "31",
    "unknown": "33", "head": "1", "code": "36",
}  # fmt: skip


def render(
    diagnosis: Diagnosis, *, width: int | None = None, color: bool | None = None, lang: str = "en", bars: bool | None = None
) -> str:
    """The summary, ending in a line feed.

    `width` in columns (the window's or $COLUMNS where None, 100 when piped), `color` and `bars` as the output allows where None:
    NO_COLOR, FORCE_COLOR and TERM=dumb are honoured, and a pipe gets neither colour nor bars.
    """
    terminal = sys.stdout.isatty()
    colored = _wants_color(terminal) if color is None else color
    s = catalogue(lang)
    page = Summary(translated(diagnosis, s), s, _width(width, terminal), (terminal or colored) if bars is None else bars)
    return "\n".join(_paint(line, colored) for line in page.lines()) + "\n"


def _wants_color(terminal: bool) -> bool:
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return terminal and os.environ.get("TERM") != "dumb"


def _width(width: int | None, terminal: bool) -> int:
    if width is None:
        import shutil

        width = shutil.get_terminal_size((PIPED, 24)).columns if terminal or os.environ.get("COLUMNS") else PIPED
    return max(NARROWEST, min(width, WIDEST))


def _paint(line: Line, colored: bool) -> str:
    if not colored:
        return "".join(text for text, _ in line).rstrip()
    return "".join(f"\x1b[{_SGR[style]}m{text}\x1b[0m" if style and text.strip() else text for text, style in line)
