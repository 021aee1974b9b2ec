"""What was found while a run goes on: each thing once, then changed, then withdrawn where the run recovered."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from analyzer.model import Finding

Kind = Literal["found", "updated", "withdrawn"]
Key = tuple[str, str, str, int | None, int]


@dataclass(frozen=True, slots=True)
class Change:
    """Something to say: a finding that is new, one that changed in severity or confidence, one that no longer holds."""

    kind: Kind
    finding: Finding
    is_early: bool = False


@dataclass(slots=True)
class Entry:
    """A finding that stands. `records`: how many the run had when it was found; `acted`: whether actions were taken for it.

    `at`: when it was found, in seconds since 1970.
    """

    finding: Finding
    records: int
    is_early: bool
    acted: bool = False
    at: float = field(default_factory=time.time)


class Ledger:
    """The findings that stand."""

    def __init__(self) -> None:
        self._entries: dict[Key, Entry] = {}

    @property
    def standing(self) -> tuple[Entry, ...]:
        """Everything that stands, in the order in which it was found."""
        return tuple(self._entries.values())

    def update(self, findings: Sequence[Finding], early: Sequence[Finding], records: int) -> list[Change]:
        """Takes the findings of a new judgement and says what is different. `early`: signs of what may come."""
        now = _keyed(findings, early)
        real = {finding.rule for finding in findings}
        gone = [entry for key, entry in self._entries.items() if key not in now]
        changes = [Change("withdrawn", e.finding, e.is_early) for e in gone if not (e.is_early and e.finding.rule in real)]
        self._entries = {key: entry for key, entry in self._entries.items() if key in now}
        for key, (finding, is_early) in now.items():
            entry = self._entries.get(key)
            if entry is None:
                self._entries[key] = Entry(finding, records, is_early)
                changes.append(Change("found", finding, is_early))
                continue
            if _weight(entry.finding) != _weight(finding):
                changes.append(Change("updated", finding, is_early))
            entry.finding = finding
        return changes


def _weight(finding: Finding) -> tuple[str, str]:
    return finding.severity, finding.confidence


def _keyed(findings: Sequence[Finding], early: Sequence[Finding]) -> dict[Key, tuple[Finding, bool]]:
    """Findings by what they are about: a rule may find the same in several metrics, files and ranks."""
    counts: Counter[tuple[str, str, str, int | None]] = Counter()
    keyed: dict[Key, tuple[Finding, bool]] = {}
    known = {finding.rule for finding in findings}
    for finding, is_early in [*((f, False) for f in findings), *((f, True) for f in early if f.rule not in known)]:
        ref = finding.evidence[0].ref
        about = (f"early:{finding.rule}" if is_early else finding.rule, str(finding.facts.get("metric", "")), ref.file, ref.rank)
        counts[about] += 1
        key: Key = (*about, counts[about])
        keyed[key] = finding, is_early
    return keyed
