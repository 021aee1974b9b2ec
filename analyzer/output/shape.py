"""Whether a document that somebody sent has the shape of ours: the part of JSON Schema that `schema.py` uses, nothing else.

A result document is loaded from a file that anybody may have written, and what draws it relies on closed sets (severities,
outcomes, states) and on types. The published schema says all of that already.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any, Final

_TYPES: Final[Mapping[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}
_AXES: Final = ("integer", ["integer", "null"])
_LARGEST: Final = 2**63
"""Integers that a step, a line or a count can be: larger ones have no place on an axis."""


def mismatch(document: object) -> str:
    """Where a document first departs from the schema, as a sentence's end (`run.outcome is not …`); '' where it does not."""
    return next(_mismatches(document, _schema(), "the document"), "")


@cache
def _schema() -> dict[str, Any]:
    from analyzer.output.schema import schema

    return schema()


def _mismatches(value: Any, wanted: Mapping[str, Any], place: str) -> Iterator[str]:
    if "$ref" in wanted:
        wanted = _schema()["$defs"][wanted["$ref"].rpartition("/")[2]]
    if "oneOf" in wanted:
        if all(any(_mismatches(value, one, place)) for one in wanted["oneOf"]):
            yield f"{place} is of another kind"
        return
    if "enum" in wanted and not (isinstance(value, str) and value in wanted["enum"]):
        yield f"{place} is none of {', '.join(wanted['enum'])}"
        return
    if "type" in wanted and not _is_of_type(value, wanted["type"]):
        yield f"{place} is no {_named(wanted['type'])}"
        return
    if wanted.get("type") in _AXES and value is not None and not wanted.get("minimum", -_LARGEST) <= value < _LARGEST:
        yield f"{place} is out of range"
    elif isinstance(value, list):
        yield from _in_list(value, wanted, place)
    elif isinstance(value, dict):
        yield from _in_object(value, wanted, place)


def _is_of_type(value: Any, types: str | list[str]) -> bool:
    return any(_TYPES[name](value) for name in ([types] if isinstance(types, str) else types))


def _named(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)


def _in_list(value: list[Any], wanted: Mapping[str, Any], place: str) -> Iterator[str]:
    if len(value) < wanted.get("minItems", 0):
        yield f"{place} is too short"
    item = wanted.get("items")
    if item:
        for number, one in enumerate(value):
            yield from _mismatches(one, item, f"{place}[{number}]")


def _in_object(value: dict[str, Any], wanted: Mapping[str, Any], place: str) -> Iterator[str]:
    known: Mapping[str, Any] = wanted.get("properties", {})
    for name in wanted.get("required", ()):
        if name not in value:
            yield f"{place} has no {name}"
    further = wanted.get("additionalProperties")
    for name, one in value.items():
        rule = known.get(name, further)
        if isinstance(rule, dict):
            yield from _mismatches(one, rule, f"{place}.{name[:40]}" if place != "the document" else name[:40])
