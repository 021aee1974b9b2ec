"""`Separation` → text, Markdown, HTML: which setting separates the failed runs from the healthy ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from analyzer.output.columns import table
from analyzer.output.plain import clip, neutral
from analyzer.output.strings import Strings, catalogue

if TYPE_CHECKING:
    from analyzer.output.redact import Redaction
    from analyzer.separate import Separation, Split


def render(one: Separation, form: str, lang: str = "en", redacted: Sequence[Redaction] | None = None) -> str:
    """Many runs as terminal text, Markdown, JSON or HTML; `redacted` is what was taken out, None where nothing was to be."""
    if form == "json":
        from analyzer.output import comparison_document

        return comparison_document.dumps_many(one)
    s = catalogue(lang)
    rows = [split_row(split) for split in one.splits]
    if form == "html":
        return _html(one, rows, s, redacted)
    lines = [s("compare.many"), f"{_counts(one, s)}; {s('compare.many_tried', n=one.tried)}", ""]
    if not rows:
        lines.append(s("compare.split_none"))
    elif form == "markdown":
        lines += [f"| {' | '.join(_head(s))} |", "|---" * len(_head(s)) + "|", *(f"| {' | '.join(row)} |" for row in rows)]
    else:
        lines += table(_head(s), rows)
    return "\n".join([*lines, *(["", s("compare.split_hint")] if rows else [])]) + "\n"


def redacted(one: Separation) -> tuple[Separation, list[Redaction]]:
    """The separation without private names and secrets. Versions stay: one of four parts is no address."""
    from analyzer.output.redact import redact_value

    clean, found = redact_value(one)
    pairs = zip(one.splits, clean.splits, strict=True)
    return replace(clean, splits=tuple(old if old.key.startswith("package:") else new for old, new in pairs)), found


def _head(s: Strings) -> tuple[str, ...]:
    names = ("split", "split_failed", "split_healthy", "split_unknown", "split_chance")
    return tuple(s(f"compare.{name}") for name in names)


def _counts(one: Separation, s: Strings) -> str:
    return s("compare.many_runs", failed=len(one.failed), healthy=len(one.healthy), others=len(one.left_out))


def _html(one: Separation, rows: Sequence[Sequence[str]], s: Strings, redacted: Sequence[Redaction] | None) -> str:
    """One file without scripts: the splits, then the runs by verdict."""
    from analyzer.output import html

    others = [(verdict, [source for source, told in one.left_out if told == verdict]) for verdict in ("suspicious", "unjudged")]
    return html.render_static(
        "separation.html.j2", ("report.css", "compare.css"), s.lang, one=one, rows=rows, head=_head(s), counts=_counts(one, s),
        groups=[("failed", one.failed), ("healthy", one.healthy), *others], redacted=redacted,
    )  # fmt: skip


def split_row(split: Split) -> tuple[str, ...]:
    """A split as cells."""
    return (
        clip(neutral(f"{split.key} {split.test}"), 70),
        f"{split.failed}/{split.all_failed}",
        f"{split.healthy}/{split.all_healthy}",
        str(split.unknown), f"{split.chance:.2g}",
    )  # fmt: skip
