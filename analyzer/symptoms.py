"""All rules over one run: the shipped ones and the user's, with what the user chose to ignore taken out and counted.

An ignored rule still runs, so that the report can say how much was left out; its own failure is nobody's concern.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from analyzer import own_rules
from analyzer import rule as rules_module
from analyzer.model import Failure, Finding, Severity, Skip, ordered
from analyzer.project import Project
from analyzer.rule import SILENT, Rule, run_rule
from parsers import Run


@dataclass(frozen=True, slots=True)
class Wishes:
    """Which rules run and how: `only` and `ignore` of the command line, the project's file, folders of own rules."""

    only: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    project: Project = field(default_factory=Project)
    folders: tuple[Path, ...] = ()
    strict: bool = False

    def is_ignored(self, rule: str) -> bool:
        """Whether the findings of a rule are counted only. What `--only` names is wanted, whatever the project says."""
        return rule in self.ignore or (rule in self.project.ignore and rule not in self.only)


@dataclass(frozen=True, slots=True)
class Symptoms:
    """What the rules said. `ignored`: rule → findings left out; `reasons`: rule → why, as the project states it.

    `rules`: those that were run.
    """

    findings: tuple[Finding, ...]
    skips: tuple[Skip, ...]
    failures: tuple[Failure, ...]
    ignored: Mapping[str, int]
    reasons: Mapping[str, str]
    rules: tuple[Rule, ...] = ()

    def weighted(self, project: Project) -> tuple[Finding, ...]:
        """The findings with the severities that the project states, in their order."""
        if not project.severity:
            return self.findings
        usual = {one.id: one.severity for one in self.rules}
        return ordered([self._weighted(project, found, usual[found.rule]) for found in self.findings])

    def _weighted(self, project: Project, found: Finding, usual: Severity) -> Finding:
        stated = project.severity_of(found.rule, usual, found.severity)
        if stated == found.severity:
            return found
        return replace(found, severity=stated, facts={**found.facts, "severity_without_project": found.severity})


def symptoms(run: Run, wishes: Wishes) -> Symptoms:
    """Runs the rules over a run. Raises UsageError for a folder without rules, and what a rule raises when strict."""
    rules = by_rule(run, wishes)
    while True:
        try:
            next(rules)
        except StopIteration as end:
            found: Symptoms = end.value
            return found


def by_rule(run: Run, wishes: Wishes) -> Generator[None, None, Symptoms]:
    """As `symptoms`, which is what it returns, with a pause before each rule: for who must not be busy for long."""
    own, failures = own_rules.load_folders(wishes.folders, wishes.strict)
    rules = (*rules_module.load(), *own)
    if wishes.only:
        rules = tuple(one for one in rules if one.id in wishes.only)
    silenced = {id_ for id_ in (*wishes.ignore, *wishes.project.ignore) if wishes.is_ignored(id_)}
    findings: list[Finding] = []
    skips: list[Skip] = []
    broken = list(failures)
    ignored: dict[str, int] = {}
    thresholds = wishes.project.thresholds
    for one in rules:
        yield
        is_ignored = one.id in silenced
        said = run_rule(one, run, wishes.strict and not is_ignored, thresholds.get(one.id))
        if said is SILENT:
            continue
        found, skip, failure = said
        if is_ignored:
            ignored |= {one.id: len(found)} if found else {}
            continue
        if found:
            findings += found
        if skip is not None:
            skips.append(skip)
        if failure is not None:
            broken.append(failure)
    reasons = {rule: reason for rule, reason in wishes.project.ignore.items() if rule in ignored}
    return Symptoms(ordered(findings), tuple(skips), tuple(broken), ignored, reasons, rules)


def known_rules(folders: Sequence[Path] = ()) -> tuple[Rule, ...]:
    """Every rule that can be named: the shipped ones and those of some folders. Raises UsageError as `symptoms` does."""
    return (*rules_module.load(), *own_rules.load_folders(folders)[0])
