"""`explain`, `rules`, `causes`, `formats`: what the tool knows, printed as plain text."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from analyzer.errors import UsageError
from analyzer.output.columns import table

if TYPE_CHECKING:
    from analyzer.rule import Rule


def _print(lines: Iterable[str]) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def rules(folders: Sequence[Path] = ()) -> int:
    """A table of all rules, those of `folders` included."""
    from analyzer.symptoms import known_rules

    ordered = sorted(known_rules(folders), key=lambda one: one.id)
    rows = [(one.id, one.severity, one.since, one.status, ", ".join(one.needs) or "-", one.title) for one in ordered]
    return _print(table(("rule", "severity", "since", "status", "needs", "finds"), rows))


def _rule_page(one: Rule) -> Iterator[str]:
    """The rule's page and, as its declaration has them, the numbers that a project may change."""
    yield one.text.rstrip() or f"# {one.id}: {one.title}"
    if not one.thresholds:
        return
    yield from ("", "## Thresholds", "", f"A project file may state others, under `[tool.nanalyze.thresholds.{one.id}]`.", "")
    yield from (f"- `{name} = {threshold.default:g}`: {threshold.reason}" for name, threshold in one.thresholds.items())


def causes() -> int:
    """A table of all causes."""
    from analyzer.cause import load

    rows = [(one.id, one.kind, one.status, one.title) for one in load()]
    return _print(table(("cause", "kind", "status", "title"), rows))


def formats() -> int:
    """All readers with an example line each."""
    from parsers.registry import file_formats, text_formats

    lines: list[str] = []
    cards = [(form.name, form.title, form.example) for form in text_formats()]
    cards += [(form.name, form.title, form.example) for form in file_formats()]
    for name, title, example in cards:
        lines += [f"{name}: {title}", f"    {example}"]
    return _print(lines)


def explain(id_: str, folders: Sequence[Path] = ()) -> int:
    """Prints the page of a rule or a cause; raises UsageError with near names where there is none."""
    return _print([page_of(id_, folders)])


def page_of(id_: str, folders: Sequence[Path] = ()) -> str:
    """The page of a rule or a cause; raises UsageError with near names where there is none."""
    from analyzer import cause
    from analyzer.symptoms import known_rules

    rules_by_id = {one.id: one for one in known_rules(folders)}
    if id_ in rules_by_id:
        return "\n".join(_rule_page(rules_by_id[id_]))
    causes_by_id = {one.id: one for one in cause.load()}
    if id_ in causes_by_id:
        from analyzer.output.cause_page import page

        return page(causes_by_id[id_])
    near = difflib.get_close_matches(id_, [*rules_by_id, *causes_by_id], 3, 0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else " `analyze rules` and `analyze causes` list them."
    raise UsageError(f"there is no rule and no cause {id_!r}.{hint}")
