"""What a batch says as a whole: causes that several runs share, settings that separate failed runs from healthy ones,
nodes and GPUs that fail again and again, and when each was seen first and last.

A setting is named only where chance is no explanation: the one-sided Fisher test of "this value" against "any other
value", corrected for the number of values that were tried, stays below one in a hundred.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Final

from analyzer.batch.card import Card

CHANCE: Final = 0.01
MIN_RUNS: Final = 3
"""Failed runs with a value from which on it may be named."""
MIN_PLACES: Final = 2
"""Failures at one node or GPU from which on it is named."""
MAX_TOLD: Final = 8


@dataclass(frozen=True, slots=True)
class Cluster:
    """Runs with the same first cause (or, without a cause, the same first finding); `shared`: settings all of them have."""

    name: str
    runs: tuple[str, ...]
    shared: Mapping[str, str]
    begin: float | None
    end: float | None


@dataclass(frozen=True, slots=True)
class Separator:
    """A setting's value with which runs fail more often than without: `chance` that this is an accident."""

    name: str
    value: str
    failed: int
    total: int
    other_failed: int
    other_total: int
    chance: float


def clusters(cards: Sequence[Card]) -> tuple[Cluster, ...]:
    """Failed and suspicious runs by what they began with, largest first."""
    groups: dict[str, list[Card]] = defaultdict(list)
    for card in cards:
        if card.word in ("failed", "suspicious"):
            groups[card.cause.id if card.cause else card.lead.rule if card.lead else card.outcome].append(card)
    told = [_cluster(name, found) for name, found in groups.items()]
    return tuple(sorted(told, key=lambda one: (-len(one.runs), one.name)))


def _cluster(name: str, found: Sequence[Card]) -> Cluster:
    shared = set(found[0].settings.items())
    for card in found[1:]:
        shared &= set(card.settings.items())
    begins = [card.begin for card in found if card.begin is not None]
    ends = [card.end for card in found if card.end is not None]
    return Cluster(name, tuple(card.root for card in found), dict(sorted(shared)) if len(found) > 1 else {},
                   min(begins, default=None), max(ends, default=None))  # fmt: skip


def separators(cards: Sequence[Card]) -> tuple[Separator, ...]:
    """Settings that separate failed from healthy runs, surest first."""
    judged = [card for card in cards if card.word in ("failed", "healthy")]
    told: list[Separator] = []
    names = sorted({name for card in judged for name in card.settings})
    for name in names:
        having = [card for card in judged if name in card.settings]
        values = Counter(card.settings[name] for card in having)
        bad = Counter(card.settings[name] for card in having if card.word == "failed")
        if len(values) < 2:
            continue
        for value in values:
            told.append(_separator(name, value, bad, values))
    tried = max(1, len(told))
    sure = [one for one in told if one.failed >= MIN_RUNS and one.chance * tried < CHANCE]
    return tuple(sorted(sure, key=lambda one: (one.chance, one.name, one.value))[:MAX_TOLD])


def _separator(name: str, value: str, bad: Counter[str], values: Counter[str]) -> Separator:
    total, failed = sum(values.values()), sum(bad.values())
    chance = _fisher(bad[value], values[value], failed, total)
    return Separator(name, value, bad[value], values[value], failed - bad[value], total - values[value], chance)


def _fisher(hits: int, drawn: int, marked: int, total: int) -> float:
    """The chance that at least `hits` of `drawn` are marked where `marked` of `total` are."""
    upper = min(drawn, marked)
    logs = [
        _choose(marked, k) + _choose(total - marked, drawn - k) for k in range(hits, upper + 1) if drawn - k <= total - marked
    ]
    return min(1.0, sum(math.exp(one - _choose(total, drawn)) for one in logs))


def _choose(n: int, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def places(cards: Sequence[Card]) -> tuple[tuple[str, int], ...]:
    """(node or GPU, runs that failed there) of those that failed more than once, worst first."""
    told = Counter(place for card in cards if card.word == "failed" for place in card.places)
    return tuple(
        sorted(((place, n) for place, n in told.items() if n >= MIN_PLACES), key=lambda one: (-one[1], one[0]))[:MAX_TOLD]
    )


def sentences(cards: Sequence[Card]) -> list[str]:
    """What the fleet says, a sentence a line; nothing where there is nothing to say."""
    lines = [_cluster_line(one) for one in clusters(cards) if len(one.runs) > 1][:MAX_TOLD]
    for one in separators(cards):
        other = f"{one.other_failed} of {one.other_total} with another value" if one.other_total else "none without"
        lines.append(f"{one.name} {one.value}: {one.failed} of {one.total} runs failed, {other} (chance {one.chance:.1g})")
    return lines + [f"{place}: {count} runs failed there" for place, count in places(cards)]


def _cluster_line(one: Cluster) -> str:
    shared = ", ".join(f"{name} {value}" for name, value in list(one.shared.items())[:6])
    seen = f"; first seen {_day(one.begin)}, last {_day(one.end)}" if one.begin and one.end else ""
    return f"{len(one.runs)} runs: {one.name}{f'; all have {shared}' if shared else ''}{seen}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M")
