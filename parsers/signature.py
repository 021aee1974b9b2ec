"""Lines that the caller asks for: a cause's own pattern becomes an event without a reader of its own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final, NamedTuple

from parsers import kinds
from parsers.line import BY_FIRST, Line, make_line
from parsers.model import Event, Record
from parsers.registry import TextFormat
from parsers.skeletons import skeleton

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


class _Sought(NamedTuple):
    """A signature with what its pattern says of lines before it is searched: see `_floats` and `needle`."""

    signature: Signature
    is_floating: bool
    needle: bytes

    @classmethod
    def of(cls, signature: Signature) -> _Sought:
        pattern, hint = signature.pattern, signature.hint
        return cls(signature, _floats(pattern, hint), needle(pattern, hint))


class _Reader:
    hungry = False

    def __init__(self, by_hint: Mapping[bytes, tuple[_Sought, ...]]) -> None:
        self._wanted = dict(by_hint)
        self._events: dict[str, list[Event]] = {}
        self.spent: list[bytes] = []

    def feed(self, line: Line) -> Iterable[Record]:
        wanted = self._wanted
        for hint in line.hints if len(line.hints) == 1 else dict.fromkeys(line.hints):
            for sought in wanted.get(hint, ()):
                if _is_match(sought.signature, line):
                    self._add(sought.signature, line, hint)
        return ()

    def close(self) -> Iterable[Record]:
        for events in self._events.values():
            yield from events

    def refutes(self, hints: Iterable[bytes], fragment: bytes) -> bool:
        """Whether none of the patterns behind its hints fits a line.

        A line without escapes differs from its bytes in what stands before it only: patterns that do not look for a line's
        beginning are searched in the bytes' text.
        """
        is_changed = len(fragment) > MAX_TEXT or _is_changed(fragment)
        text, line = "", None
        for hint in hints:
            for signature, is_floating, words in self._wanted.get(hint, ()):
                if is_changed or not is_floating:
                    line = line or make_line("", 0, fragment)
                    if _is_match(signature, line):
                        return False
                    continue
                if words not in fragment:
                    continue
                text = text or fragment.decode("utf-8", "replace").rstrip()
                if _compiled(signature.pattern).search(text):
                    return False
        return True

    def refutes_all(self, hints: Sequence[bytes], lines: bytes) -> bool:
        """Whether none of the patterns behind these hints fits any of many whole lines.

        A pattern that wants a line's beginning is looked for anywhere: where it fits nowhere, it fits at no beginning. Where it
        fits, the beginnings of lines are looked at that have nothing in front.
        """
        lines = _bare(lines) if b"\x1b" in lines else lines
        if _is_changed(lines):
            return False
        text = ""
        for hint in hints:
            for signature, _, words in self._wanted.get(hint, ()):
                pattern = signature.pattern.removeprefix("^")
                if not _floats(pattern, signature.hint) or "$" in pattern:
                    return False
                if words not in lines:
                    continue
                text = text or lines.decode("utf-8", "replace")
                if _compiled(pattern).search(text) and (pattern is signature.pattern or _begins(pattern, text)):
                    return False
        return True

    def __deepcopy__(self, memo: object) -> _Reader:
        """Itself: closing it changes nothing, and a copy would cost every signature."""
        return self

    def _add(self, signature: Signature, line: Line, hint: bytes) -> None:
        known = self._events.setdefault(signature.id, [])
        known.append(Event(kinds.SIGNATURE, line.ref, rank=line.rank, time=line.time, data={"id": signature.id}))
        if len(known) == KEPT:
            self._wanted[hint] = tuple([one for one in self._wanted[hint] if one.signature is not signature])
            if not self._wanted[hint]:
                self.spent.append(hint)


def _is_match(signature: Signature, line: Line) -> bool:
    if signature.pattern == signature.hint:  # its literal is all of it, and was found
        return True
    pattern = _compiled(signature.pattern)
    if pattern.search(line.text[:MAX_TEXT]):
        return True
    return line.raw != line.text and pattern.search(line.raw[:MAX_TEXT]) is not None


def _begins(pattern: str, text: str) -> bool:
    """Whether a pattern fits at the beginning of one of these lines, or may do so behind what a launcher put in front."""
    firsts = {line[:1] for line in text.split("\n")}
    if _BLANKS in text or any(prefix.search(text) for first in firsts for prefix in _prefixes(first)):
        return True
    return re.search(rf"^[ \t]{{0,{len(_BLANKS)}}}(?:{pattern})", text, re.MULTILINE) is not None


_BLANKS: Final = " " * 50


@cache
def _prefixes(first: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(f"^(?:{prefix.pattern})", re.MULTILINE) for prefix in BY_FIRST.get(first, ()))


def _is_changed(text: bytes) -> bool:
    """Whether `make_line` takes something out of these bytes, or unpacks them."""
    return b"\x1b" in text or b"\0" in text or b"\x08" in text or b"across cluster]" in text or b'{"log":"' in text


_ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]")
_COLOUR = re.compile(rb"\x1b\[[;?]*[A-Za-z]")
"""An escape sequence in a skeleton, where it has no digits."""


def _bare(lines: bytes) -> bytes:
    """Text without its escape sequences: lines of one kind mostly have the first one's."""
    for code in dict.fromkeys(_ESCAPE.findall(lines[:MAX_TEXT])):
        lines = lines.replace(code, b"")
    return _ESCAPE.sub(b"", lines) if b"\x1b" in lines else lines


@cache
def _floats(pattern: str, hint: str) -> bool:
    """Whether a pattern fits wherever its words stand; a mere literal fits always."""
    return pattern != hint and not any(anchor in pattern.replace("[^", "[") for anchor in ("^", r"\A", r"\Z", "(?<"))


_OPAQUE = re.compile(r"\\.|\[\^?\]?[^\]]*\]")
_GROUP = re.compile(r"\([^()]*\)")
_REPEATED = re.compile(r"(?s:.)(?:[?*]|\{[\d,]*\})\??")
_LITERAL = re.compile(r"[A-Za-z0-9 _/:=,'-]+")


@cache
def needle(pattern: str, hint: str) -> bytes:
    """Words that stand in every text that a pattern fits, beside its hint; b'' where none can be told."""
    bare = _OPAQUE.sub("\0", pattern)
    while (shorter := _GROUP.sub("\0", bare)) != bare:
        bare = shorter
    if "|" in bare or "(" in bare:
        return b""
    words = [word for word in _LITERAL.findall(_REPEATED.sub("\0", bare)) if word not in hint]
    return max(words, key=len, default="").encode()


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Kept for the process: the patterns are the causes' own, some six hundred."""
    return re.compile(pattern)


def signature_format(signatures: Sequence[Signature]) -> TextFormat:
    """A text format that reports these signatures."""
    by_hint: dict[str, tuple[Signature, ...]] = {}
    for signature in signatures:
        by_hint[signature.hint] = (*by_hint.get(signature.hint, ()), signature)
    by_bytes = {hint.encode(): tuple(map(_Sought.of, found)) for hint, found in by_hint.items()}

    def is_dull(hint: bytes, bare: bytes) -> bool:
        """Whether words that each of these patterns needs beside its hint cannot stand in lines with this skeleton."""
        bare = _COLOUR.sub(b"", bare)
        return not _is_changed(bare) and all((words := skeleton(one.needle)) and words not in bare for one in by_bytes[hint])

    return TextFormat(
        NAME, "patterns of the causes", tuple(by_hint), "", lambda: _Reader(by_bytes), is_dull=is_dull, is_search=True
    )
