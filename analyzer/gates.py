"""Which causes can be meant at all, told from what was seen: most of two hundred need a symptom that most runs lack.

A cause's `any` and `sure` requirements must be met, and a clause about a rule, an event or a line is met only where that
rule, event or line was seen. So the seen ones alone rule out nearly every cause before a clause is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Final

from analyzer.cause import Cause
from analyzer.patterns import conjuncts

MAX_INDEXES: Final = 4
_SEEN: Final = ("rule:", "event:", "line:")


def seen(rules: Iterable[str], events: Iterable[str], lines: Iterable[str]) -> frozenset[str]:
    """The clauses about rules, events and lines that are met in a run."""
    groups: Mapping[str, Iterable[str]] = dict(zip(_SEEN, (rules, events, lines), strict=True))
    return frozenset(kind + name for kind, names in groups.items() for name in names)


def candidates(causes: Sequence[Cause], met: frozenset[str]) -> list[Cause]:
    """The causes whose symptoms may be there, in their order; the gate of any other cannot open."""
    by_clause, always = _index(causes)
    numbers = set(always).union(*(by_clause.get(clause, ()) for clause in met))
    return [causes[number] for number in sorted(numbers) if is_open(causes[number], met)]


def is_open(cause: Cause, met: frozenset[str]) -> bool:
    """Whether the cause's symptoms may be there; False only where its gate cannot open."""
    groups = _groups(cause.requires.get("any", ()), cause.requires.get("sure", ()))
    return not any(group.isdisjoint(met) for group in groups)


_INDEXES: Final[dict[int, tuple[Sequence[Cause], dict[str, list[int]], list[int]]]] = {}
"""By the identity of the causes, which are kept with it."""


def _index(causes: Sequence[Cause]) -> tuple[dict[str, list[int]], list[int]]:
    """(clause → numbers of the causes that may be open where it is met, numbers of causes that need none)."""
    known = _INDEXES.get(id(causes))
    if known is None or known[0] is not causes:
        by_clause: dict[str, list[int]] = {}
        always: list[int] = []
        for number, cause in enumerate(causes):
            groups = _groups(cause.requires.get("any", ()), cause.requires.get("sure", ()))
            for clause in groups[0] if groups else ():
                by_clause.setdefault(clause, []).append(number)
            always += [] if groups else [number]
        if len(_INDEXES) >= MAX_INDEXES:
            _INDEXES.clear()
        known = _INDEXES[id(causes)] = (causes, by_clause, always)
    return known[1], known[2]


@cache
def _groups(either: tuple[str, ...], sure: tuple[str, ...]) -> tuple[frozenset[str], ...]:
    """Sets of clauses, of each of which one must be met."""
    groups = [frozenset((first,)) for when in sure if (first := _first(conjuncts(when)))]
    firsts = [_first(conjuncts(when)) for when in either]
    if firsts and all(firsts):
        groups.append(frozenset(filter(None, firsts)))
    return tuple(groups)


def _first(parts: Sequence[str]) -> str | None:
    """What a part that only something seen can meet needs to be seen, if there is one (`event:cuda-oom own > 0`: the event)."""
    found = next((part for part in parts if part.startswith(_SEEN)), None)
    return found.partition(" ")[0] if found and found.startswith("event:") else found
