"""Rules: what one is, how they are found, and how one is run without taking the others down.

A rule is `analyzer/rules/<symptom>.py` with one decorated function and `<symptom>.md`, its page, beside it.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Final, Literal

from analyzer.model import Evidence, Failure, Finding, Severity, Skip
from parsers.model import Run, Series

Check = Callable[[Run], Iterator[Finding]]
RULES: Final[dict[str, Rule]] = {}


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's card. `needs`: metrics of which each must have been logged (`a|b`: either), else it is skipped."""

    id: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    since: str
    status: Literal["stable", "preview"]
    check: Check = field(repr=False)
    page: Path

    @property
    def text(self) -> str:
        """The rule's page, or an empty text where it has none."""
        return self.page.read_text("utf-8") if self.page.is_file() else ""


def rule(
    *, title: str, severity: Severity, needs: Sequence[str] = (), since: str = "0.1", status: Literal["stable", "preview"] = "stable"
) -> Callable[[Check], Check]:
    """Registers a rule under the name of its module: `loss_zero.py` finds `loss-zero`."""

    def add(check: Check) -> Check:
        source = Path(check.__code__.co_filename)
        id_ = source.stem.replace("_", "-")
        RULES[id_] = Rule(id_, title, severity, tuple(needs), since, status, check, source.with_suffix(".md"))
        return check

    return add


@cache
def load() -> tuple[Rule, ...]:
    """All shipped rules, by id."""
    import analyzer.rules as folder

    for info in sorted(pkgutil.iter_modules(folder.__path__), key=lambda i: i.name):
        importlib.import_module(f"analyzer.rules.{info.name}")
    return tuple(RULES[id_] for id_ in sorted(RULES))


def load_folder(folder: Path) -> tuple[Rule, ...]:
    """A user's own rules: every `*.py` of a folder, imported. Only for folders the user names."""
    before = set(RULES)
    for path in sorted(folder.glob("*.py")):
        spec = importlib.util.spec_from_file_location(f"nanalyze_user_rules.{path.stem}", path)
        if spec and spec.loader:
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return tuple(RULES[id_] for id_ in sorted(set(RULES) - before))


def run_rule(one: Rule, run: Run, strict: bool = False) -> tuple[tuple[Finding, ...], Skip | None, Failure | None]:
    """What one rule says: findings, or why it could not judge, or that it failed (re-raised when `strict`)."""
    missing = tuple(need for need in one.needs if not any(run.series(name) for name in need.split("|")))
    if missing:
        return (), Skip(one.id, missing), None
    try:
        return tuple(one.check(run)), None, None
    except Exception as error:
        if strict:
            raise
        return (), None, Failure(one.id, f"{type(error).__name__}: {error}")


def at(series: Series, index: int, note: str = "") -> Evidence:
    """Evidence at one point of a series."""
    return Evidence(series.ref(index), note)
