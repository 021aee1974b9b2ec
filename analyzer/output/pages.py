"""What a rule's page says a finding does not mean: read out of `analyzer/rules/<id>.md`, the page `explain` prints."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Final

_FOLDER: Final = Path(__file__).resolve().parent.parent / "rules"
_HEADING: Final = "what it does not mean"


@cache
def not_meant(rule: str) -> str:
    """The first paragraph under *What it does not mean* as plain text; empty where the page or the section is missing."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]*", rule):
        return ""
    try:
        text = (_FOLDER / f"{rule.replace('-', '_')}.md").read_text("utf-8")
    except OSError:
        return ""
    parts = re.split(r"^#+[ \t]*(.+?)[ \t]*$", text, flags=re.MULTILINE)
    sections = {parts[i].lower(): parts[i + 1] for i in range(1, len(parts) - 1, 2)}
    paragraph = sections.get(_HEADING, "").strip().split("\n\n")[0]
    return re.sub(r"[`*]", "", " ".join(paragraph.split())).removeprefix("- ")
