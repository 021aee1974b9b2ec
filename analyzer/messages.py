"""Messages that only one of two runs printed: lines as templates, with numbers, addresses, stamps and paths taken out.

What sounds like trouble comes first. Progress bars and records of metrics are no messages; a run's curves are compared elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from parsers.model import MAX_TEXT, SourceFile, SourceRef
from parsers.source import UnreadableError, blocks, shown

MAX_BYTES: Final = 256 * 2**20
"""Bytes of a run that are searched: what a run complains of, it complains of early or at its end; see `_lines`."""
MAX_TEMPLATES: Final = 100_000
MAX_LINE: Final = 2000
MAX_MESSAGES: Final = 200

_TROUBLE: Final = re.compile(
    r"error|warn|exception|traceback|fail|\bnan\b|overflow|skipp|time[d ]?out|killed|abort|mismatch|invalid|cannot|can't|unable"
    r"|refus|corrupt|not found|missing|unexpected|fallback|falling back|deprecat|ignor|denied|no space|out of memory|exceed",
    re.IGNORECASE,
)
_NOISE: Final = re.compile(r"it/s|s/it|\d%\|| \d+/\d+ \[|'loss':|\"loss\":|loss[=:] ?\d|lm loss|'train_runtime'")
_VARIABLE: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{12,}|\d+(?:[.:,_-]\d+)*(?:e[+-]?\d+)?", re.IGNORECASE)
_RANK: Final = re.compile(r"^\[(?:rank|default)\d+\]: ?")
_PATH: Final = re.compile(r"(?:[A-Za-z]:)?(?:[\w.~@+-]*[/\\]){2,}(?=[\w.~@+-]*)")
_DATA: Final = (".json", ".jsonl", ".csv", ".tsv", ".yaml", ".yml", ".lock")
"""Files that hold records or settings, not messages."""
_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|\[\d{1,2}m")


@dataclass(frozen=True, slots=True)
class Message:
    """A message of one run that the other never printed, where it stands first, and how often."""

    text: str
    count: int
    ref: SourceRef
    is_trouble: bool


def only_in(files: Iterable[SourceFile], others: Iterable[SourceFile]) -> tuple[Message, ...]:
    """Messages of `files` that `others` never printed: trouble first, then in the order of the log."""
    known = {template for template, _, _ in _templates(others)}
    found: dict[str, tuple[int, SourceRef]] = {}
    for template, ref, _ in _templates(files):
        if template in known:
            continue
        count, first = found.get(template, (0, ref))
        found[template] = (count + 1, first)
    made = [Message(ref.text, count, ref, _TROUBLE.search(ref.text) is not None) for count, ref in found.values()]
    return tuple(sorted(made, key=lambda one: not one.is_trouble)[:MAX_MESSAGES])


def _templates(files: Iterable[SourceFile]) -> Iterator[tuple[str, SourceRef, str]]:
    seen = 0
    for file in files:
        if not file.lines or file.path.endswith(_DATA):  # binary files have no lines
            continue
        for number, text in _lines(file.path):
            made = template(text)
            if made and seen < MAX_TEMPLATES:
                seen += 1
                yield made, SourceRef(file.path, number, text[:MAX_TEXT]), text


def template(text: str) -> str:
    """A line without what changes from run to run; '' for what is no message."""
    if len(text) > MAX_LINE or _NOISE.search(text):
        return ""
    bare = _VARIABLE.sub("#", _PATH.sub("", _RANK.sub("", text.lower())))
    return " ".join(bare.split()) if sum(map(str.isalpha, bare)) >= 4 else ""


def _lines(path: str) -> Iterator[tuple[int, str]]:
    """(line, text) of a file's lines, of redrawn ones the last drawing; a file that cannot be read again says nothing."""
    size = 0
    try:
        for block in blocks(path):
            size += len(block.data)
            for offset, line in enumerate(block.data.split(b"\n")):
                last = line.rstrip(b"\r").rpartition(b"\r")[2]
                if last.strip():
                    yield block.line + offset, _ANSI.sub("", shown(last)).strip()
            if size > MAX_BYTES:
                return
    except UnreadableError:
        return
