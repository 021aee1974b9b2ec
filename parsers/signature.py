"""Lines that the caller asks for: a cause's own pattern becomes an event without a reader of its own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from parsers import kinds
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import TextFormat

if TYPE_CHECKING:
    import regex

NAME: Final = "signatures"
TIMEOUT: Final = 0.05
"""Seconds that one pattern may take on one line."""
KEPT: Final = 3
"""Places that are kept per signature; further ones are counted."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A pattern of `regex` to look for in lines that hold `hint` (a literal of at least three characters)."""

    id: str
    pattern: str
    hint: str


class _Reader:
    hungry = False

    def __init__(self, signatures: Sequence[Signature]) -> None:
        self._by_hint: dict[bytes, list[Signature]] = {}
        for signature in signatures:
            self._by_hint.setdefault(signature.hint.encode(), []).append(signature)
        self._compiled: dict[str, regex.Pattern[str]] = {}
        self._events: dict[str, list[Event]] = {}
        self._counts: dict[str, int] = {}

    def feed(self, line: Line) -> Iterable[Record]:
        for hint in dict.fromkeys(line.hints):
            for signature in self._by_hint.get(hint, ()):
                if self._is_match(signature, line):
                    self._counts[signature.id] = self._counts.get(signature.id, 0) + line.repeats
                    known = self._events.setdefault(signature.id, [])
                    if len(known) < KEPT:
                        data = {"id": signature.id}
                        known.append(Event(kinds.SIGNATURE, line.ref, rank=line.rank, time=line.time, data=data))
        return ()

    def close(self) -> Iterable[Record]:
        for id_, events in self._events.items():
            for event in events:
                yield Event(event.kind, event.ref, None, event.rank, event.time, {"id": id_, "count": self._counts[id_]})

    def _is_match(self, signature: Signature, line: Line) -> bool:
        import regex

        pattern = self._compiled.get(signature.pattern)
        if pattern is None:
            pattern = self._compiled[signature.pattern] = regex.compile(signature.pattern)
        try:
            text = line.text[:4096]
            return pattern.search(text, timeout=TIMEOUT) is not None or (
                line.raw != line.text and pattern.search(line.raw[:4096], timeout=TIMEOUT) is not None
            )
        except TimeoutError:
            return False


def signature_format(signatures: Sequence[Signature]) -> TextFormat:
    """A text format that reports these signatures."""
    hints = tuple(dict.fromkeys(signature.hint for signature in signatures))
    return TextFormat(NAME, "patterns of the causes", hints, "", lambda: _Reader(signatures))
