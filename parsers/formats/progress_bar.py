r"""tqdm's progress bars: the only place where many logs show the step they are at.

    `  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]`            tqdm, any version; redrawn with `\r` on stderr
    `Training:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, loss=0.52]`      with a description and a postfix

A bar says how far something is, not what: `steps.py` finds out which bar counts training steps.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from parsers.bars import bars, tick_of
from parsers.dull import shown
from parsers.line import Line
from parsers.model import Record, Row, Tick
from parsers.plain import Part, Plain
from parsers.registry import text_reader
from parsers.regular import rows_of
from parsers.said import Ticks


def _parse(line: Line) -> Iterator[Row]:
    """A count as a row, where a line has one bar and no metrics in it."""
    tick = tick_of(line) if line.text.count("%|") == 1 else None
    if tick is not None and tick.seconds is not None and not any(bars(line.text)):
        yield Row(line.no, (("total", float(tick.total)), ("seconds", tick.seconds)), tick.step)


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
    parse=_parse,
)
class ProgressBar:
    """Reports each count that a bar shows as a tick."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A tick for a line that holds a bar with a known total."""
        tick = tick_of(line) if "%|" in line.text else None
        return () if tick is None else (tick,)

    def bar(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The tick of a bar without a description."""
        step, total, elapsed = found.groups()
        seconds = 0.0
        for part in elapsed.split(b":"):
            seconds = seconds * 60 + int(part)
        return (Tick(number, int(step), int(total), seconds),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Ticks]:
        """The ticks of many bars."""
        return [one for part in parts for one in _ticks(part)]

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _ticks(part: Part) -> Iterator[Ticks]:
    method, at, lines, cells = part
    if method:
        yield Ticks(at, lines, cells.ints(1), cells.ints(2), cells.durations(3))
        return
    for rows in rows_of(part, None):
        totals, seconds = rows.columns
        yield Ticks(at, lines, rows.steps or (), list(map(int, totals)), seconds)
