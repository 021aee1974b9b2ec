"""No reader's patterns go wild: its own example, repeated, stretched and torn into lines of 8 KB, costs it next to nothing.

A time is a weak witness on a loaded machine, so the bound is generous: all lines that were linear when this was written take less
than 15 ms, a pattern of quadratic cost takes a twelfth of a second, one of exponential cost never ends. With `-m slow` the lines
have 16 KB: less than 30 ms, a third of a second.
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

SIZES = (8, pytest.param(16, marks=pytest.mark.slow))
"""KB of a line."""
SECONDS = {8: 0.07, 16: 0.25}
"""CPU seconds for two such lines, many times what they should take; tried four times before it counts."""
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


def _stretched(unit: str, size: int) -> str:
    return unit * (size * 1024 // len(unit))


def _lines(form: TextFormat, size: int) -> Iterator[str]:
    """The example and the hints over and over; each filler in front, behind, at every kind of gap, and without an end."""
    example = form.example.splitlines()[0]
    yield from (_stretched(unit, size) for unit in (example, f"{example} ", *form.hints, *(f"{hint} " for hint in form.hints)))
    middle = len(example) // 2
    for filler in FILLERS:
        much = _stretched(filler, size)
        yield from (much + example, example + much, example[:middle] + much + example[middle:])
        yield from (hint + much for hint in form.hints[:4])
        yield re.sub(r"\d+", lambda found, much=much: found[0] + much, example, count=1)
        yield re.sub(r"(?<=\w)\b", lambda _, filler=filler: filler * 500, example, count=60)


def _seconds(form: TextFormat, line: str) -> float:
    scanner = Scanner(Router([form]), "run.log", strict=True)
    begin = time.process_time()
    for at, text in enumerate((line, form.example, line), 1):  # behind its example a reader may wait for more
        list(scanner.feed(Block(f"{text}\n".encode(), at)))
    list(scanner.close())
    return time.process_time() - begin


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", registry.text_formats(), ids=lambda form: form.name)
def test_a_long_line_costs_its_reader_little(form: TextFormat, size: int) -> None:
    for line in dict.fromkeys(_lines(form, size)):
        assert any(_seconds(form, line) < SECONDS[size] for _ in range(4)), (line[:60], line[-30:])
