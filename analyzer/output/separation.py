"""`Separation` → text and Markdown: which setting separates the failed runs from the healthy ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer.output.columns import table
from analyzer.output.plain import clip, neutral
from analyzer.output.strings import catalogue

if TYPE_CHECKING:
    from analyzer.separate import Separation, Split


def render(one: Separation, form: str, lang: str = "en") -> str:
    """Many runs as terminal text or Markdown."""
    s = catalogue(lang)
    head = (s("compare.split"), s("compare.split_failed"), s("compare.split_healthy"), s("compare.split_unknown"),
            s("compare.split_chance"))  # fmt: skip
    rows = [split_row(split) for split in one.splits]
    counts = s("compare.many_runs", failed=len(one.failed), healthy=len(one.healthy), others=len(one.left_out))
    lines = [s("compare.many"), f"{counts}; {s('compare.many_tried', n=one.tried)}", ""]
    if not rows:
        lines.append(s("compare.split_none"))
    elif form == "markdown":
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    else:
        lines += table(head, rows)
    return "\n".join([*lines, *(["", s("compare.split_hint")] if rows else [])]) + "\n"


def split_row(split: Split) -> tuple[str, ...]:
    """A split as cells."""
    return (
        clip(neutral(f"{split.key} {split.test}"), 70),
        f"{split.failed}/{split.all_failed}",
        f"{split.healthy}/{split.all_healthy}",
        str(split.unknown), f"{split.chance:.2g}",
    )  # fmt: skip
