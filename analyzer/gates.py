"""Which causes can be meant at all, told from what was seen: most of two hundred need a symptom that most runs lack.

A cause's `any` and `sure` requirements must be met, and a clause about a rule, an event or a line is met only where that
rule, event or line was seen. So the seen ones alone rule out nearly every cause before a clause is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from analyzer.cause import Cause
from analyzer.patterns import conjuncts

_SEEN = ("rule:", "event:", "line:")


def seen(rules: Iterable[str], events: Iterable[str], lines: Iterable[str]) -> frozenset[str]:
    """The clauses about rules, events and lines that are met in a run."""
    groups: Mapping[str, Iterable[str]] = dict(zip(_SEEN, (rules, events, lines), strict=True))
    return frozenset(kind + name for kind, names in groups.items() for name in names)


def is_open(cause: Cause, met: frozenset[str]) -> bool:
    """Whether the cause's symptoms may be there; False only where its gate cannot open."""
    groups = _groups(cause.requires.get("any", ()), cause.requires.get("sure", ()))
    return not any(group.isdisjoint(met) for group in groups)


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
