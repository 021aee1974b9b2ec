"""What a rule's page says a finding does not mean: read out of `analyzer/rules/<id>.md`, the page `explain` prints."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent.parent / "rules"
_HEADING: Final = "what it does not mean"


@cache
def not_meant(rule: str) -> tuple[str, ...]:
    """The points under *What it does not mean* as plain text; none where the page or the section is missing."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", rule):
        return ()
    try:
        text = (_FOLDER / f"{rule.replace('-', '_')}.md").read_text("utf-8")
    except OSError:
        return ()
    parts = re.split(r"^#+[ \t]*(.+?)[ \t]*$", text, flags=re.MULTILINE)
    sections = {parts[i].lower(): parts[i + 1] for i in range(1, len(parts) - 1, 2)}
    points = re.split(r"\n(?=[-*] )|\n\n", sections.get(_HEADING, "").strip())
    plain = (_plain(" ".join(point.split()).removeprefix("- ")) for point in points)
    return tuple(point for point in plain if point)


def _plain(text: str) -> str:
    """The text without the marks of code and emphasis; `2**32` is neither."""
    return re.sub(r"\*\*(\D[^*]*)\*\*|\*(\w[^*]*)\*", r"\1\2", text.replace("`", ""))
