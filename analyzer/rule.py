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
    *,
    title: str,
    severity: Severity,
    needs: Sequence[str] = (),
    since: str = "0.1",
    status: Literal["stable", "preview"] = "stable",
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
    folder = importlib.import_module("analyzer.rules")
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


def span(series: Series, start: int, stop: int, what: str) -> tuple[Evidence, ...]:
    """Evidence of the stretch `[start, stop)`: its first point, its last one, and the last good one before it."""
    found = [at(series, start, f"first {what}")]
    if stop - 1 > start:
        found.append(at(series, stop - 1, f"last {what}"))
    if start > 0:
        found.append(at(series, start - 1, "last record before it"))
    return tuple(found)


def until(series: Series, start: int, stop: int) -> str:
    """The stretch `[start, stop)` in words: `from step 38 to the end (43 records)`, `at step 38 (1 record)`."""
    count = f"{stop - start} record{'' if stop - start == 1 else 's'}"
    first = series.steps[start]
    if stop - start == 1 and stop < len(series):
        return f"at step {first} ({count})"
    last = "the end" if stop == len(series) else f"step {series.steps[stop - 1]}"
    return f"from step {first} to {last} ({count})"


def writer(run: Run, series: Series) -> str:
    """Whose series it is, in words, where it is not the run's preferred one: ` of rank 3`, ` of actor`."""
    if series.rank is not None and run.series(series.metric) is not series:
        return f" of rank {series.rank}"
    return f" of {series.engine}" if series.engine else ""


def number(value: float) -> str:
    """A value as a summary shows it: four digits, no trailing zeros."""
    return f"{value:.4g}"
