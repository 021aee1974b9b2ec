r"""tqdm's progress bars: the only place where many logs show the step they are at.

    `  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]`            tqdm, any version; redrawn with `\r` on stderr
    `Training:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, loss=0.52]`      with a description and a postfix

A bar says how far something is, not what: `steps.py` finds out which bar counts training steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Record, Tick
from parsers.plain import Part, Plain
from parsers.registry import text_reader
from parsers.said import Ticks
from parsers.values import duration_seconds

_PERCENT: Final = "%|"
_REST = Lazy(r"[^|]{0,200}\| (?P<step>\d{1,12})/(?P<total>\d{1,12}) \[(?P<time>[\d:]{1,30})[<, ]")
_BEFORE: Final = 120
"""Characters before the percentage that are looked at: blanks, digits and 80 of the description."""
_LABEL: Final = 80


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    return text is not None and b"%|" not in text


@text_reader(
    "progress_bar",
    title="tqdm progress bars (steps)",
    hints=("it/s", "s/it", "?it/s"),
    example="  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]",
    plain=(
        Plain(
            r" {0,3}\d{1,3}%\|(?:[ #\d]|\xe2\x96[\x88-\x8f]){0,200}\| (\d{1,15})/(\d{1,15}) "
            r"\[(\d{1,4}(?::\d\d){1,2})<(?:\d{1,4}(?::\d\d){1,2}|\?), {1,4}(?:\d{1,9}\.\d\d|\?)(?:s/it|it/s)\]",
            "bar",
            ("  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]", "  4%|▍         | 10/250 [00:29<11:40,  2.92it/s]"),
            frozenset({"tqdm_postfix", "lightning"}),
            is_columnar=True,
        ),
    ),
    is_dull=_is_dull,
)
class ProgressBar:
    """Reports each count that a bar shows as a tick."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A tick for a line that holds a bar with a known total."""
        text = line.text
        at = text.find(_PERCENT)
        while at >= 0:
            found = _REST.match(text, at + len(_PERCENT))
            label = _label(text[max(0, at - _BEFORE) : at]) if found else None
            if found and label is not None:
                yield Tick(line.no, int(found["step"]), int(found["total"]), duration_seconds(found["time"]), label)
                return
            at = text.find(_PERCENT, at + 1)

    def bar(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The tick of a bar without a description."""
        step, total, elapsed = found.groups()
        seconds = 0.0
        for part in elapsed.split(b":"):
            seconds = seconds * 60 + int(part)
        return (Tick(number, int(step), int(total), seconds, ""),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Ticks]:
        """The ticks of many bars without a description."""
        return [Ticks(at, lines, cells.ints(1), cells.ints(2), cells.durations(3)) for _, at, lines, cells in parts]

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _label(before: str) -> str | None:
    """The description in what stands before `%|`, None where no number does."""
    bare = before.rstrip("0123456789")
    if len(bare) == len(before):
        return None
    bare = before[: max(len(bare), len(before) - 3)].rstrip().removesuffix(":")
    return bare.rpartition("|")[2][-_LABEL:].strip().rstrip(":")
