"""`explain`, `rules`, `causes`, `formats`: what the tool knows, printed as plain text."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable

from analyzer.errors import UsageError
from analyzer.output.columns import table


def _print(lines: Iterable[str]) -> int:
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def rules() -> int:
    """A table of all rules."""
    from analyzer.rule import load

    rows = [(one.id, one.severity, one.since, one.status, ", ".join(one.needs) or "-", one.title) for one in load()]
    return _print(table(("rule", "severity", "since", "status", "needs", "finds"), rows))


def causes() -> int:
    """A table of all causes."""
    from analyzer.cause import load

    rows = [(one.id, one.kind, one.status, one.title) for one in load()]
    return _print(table(("cause", "kind", "status", "title"), rows))


def formats() -> int:
    """All readers with an example line each."""
    from parsers.registry import file_formats, text_formats

    lines: list[str] = []
    for form in (*text_formats(), *file_formats()):
        lines += [f"{form.name}: {form.title}", f"    {form.example}"]
    return _print(lines)


def explain(id_: str) -> int:
    """The page of a rule or a cause; raises UsageError with near names where there is none."""
    from analyzer import cause, rule

    rules_by_id = {one.id: one for one in rule.load()}
    if id_ in rules_by_id:
        return _print([rules_by_id[id_].text.rstrip() or f"# {id_}: {rules_by_id[id_].title}"])
    causes_by_id = {one.id: one for one in cause.load()}
    if id_ in causes_by_id:
        from analyzer.output.cause_page import page

        return _print([page(causes_by_id[id_])])
    near = difflib.get_close_matches(id_, [*rules_by_id, *causes_by_id], 3, 0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else " `analyze rules` and `analyze causes` list them."
    raise UsageError(f"there is no rule and no cause {id_!r}.{hint}")
