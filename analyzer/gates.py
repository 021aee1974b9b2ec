"""Which causes can be meant at all, told from what was seen: most of two hundred need a symptom that most runs lack.

A cause's `any` and `sure` requirements must be met, and a clause about a rule, an event or a line is met only where that
rule, event or line was seen. So the seen ones alone rule out nearly every cause before a clause is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from analyzer.cause import Cause
from analyzer.patterns import conjuncts

MAX_INDEXES: Final = 4
_SEEN: Final = ("rule:", "event:", "line:")
Groups = tuple[frozenset[str], ...]


def seen(rules: Iterable[str], events: Iterable[str], lines: Iterable[str]) -> frozenset[str]:
    """The clauses about rules, events and lines that are met in a run."""
    groups: Mapping[str, Iterable[str]] = dict(zip(_SEEN, (rules, events, lines), strict=True))
    return frozenset(kind + name for kind, names in groups.items() for name in names)


def candidates(causes: Sequence[Cause], met: frozenset[str]) -> list[Cause]:
    """The causes whose symptoms may be there, in their order; the gate of any other cannot open."""
    index = _index(causes)
    numbers = set(index.always).union(*(index.by_clause[clause] for clause in met if clause in index.by_clause))
    return [causes[number] for number in sorted(numbers) if _may_open(index.groups[number], met)]


def is_open(cause: Cause, met: frozenset[str]) -> bool:
    """Whether the cause's symptoms may be there; False only where its gate cannot open."""
    return _may_open(_groups(cause), met)


def _may_open(groups: Groups, met: frozenset[str]) -> bool:
    return not any(group.isdisjoint(met) for group in groups)


class _Index(NamedTuple):
    """Of some causes, by their place: what each must have seen, who may be open where a clause is met, who needs none."""

    causes: Sequence[Cause]
    groups: list[Groups]
    by_clause: dict[str, list[int]]
    always: list[int]


_INDEXES: Final[dict[int, _Index]] = {}
"""By the identity of the causes, which are kept with it."""


def _index(causes: Sequence[Cause]) -> _Index:
    known = _INDEXES.get(id(causes))
    if known is None or known.causes is not causes:
        known = _Index(causes, [_groups(cause) for cause in causes], {}, [])
        for number, groups in enumerate(known.groups):
            for clause in groups[0] if groups else ():
                known.by_clause.setdefault(clause, []).append(number)
            known.always.extend([] if groups else [number])
        if len(_INDEXES) >= MAX_INDEXES:
            _INDEXES.clear()
        _INDEXES[id(causes)] = known
    return known


def _groups(cause: Cause) -> Groups:
    """Sets of clauses, of each of which one must be met."""
    either, sure = cause.requires.get("any", ()), cause.requires.get("sure", ())
    groups = [frozenset((first,)) for when in sure if (first := _first(conjuncts(when)))]
    firsts = [_first(conjuncts(when)) for when in either]
    if firsts and all(firsts):
        groups.append(frozenset(filter(None, firsts)))
    return tuple(groups)


def _first(parts: Sequence[str]) -> str | None:
    """What a part that only something seen can meet needs to be seen, if there is one (`event:cuda-oom own > 0`: the event)."""
    found = next((part for part in parts if part.startswith(_SEEN)), None)
    return found.partition(" ")[0] if found and not found.startswith("line:") else found
