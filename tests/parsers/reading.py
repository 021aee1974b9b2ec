"""What text readers find in a piece of log: one reader alone, or all of them together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from parsers.model import Record
from parsers.read import make_router
from parsers.registry import Router, TextFormat
from parsers.scanner import Scanner
from parsers.source import Cutter

FILE = "run.log"


def scan(router: Router, text: str) -> list[tuple[str, Record]]:
    """(reader, record) of everything that this router's readers find."""
    cutter, scanner = Cutter(), Scanner(router, FILE, strict=True)
    found: list[tuple[str, Record]] = []
    for block in [*cutter.feed(text.encode()), *cutter.close()]:
        found += scanner.feed(block)
    return [*found, *scanner.close()]


def alone(form: TextFormat, text: str) -> Sequence[Record]:
    """What this reader finds when no other one listens."""
    return [record for _, record in scan(Router([form]), text)]


def readers_of(text: str) -> dict[str, Counter[str]]:
    """reader → how many records of each kind (`Row`, `Event`, …) it finds beside all others."""
    found: dict[str, Counter[str]] = {}
    for name, record in scan(make_router(), text):
        found.setdefault(name, Counter())[type(record).__name__] += 1
    return found
