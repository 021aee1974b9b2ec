"""`name: value` pairs of a metric line → the (name, number) tuples of a `Row`, units converted where they are known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from parsers.values import number

Numbers = tuple[tuple[str, float], ...]

_SAME: Final[Mapping[str, tuple[str, float]]] = {}


def numbers(items: Iterable[tuple[str, str]], convert: Mapping[str, tuple[str, float]] = _SAME) -> Numbers:
    """The pairs whose value is a number, in order; of a repeated name the first.

    `convert` gives (new name, factor) for names whose unit is not the contract's: {"time": ("step_time", 0.001)}.
    """
    found: dict[str, float] = {}
    for name, text in items:
        value = number(text)
        if value is not None:
            new, factor = convert.get(name, (name, 1.0))
            found.setdefault(new, value * factor)
    return tuple(found.items())


def split(text: str, between: str, inside: str = ":") -> list[tuple[str, str]]:
    """`a: 1 | b: 2` → [("a", "1"), ("b", "2")]; parts without `inside` are left out."""
    pairs = (part.partition(inside) for part in text.split(between))
    return [(name.strip(), value.strip()) for name, mark, value in pairs if mark and name.strip()]
