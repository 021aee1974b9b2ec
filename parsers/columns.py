"""CSV files as loggers write them → (line, cells by column): compressed, headers repeated at restarts, rows torn."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers.pairs import Numbers, numbers
from parsers.source import blocks

MAX_LINE: Final = 2**20


def header(first: bytes, between: str = ",") -> tuple[str, ...]:
    """The column names of a file that begins with these bytes, () where its first line is no plain header."""
    line = first.removeprefix(b"\xef\xbb\xbf").partition(b"\n")[0]
    if not line or len(line) > 2**14 or b"\0" in line:
        return ()
    names = tuple(cell.strip() for cell in _cells(line.decode("utf-8", "replace"), between))
    return names if all(names) and not any(numbers([("", name)]) for name in names) else ()


def table(path: Path, between: str = ",") -> Iterator[tuple[int, dict[str, str]]]:
    """(line number, cell by column) of each row; an empty dict where the header is repeated: the program began anew.

    A repeated header may differ (a logger that found new metrics). Rows with more or fewer cells keep those that have a
    column. Quoted cells end with their line.
    """
    names: tuple[str, ...] = ()
    for number, text in _lines(path):
        cells = [cell.strip() for cell in _cells(text, between)]
        if not any(cells):
            continue
        if not names:
            names = tuple(cells)
        elif cells[0] == names[0]:
            names = tuple(cells)
            yield number, {}
        else:
            yield number, dict(zip(names, cells, strict=False))


def values(cells: dict[str, str], without: frozenset[str]) -> tuple[Numbers, Numbers]:
    """(training values, evaluation values) of a row: empty cells and `without` left out, told apart by their names."""
    found = numbers((name, text) for name, text in cells.items() if text and name not in without)
    train = tuple(pair for pair in found if not is_eval(pair[0]))
    return train, tuple(pair for pair in found if pair not in train)


def is_eval(name: str) -> bool:
    """Whether a column's name says that it was measured on held-out data."""
    return name.lower().startswith(("val", "eval", "test", "dev"))


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for block in blocks(path):
        for number, line in enumerate(block.data.split(b"\n"), block.line):
            if line and len(line) < MAX_LINE:
                yield number, line.replace(b"\0", b"").decode("utf-8", "replace").rstrip("\r")


def _cells(text: str, between: str) -> list[str]:
    try:
        return next(csv.reader([text], delimiter=between), [])
    except csv.Error:
        return text.split(between)
