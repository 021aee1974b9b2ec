"""What a watcher prints: a live view on a terminal, plain lines in a pipe, JSON Lines for machines.

Findings are lines that stay; on a terminal a few lines below them show the run as it stands and are drawn again.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Any, Final, Protocol, TextIO

from analyzer.live.ledger import Change
from analyzer.live.session import Session
from analyzer.live.status import screen
from analyzer.model import Diagnosis, Finding
from analyzer.output import document
from analyzer.output.plain import neutral
from analyzer.output.redact import redact, redact_text
from analyzer.output.strings import Strings, catalogue
from analyzer.output.translate import sentence

DRAW: Final = 0.5
"""Seconds between two drawings of the live view."""
_COLOR: Final = {"critical": "1;31", "warning": "33", "info": "36", "withdrawn": "32", "dim": "2", "head": "1"}


class View(Protocol):
    """Where a watcher's words go."""

    def changes(self, session: Session, changes: Sequence[Change]) -> None:
        """Findings that are new, changed or withdrawn."""

    def show(self, sessions: Sequence[Session], now: float) -> None:
        """The runs as they stand."""

    def say(self, text: str) -> None:
        """Something that the watcher did."""

    def end(self, reason: str, diagnoses: Sequence[Diagnosis]) -> None:
        """The last word."""


def line_of(change: Change, place: str, s: Strings | None = None) -> str:
    """A change in one line: severity, rule, step, summary, place; in the words of a catalogue (English)."""
    finding, s = change.finding, s or catalogue()
    step = "" if finding.first_step is None else s("live.at_step", step=finding.first_step)
    severity = s(f"severity.{finding.severity}")
    words = {"found": severity, "updated": s("live.now", severity=severity), "withdrawn": s("live.withdrawn")}
    if change.kind == "withdrawn":
        return s("live.line", word=words["withdrawn"], rule=finding.rule, step=step, what="", place=place)
    sure = "" if finding.confidence == "high" else s("translate.comma") + s(f"confidence.{finding.confidence}")
    what = s("live.what", summary=neutral(sentence(finding.summary, s)))
    return s("live.line", word=words[change.kind] + sure, rule=finding.rule, step=step, what=what, place=place)


def place_of(finding: Finding) -> str:
    """The file and line that a finding stands on."""
    ref = finding.evidence[0].ref
    return f"{neutral(ref.file)}:{ref.line}"


class PlainView:
    """One line a change, with the time of day."""

    def __init__(self, color: bool = False, stream: TextIO | None = None, lang: str = "en") -> None:
        self._color = color
        self._words = catalogue(lang)
        self._stream = stream or sys.stdout

    def changes(self, session: Session, changes: Sequence[Change]) -> None:
        """Prints a line for each, and the log's own line below a new one."""
        for change in changes:
            ref = change.finding.evidence[0].ref
            style = "withdrawn" if change.kind == "withdrawn" else change.finding.severity
            self._print(line_of(change, place_of(change.finding), self._words), style)
            text = ref.text or session.follower.text(ref.file, ref.line)
            if text and change.kind == "found":
                self._print("    " + neutral(text)[:200], "dim", stamp=False)

    def show(self, sessions: Sequence[Session], now: float) -> None:
        """Nothing: a pipe is no screen."""

    def say(self, text: str) -> None:
        """Prints a line."""
        self._print(neutral(sentence(text, self._words)), "dim")

    def end(self, reason: str, diagnoses: Sequence[Diagnosis]) -> None:
        """Prints why it ended, and the summary of each run."""
        from analyzer.output import terminal

        self._print(sentence(reason, self._words), "dim")
        for diagnosis in diagnoses:
            self._stream.write("\n" + terminal.render(diagnosis, color=self._color or None, lang=self._words.lang))
        self._stream.flush()

    def _print(self, text: str, style: str, stamp: bool = True) -> None:
        text = f"{time.strftime('%H:%M:%S')} {text}" if stamp else text
        self._stream.write(self._styled(text, style) + "\n")
        self._stream.flush()

    def _styled(self, text: str, style: str) -> str:
        return f"\x1b[{_COLOR[style]}m{text}\x1b[0m" if self._color and style else text


class LiveView(PlainView):
    """Lines as in a pipe, and below them the runs as they stand."""

    def __init__(self, color: bool | None = None, lang: str = "en") -> None:
        """`color`: None asks the environment (`NO_COLOR`, `TERM=dumb`)."""
        plain = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" if color is None else color
        super().__init__(plain, lang=lang)
        self._height = 0
        self._drawn = 0.0

    def show(self, sessions: Sequence[Session], now: float) -> None:
        """Draws the status lines, at most twice a second."""
        if now - self._drawn < DRAW:
            return
        self._drawn = now
        size = shutil.get_terminal_size((100, 24))
        lines = screen(sessions, now, size.columns, max(3, size.lines - 2), self._words)
        self._clear()
        self._stream.write("".join(self._styled(text, style) + "\n" for style, text in lines))
        self._stream.flush()
        self._height = len(lines)

    def end(self, reason: str, diagnoses: Sequence[Diagnosis]) -> None:
        """Takes the status away and prints the summary."""
        self._clear()
        super().end(reason, diagnoses)

    def _print(self, text: str, style: str, stamp: bool = True) -> None:
        self._clear()
        super()._print(text, style, stamp)

    def _clear(self) -> None:
        if self._height:
            self._stream.write(f"\x1b[{self._height}A\x1b[J")
            self._height, self._drawn = 0, 0.0


class NoticeView(PlainView):
    """Lines on standard error beside a command's own output; the last word is the caller's."""

    def __init__(self) -> None:
        super().__init__(stream=sys.stderr)

    def end(self, reason: str, diagnoses: Sequence[Diagnosis]) -> None:
        """Nothing."""


class SilentView(NoticeView):
    """Says nothing."""

    def _print(self, text: str, style: str, stamp: bool = True) -> None:
        """Nothing."""


class JsonView:
    """One JSON object a line: `found`, `updated`, `withdrawn`, `action`, `end`."""

    def __init__(self, redacts: bool = True) -> None:
        self._redacts = redacts

    def changes(self, session: Session, changes: Sequence[Change]) -> None:
        """Writes the findings as the result document has them."""
        for change in changes:
            finding = document.finding(change.finding)
            self._write({"event": change.kind, "run": session.root, "early": change.is_early, "finding": finding})

    def show(self, sessions: Sequence[Session], now: float) -> None:
        """Nothing: machines ask `--listen`."""

    def say(self, text: str) -> None:
        """Writes what was done."""
        self._write({"event": "action", "text": text})

    def end(self, reason: str, diagnoses: Sequence[Diagnosis]) -> None:
        """Writes the reason and the result documents."""
        shared = [redact(one)[0] for one in diagnoses] if self._redacts else list(diagnoses)
        documents = [document.document(one, with_curves=False) for one in shared]
        self._write({"event": "end", "reason": reason, "documents": documents})

    def _write(self, what: dict[str, Any]) -> None:
        text = json.dumps(document.safe(what), ensure_ascii=False, allow_nan=False)
        sys.stdout.write((redact_text(text) if self._redacts else text) + "\n")
        sys.stdout.flush()
