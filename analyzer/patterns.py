"""The texts of clauses: conjunctions taken apart, and the `line:` patterns that readers must look for, each with a literal.

A line is looked at only where it holds the literal of a pattern, so every pattern needs one: its own, or the `hint` that
its clause names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from analyzer.cause import Cause
from parsers.signature import Signature

_AND = re.compile(r" and (?=(?:rule|event|line|package|config|arg|model|run|project|fact|hardware|tried|setting|metric):)")
_SPECIAL = re.compile(r"[\\^$.|?*+()\[\]{}]")


@cache
def conjuncts(when: str) -> tuple[str, ...]:
    """`a:… and b:…` → its clauses; a `line:` pattern may hold the word itself."""
    return tuple(_AND.split(when)) if " and " in when else (when,)


def signatures(causes: Sequence[Cause]) -> tuple[Signature, ...]:
    """Every `line:` pattern of these causes, with the literal to look for first."""
    found: dict[str, Signature] = {}
    for cause in causes:
        for texts, hint in _texts(cause):
            for text in (part for when in texts for part in conjuncts(when)):
                if text.startswith("line:"):
                    pattern = text[5:]
                    found.setdefault(pattern, Signature(pattern, pattern, _hint(pattern, hint)))
    return tuple(found.values())


def _texts(cause: Cause) -> list[tuple[tuple[str, ...], str]]:
    return [(texts, "") for texts in cause.requires.values()] + [(spec.whens, spec.hint) for spec in cause.evidence]


def _hint(pattern: str, named: str) -> str:
    """The literal that the clause names, where it is part of the pattern; else the pattern's own, else the named one."""
    if not _SPECIAL.search(pattern):
        return pattern
    if named and named in pattern:
        return named
    try:
        return literal(pattern)
    except ValueError:
        if not named:
            raise
        return named


@cache
def literal(pattern: str) -> str:
    """The longest literal that every match of `pattern` must hold: top level only, nothing optional or alternative.

    Raises ValueError where there is none of at least four characters: the clause then names a `hint`.
    """
    if "|" in re.sub(r"\([^()]*\)|\[[^\]]*\]|\\\|", "", re.sub(r"\([^()]*\)", "", pattern)) or "(?i)" in pattern:
        raise ValueError(f"no literal in {pattern!r}: name a hint")
    flat, depth = [""], 0
    index = 0
    while index < len(pattern):
        char = pattern[index]
        step = 1
        if char == "\\" and index + 1 < len(pattern):
            step = 2
            char = "" if pattern[index + 1] in "dDwWsSbBAZ" else pattern[index + 1]
        elif char == "[":
            step, char = pattern.index("]", index + 2) + 1 - index, ""
        elif char in "()":
            depth += 1 if char == "(" else -1
            char = ""
        elif char in ".^$":
            char = ""
        following = pattern[index + step : index + step + 1]
        if char in "*+?{" and char and step == 1:
            step = pattern.index("}", index) + 1 - index if char == "{" else 1
            flat.append("")
        elif depth or not char or following in ("*", "?", "{"):
            flat.append("")
        else:
            flat[-1] += char
        index += step
    best = max(flat, key=len)
    if len(best) < 4:
        raise ValueError(f"no literal of four characters in {pattern!r}: name a hint")
    return best
