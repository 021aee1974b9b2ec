"""JSON as training programs write it → numbers: bare `NaN`, `Infinity`, numbers in strings, nested groups."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Final

from parsers.values import number

MAX_DEPTH: Final = 6
"""Groups within groups that are followed: deeper ones hold configuration, not metrics."""


def load(text: str | bytes) -> dict[str, object] | None:
    """The object that `text` is, or None where it is no JSON object. Never raises."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def within(text: str) -> dict[str, object] | None:
    """The object between the first `{` and the last `}` of a line, or None: loggers put a prefix before it."""
    start, end = text.find("{"), text.rfind("}")
    return load(text[start : end + 1]) if 0 <= start < end else None


def as_number(value: object) -> float | None:
    """A JSON value as a number; strings count where they show one ("NaN", "0.5"); booleans do not."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return number(value[:64]) if isinstance(value, str) else None


def numbers(group: Mapping[str, object], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, float]]:
    """(name, number) of everything numeric, nested names joined with `/`."""
    for key, value in group.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                yield from numbers(value, f"{name}/", depth + 1)
        elif (found := as_number(value)) is not None:
            yield name, found


def flat(group: Mapping[str, object], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, str | int | float | bool | None]]:
    """(dotted name, scalar) of a configuration; lists become text."""
    for key, value in group.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and depth < MAX_DEPTH:
            yield from flat(value, f"{name}.", depth + 1)
        elif value is None or isinstance(value, str | int | float | bool):
            yield name, value[:300] if isinstance(value, str) else value
        elif isinstance(value, list):
            yield name, json.dumps(value)[:300]
