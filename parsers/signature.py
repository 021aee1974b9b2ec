"""Lines that the caller asks for: a cause's own pattern becomes an event without a reader of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from parsers import kinds
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import TextFormat

NAME: Final = "signatures"
MAX_TEXT: Final = 2000
"""Characters of a line that are searched: patterns come from us and are short, but a line may be a megabyte."""
KEPT: Final = 3
"""Places that are kept per signature: after that it is known, and looking on would cost every line of a long log."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A pattern of `re` to look for in lines that hold `hint` (a literal of at least three characters)."""

    id: str
    pattern: str
    hint: str


class _Reader:
    hungry = False

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._by_hint: dict[bytes, list[Signature]] = {}
        for signature in signatures:
            self._by_hint.setdefault(signature.hint.encode(), []).append(signature)
        self._compiled: dict[str, re.Pattern[str]] = {}
        self._events: dict[str, list[Event]] = {}

    def feed(self, line: Line) -> Iterable[Record]:
        for hint in dict.fromkeys(line.hints):
            wanted = self._by_hint.get(hint)
            if not wanted:
                continue
            for signature in tuple(wanted):
                if self._is_match(signature, line):
                    known = self._events.setdefault(signature.id, [])
                    data = {"id": signature.id}
                    known.append(Event(kinds.SIGNATURE, line.ref, rank=line.rank, time=line.time, data=data))
                    if len(known) == KEPT:
                        wanted.remove(signature)
        return ()

    def close(self) -> Iterable[Record]:
        for events in self._events.values():
            yield from events

    def _is_match(self, signature: Signature, line: Line) -> bool:
        if signature.pattern == signature.hint:  # its literal is all of it, and was found
            return True
        pattern = self._compiled.get(signature.pattern)
        if pattern is None:
            pattern = self._compiled[signature.pattern] = re.compile(signature.pattern)
        if pattern.search(line.text[:MAX_TEXT]):
            return True
        return line.raw != line.text and pattern.search(line.raw[:MAX_TEXT]) is not None


def signature_format(signatures: Sequence[Signature]) -> TextFormat:
    """A text format that reports these signatures."""
    hints = tuple(dict.fromkeys(signature.hint for signature in signatures))
    return TextFormat(NAME, "patterns of the causes", hints, "", lambda: _Reader(signatures))
