"""When to act: on findings of a severity or a rule, and only after they have stood for some records."""

from __future__ import annotations

from dataclasses import dataclass

from analyzer.live.ledger import Entry
from analyzer.model import SEVERITIES, Severity


@dataclass(frozen=True, slots=True)
class Policy:
    """`rules`: only these (empty: all). `after`: further records that the run must log while the finding stands."""

    severity: Severity = "critical"
    rules: tuple[str, ...] = ()
    after: int = 0

    def wants(self, entry: Entry, records: int, is_over: bool = False) -> bool:
        """Whether an entry asks for action now. A run that is over logs no more records to wait for."""
        finding = entry.finding
        if entry.is_early or SEVERITIES.index(finding.severity) > SEVERITIES.index(self.severity):
            return False
        if self.rules and finding.rule not in self.rules:
            return False
        return is_over or records - entry.records >= self.after
