"""A batch as GitLab's code quality report."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.batch.card import Card
from analyzer.output.code_quality import dumps, entry


def render(cards: Sequence[Card]) -> str:
    """Every finding, and a run that could not be read as a blocker."""
    found = [
        entry(one.rule, one.severity, f"{one.summary} ({card.root})", one.file, one.line, (card.root, str(one.first_step)))
        for card in cards
        for one in card.findings
    ]
    lost = [
        {**entry("unread", "critical", card.error, card.root, 1, (card.root,)), "severity": "blocker"}
        for card in cards
        if card.error
    ]
    return dumps([*found, *lost])
