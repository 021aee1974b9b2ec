"""One value of a JSON text changed where it stands: everything else keeps its place, so that a diff shows the change alone.

The text may hold what DeepSpeed's users put into a ds_config: comments, trailing commas, Python's words.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

_TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|#[^\n]*|[{}\[\],:]|[^\s{}\[\],:"/#]+')


class Member(NamedTuple):
    """A member of an object: its dotted path and where its value stands (for an object: from `{` to after `}`)."""

    path: str
    start: int
    end: int


def set_value(text: str, path: str, value: Any) -> str:
    """The text with the member at the dotted `path` set to a value, added (with its sections) where it is missing."""
    members = list(_members(text))
    found = next((one for one in members if one.path == path), None)
    if found is not None:
        return text[: found.start] + json.dumps(value) + text[found.end :]
    section, _, name = path.rpartition(".")
    holder = next((one for one in members if one.path == section), None)
    if holder is None or text[holder.start] != "{":
        return set_value(text, section, {name: value}) if section else text
    return _inserted(text, holder, section, name, value)


def _inserted(text: str, holder: Member, section: str, name: str, value: Any) -> str:
    """A new first member of an object, indented as its neighbours are."""
    depth = section.count(".") + 2 if section else 1
    step = re.search(r"\n([ \t]+)\S", text)
    indent = (step[1] if step else "  ") * depth
    head, rest = text[: holder.start + 1], text[holder.start + 1 :]
    if not text[holder.start + 1 : holder.end - 1].strip():
        outer = indent[: len(indent) * (depth - 1) // depth]
        return f'{head}\n{indent}"{name}": {_written(value, indent, depth)}\n{outer}{rest.lstrip()}'
    if not re.match(r"[ \t]*\r?\n", rest):
        return f'{head}"{name}": {json.dumps(value)}, {rest.lstrip(" ")}'
    return f'{head}\n{indent}"{name}": {_written(value, indent, depth)},{rest}'


def _written(value: Any, indent: str, depth: int) -> str:
    return json.dumps(value, indent=len(indent) // depth).replace("\n", "\n" + indent)


def _members(text: str) -> Iterator[Member]:
    """Every member, and the document itself under the empty path."""
    open_: list[tuple[str, int, bool]] = []
    name, pending = "", False
    for found in _TOKEN.finditer(text):
        piece = found[0]
        if piece.startswith(("//", "/*", "#")):
            continue
        prefix = open_[-1][0] if open_ else ""
        path = f"{prefix}.{name}" if prefix and name else name or prefix
        if piece in "{[":
            open_.append((path, found.start(), piece == "{"))
            name, pending = "", False
        elif piece in "}]":
            if open_:
                closed, start, is_object = open_.pop()
                inside_list = bool(open_) and not open_[-1][2]
                if not (is_object and inside_list):
                    yield Member(closed, start, found.end())
            name, pending = "", False
        elif piece == ":":
            pending = True
        elif piece == ",":
            name, pending = "", False
        elif open_ and open_[-1][2] and not pending:
            name = piece.strip('"')
        elif pending and open_ and open_[-1][2]:
            yield Member(path, found.start(), found.end())
            name, pending = "", False
