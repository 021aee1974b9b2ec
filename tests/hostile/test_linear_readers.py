"""No reader's patterns go wild: its own example, repeated, stretched and torn into lines of 16 KB, costs it next to nothing.

A time is a weak witness on a loaded machine, so the bound is generous: all lines that were linear when this was written take less
than 30 ms, a pattern of quadratic cost takes a third of a second, one of exponential cost never ends.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from parsers import registry
from parsers.registry import Router, TextFormat
from parsers.scanner import Scanner
from parsers.source import Block

SIZE = 16 * 1024
SECONDS = 0.25
"""CPU seconds for two lines of 16 KB, twenty times what they should take; tried three times before it counts."""
FILLERS = (
    " ",
    "\t",
    "a",
    "A",
    "9",
    "9.",
    "0x",
    ", ",
    ": ",
    "=",
    "'",
    '"',
    "/",
    "\\",
    "(",
    "[",
    "{",
    "[[",
    "})",
    "|",
    "%|",
    "-",
    "_",
    ".",
)


def _stretched(unit: str) -> str:
    return unit * (SIZE // len(unit))


def _lines(form: TextFormat) -> Iterator[str]:
    """The example and the hints over and over; each filler in front, behind, at every kind of gap, and without an end."""
    example = form.example.splitlines()[0]
    yield from (_stretched(unit) for unit in (example, f"{example} ", *form.hints, *(f"{hint} " for hint in form.hints)))
    middle = len(example) // 2
    for filler in FILLERS:
        much = _stretched(filler)
        yield from (much + example, example + much, example[:middle] + much + example[middle:])
        yield from (hint + much for hint in form.hints[:4])
        yield re.sub(r"\d+", lambda found, filler=filler: found[0] + _stretched(filler), example, count=1)
        yield re.sub(r"(?<=\w)\b", lambda _, filler=filler: filler * 500, example, count=60)


def _seconds(form: TextFormat, line: str) -> float:
    scanner = Scanner(Router([form]), "run.log", strict=True)
    begin = time.process_time()
    for at, text in enumerate((line, form.example, line), 1):  # behind its example a reader may wait for more
        list(scanner.feed(Block(f"{text}\n".encode(), at)))
    list(scanner.close())
    return time.process_time() - begin


@pytest.mark.parametrize("form", registry.text_formats(), ids=lambda form: form.name)
def test_a_long_line_costs_its_reader_little(form: TextFormat) -> None:
    for line in dict.fromkeys(_lines(form)):
        assert any(_seconds(form, line) < SECONDS for _ in range(3)), (line[:60], line[-30:])
