"""Which causes can be meant at all, told from what was seen: most of two hundred need something that most runs lack.

A cause's `any` and `sure` requirements must be met. A clause about a rule, an event or a line is met only where that was
seen, one about a fact only where its value is so, and one about a metric only where it was logged. So what is there alone
rules out nearly every cause before a clause is asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from analyzer.cause import Cause, Gate
from analyzer.clauses import Asked, Case, Test, asked, of_fact
from analyzer.patterns import conjuncts
from parsers import metrics
from parsers.model import Environment, Value

K = TypeVar("K")
V = TypeVar("V")

MAX_INDEXES: Final = 4
MAX_REMEMBERED: Final = 256
"""Kinds of runs, by what was seen in them, and values of facts of which it is kept what follows: the runs of a sweep show
much the same."""
_SEEN: Final = ("rule:", "event:", "line:")
_LOGGED: Final = "metric:"
ABSENT: Final = frozenset({"not-logged"})
"""Shapes of a metric that was never logged."""
_BESIDE: Final = {"multiple-of-eval": metrics.EVAL_LOSS}
"""Shapes that compare with another metric, which most runs lack."""
_CHEAP_FIRST: Final[tuple[Gate, ...]] = ("sure", "all", "none", "any")
"""Facts are asked for before curves: most gates are shut by a fact."""
Groups = tuple[frozenset[str], ...]
Steps = tuple[tuple[Gate, tuple[Asked, ...]], ...]
"""What a cause requires, in the order in which it is asked."""


def candidates(causes: Sequence[Cause], case: Case) -> list[tuple[Cause, Steps]]:
    """The causes whose symptoms may be there, in their order, each with its gate; the gate of any other cannot open.

    The list is not to be changed.
    """
    index = _index(causes)
    seen = zip((*_SEEN, _LOGGED), (case.findings, case.events, case.lines, case.run.metrics), strict=True)
    there = index.atoms.intersection([kind + name for kind, names in seen for name in names])
    return index.candidates(there.union(index.of_facts(case.run.environment)))


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
    wishes: dict[str, list[tuple[str, Test]]]
    """Key of a fact → the atoms about it, and what each wishes of its value."""
    holding: dict[tuple[str, type, Value], list[str]]
    """The atoms that hold for a fact's value, of those that were seen."""
    known: dict[frozenset[str], list[tuple[Cause, Steps]]]
    """The candidates of runs that were asked about, by which of the atoms were there."""

    def of_facts(self, environment: Environment) -> list[str]:
        """The atoms about facts that hold in a run: the same facts are in every run of a sweep."""
        found: list[str] = []
        for fact in environment.some(self.wishes):
            place = fact.key, type(fact.value), fact.value  # 1 and True are told apart
            holding = self.holding.get(place)
            if holding is None:
                holding = [atom for atom, holds in self.wishes[fact.key] if _may_hold(holds, fact.value)]
                _keep(self.holding, place, holding)
            found += holding
        return found

    def candidates(self, there: frozenset[str]) -> list[tuple[Cause, Steps]]:
        """The causes whose symptoms may be there, where these atoms are."""
        found = self.known.get(there)
        if found is None:
            numbers = set(self.always).union(*[self.by_atom[atom] for atom in there.intersection(self.by_atom)])
            open_ = [number for number in sorted(numbers) if _may_open(self.groups[number], there)]
            found = [(self.causes[number], self.steps_of(number)) for number in open_]
            _keep(self.known, there, found)
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
        known = _Index(causes, required, {}, [], {}, atoms, _wishes(atoms), {}, {})
        for number, groups in enumerate(known.groups):
            for atom in groups[0] if groups else ():
                known.by_atom.setdefault(atom, []).append(number)
            known.always.extend([] if groups else [number])
        if len(_INDEXES) >= MAX_INDEXES:
            _INDEXES.clear()
        _INDEXES[id(causes)] = known
    return known


def _wishes(atoms: Iterable[str]) -> dict[str, list[tuple[str, Test]]]:
    found: dict[str, list[tuple[str, Test]]] = {}
    for atom in sorted(atoms):
        if not atom.startswith((*_SEEN, _LOGGED)) and (asked := of_fact(atom)):
            found.setdefault(asked[0], []).append((atom, asked[1]))
    return found


def _may_hold(holds: Test, value: Value) -> bool:
    """Whether a wish is met; one that cannot be asked is asked again where its failure is told."""
    try:
        return bool(holds(value))
    except (ValueError, re.error):
        return True


def _keep(known: dict[K, V], key: K, value: V) -> None:
    if len(known) >= MAX_REMEMBERED:
        known.clear()
    known[key] = value


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
        return None if shape.strip() in ABSENT else _LOGGED + _BESIDE.get(shape.strip(), name.strip())
    return part if of_fact(part) else None
