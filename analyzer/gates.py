"""Which causes can be meant at all, told from what was seen: most of two hundred need something that most runs lack.

A cause's `any` and `sure` requirements must be met. A clause about a rule, an event or a line is met only where that was
seen, one about a fact only where there is one under its key, and one about a metric only where it was logged. So what is
there alone rules out nearly every cause before a clause is asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from analyzer.cause import Cause, Gate
from analyzer.clauses import Asked, asked, key_of, split
from analyzer.patterns import conjuncts

MAX_INDEXES: Final = 4
MAX_REMEMBERED: Final = 256
"""Kinds of runs, by what was seen in them, whose candidates are kept: the runs of a sweep show much the same."""
_SEEN: Final = ("rule:", "event:", "line:")
ABSENT: Final = frozenset({"not-logged"})
"""Shapes of a metric that was never logged."""
_CHEAP_FIRST: Final[tuple[Gate, ...]] = ("sure", "all", "none", "any")
"""Facts are asked for before curves: most gates are shut by a fact."""
Groups = tuple[frozenset[str], ...]
Steps = tuple[tuple[Gate, tuple[Asked, ...]], ...]
"""What a cause requires, in the order in which it is asked."""


def seen(
    rules: Iterable[str], events: Iterable[str], lines: Iterable[str], facts: Iterable[str] = (), metrics: Iterable[str] = ()
) -> frozenset[str]:
    """What clauses of a run can be about: its findings, events and lines, the keys of its facts, its metrics."""
    groups: Mapping[str, Iterable[str]] = dict(
        zip((*_SEEN, "key:", "metric:"), (rules, events, lines, facts, metrics), strict=True)
    )
    return frozenset([kind + name for kind, names in groups.items() for name in names])


def candidates(causes: Sequence[Cause], met: frozenset[str]) -> list[tuple[Cause, Steps]]:
    """The causes whose symptoms may be there, in their order, each with its gate; the gate of any other cannot open."""
    return _index(causes).candidates(met)


def steps(cause: Cause) -> Steps:
    """A cause's gate, taken apart."""
    return tuple((how, asked(tuple(cause.requires[how]))) for how in _CHEAP_FIRST if cause.requires.get(how))


def _may_open(groups: Groups, met: frozenset[str]) -> bool:
    for group in groups:  # noqa: SIM110 - asked a hundred times a run
        if group.isdisjoint(met):
            return False
    return True


class _Index(NamedTuple):
    """Of some causes, by their place: what each must have seen, who may be open where that is there, who needs nothing."""

    causes: Sequence[Cause]
    groups: list[Groups]
    by_atom: dict[str, list[int]]
    always: list[int]
    steps: dict[int, Steps]
    atoms: frozenset[str]
    """All that any of them must have seen."""
    known: dict[frozenset[str], list[tuple[Cause, Steps]]]
    """The candidates of runs that were asked about, by which of the atoms were there."""

    def candidates(self, met: frozenset[str]) -> list[tuple[Cause, Steps]]:
        """The causes whose symptoms may be there, in their order, each with its gate; not to be changed."""
        there = met & self.atoms
        found = self.known.get(there)
        if found is None:
            if len(self.known) >= MAX_REMEMBERED:
                self.known.clear()
            numbers = set(self.always).union(*[self.by_atom[atom] for atom in there.intersection(self.by_atom)])
            open_ = [number for number in sorted(numbers) if _may_open(self.groups[number], there)]
            found = self.known[there] = [(self.causes[number], self.steps_of(number)) for number in open_]
        return found

    def steps_of(self, number: int) -> Steps:
        """A cause's gate, taken apart when it is first asked for."""
        known = self.steps.get(number)
        if known is None:
            known = self.steps[number] = steps(self.causes[number])
        return known


_INDEXES: Final[dict[int, _Index]] = {}
"""By the identity of the causes, which are kept with it."""


def _index(causes: Sequence[Cause]) -> _Index:
    known = _INDEXES.get(id(causes))
    if known is None or known.causes is not causes:
        required = [_groups(cause) for cause in causes]
        atoms = frozenset().union(*[group for groups in required for group in groups])
        known = _Index(causes, required, {}, [], {}, atoms, {})
        for number, groups in enumerate(known.groups):
            for atom in groups[0] if groups else ():
                known.by_atom.setdefault(atom, []).append(number)
            known.always.extend([] if groups else [number])
        if len(_INDEXES) >= MAX_INDEXES:
            _INDEXES.clear()
        _INDEXES[id(causes)] = known
    return known


def _groups(cause: Cause) -> Groups:
    """Sets of atoms, of each of which one must be there; the rarest first."""
    either, sure = cause.requires.get("any", ()), cause.requires.get("sure", ())
    groups = {frozenset((atom,)) for when in sure for part in conjuncts(when) if (atom := _atom(part))}
    rarest = [min(filter(None, map(_atom, conjuncts(when))), key=_frequency, default=None) for when in either]
    if rarest and all(rarest):
        groups.add(frozenset(filter(None, rarest)))
    return tuple(sorted(groups, key=lambda group: (max(map(_frequency, group)), sorted(group))))


_OFTEN: Final = ("metric:loss", "metric:grad_norm", "metric:lr")


def _frequency(atom: str) -> int:
    """How likely it is that something is there."""
    return 0 if atom.startswith(_SEEN) else 2 if atom in _OFTEN else 1


def _atom(part: str) -> str | None:
    """What must be there if a clause is to be met (`event:cuda-oom own > 0`: the event); None where nothing need be."""
    kind, _, subject = part.partition(":")
    if kind == "line":
        return part
    if kind in ("rule", "event"):
        return f"{kind}:{subject.partition(' ')[0]}"
    if kind == "metric":
        name, _, shape = subject.partition(" ")
        return None if shape.strip() in ABSENT else f"metric:{name.strip()}"
    key = key_of(kind, split(subject)[0])
    return f"key:{key}" if key else None
