"""The table that a scan ends with: counts, groups by first cause, what the fleet says, then a line a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from analyzer.batch import fleet
from analyzer.batch.card import Card
from analyzer.output.columns import table

WORDS: Final = ("failed", "suspicious", "unread", "unjudged", "healthy")
MAX_ROWS: Final = 2000
"""Runs that the table shows; of a larger batch the healthy ones are only counted."""


def lines(cards: Sequence[Card]) -> list[str]:
    """The overview's lines."""
    counts = Counter(card.word for card in cards)
    told = ", ".join(
        f"{counts[word]} {word}" for word in ("failed", "suspicious", "healthy", "unjudged", "unread") if counts[word]
    )
    out = [f"{len(cards)} runs: {told}", ""]
    groups = Counter((card.word, _cause(card)) for card in cards if card.word in ("failed", "suspicious"))
    if groups:
        ranked = sorted(groups.items(), key=lambda item: (WORDS.index(item[0][0]), -item[1], item[0][1]))
        out += [f"  {count:>4} × {word}: {cause or 'no known cause'}" for (word, cause), count in ranked] + [""]
    said = fleet.sentences(cards)
    if said:
        out += [f"  • {line}" for line in said] + [""]
    ranked_cards = sorted(cards, key=lambda card: (WORDS.index(card.word), card.root))
    shown = ranked_cards[:MAX_ROWS]
    out += table(("run", "verdict", "steps", "first finding", "cause"), [_cells(card) for card in shown])
    if len(ranked_cards) > len(shown):
        out.append(f"… and {len(ranked_cards) - len(shown)} more runs: --format jsonl or --parquet has them all.")
    return out


def _cells(card: Card) -> tuple[str, ...]:
    if card.error:
        return card.root, "unread", "-", card.error, ""
    steps = "-" if card.last_step is None else f"{card.last_step}" + (f"/{card.planned_steps}" if card.planned_steps else "")
    lead = card.lead
    return card.root, card.verdict, steps, f"{lead.rule}: {lead.summary}" if lead else "", _cause(card)


def _cause(card: Card) -> str:
    return f"{card.cause.id} ({card.cause.verdict})" if card.cause else ""
