"""Rules: what one is, how they are found, and how one is run without taking the others down.

A rule is `analyzer/rules/<symptom>.py` with one decorated function and `<symptom>.md`, its page, beside it. A user's own
rule is one such file in a folder of theirs; it lives as long as the call that named the folder.

The numbers that a judgement hangs on are `Threshold`s, declared in the decorator: a project file may state others for its
runs. What is stated holds while `run_rule` runs that rule, and nowhere else.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeVar

from analyzer.model import SEVERITIES, Evidence, Failure, Finding, Severity, Skip
from parsers.model import Run, Series, Value

Check = Callable[[Run], Iterator[Finding]]
RULES: Final[dict[str, Rule]] = {}
"""The shipped rules that were imported so far, by id."""

Said = tuple[tuple[Finding, ...], Skip | None, Failure | None]
"""What a rule found, why it could not judge, that it failed."""
SILENT: Final[Said] = ((), None, None)

N = TypeVar("N", int, float)


@dataclass(frozen=True, slots=True, eq=False)
class Threshold(Generic[N]):
    """A number of a rule and why it is that one. Its type is that of `default`: a count stays a whole number."""

    default: N
    reason: str

    @property
    def value(self) -> N:
        """The number that holds in this run of the rule: as the project states it, else the default."""
        every = _STATED.get()
        if not every:
            return self.default
        stated = every.get(self)
        return self.default if stated is None else type(self.default)(stated)


_STATED: Final[ContextVar[Mapping[Threshold[Any], float]]] = ContextVar("stated thresholds", default={})  # noqa: B039
_OWN: Final[ContextVar[list[Rule] | None]] = ContextVar("rules of the file that is being loaded", default=None)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's card. `needs`: metrics of which each must have been logged (`a|b`: either), else it is skipped.

    `events`: kinds of events; where none of them was read the rule has nothing to say, and is not asked.
    """

    id: str
    title: str
    severity: Severity
    needs: tuple[str, ...]
    since: str
    status: Literal["stable", "preview"]
    check: Check = field(repr=False)
    page: Path
    thresholds: Mapping[str, Threshold[int] | Threshold[float]] = field(default_factory=dict, repr=False)
    events: frozenset[str] = frozenset()
    is_of_engines: bool = False
    """Whether one engine's own series (`actor/grad_norm`) is enough: the rule looks at every writer's."""

    @property
    def text(self) -> str:
        """The rule's page, or an empty text where it has none."""
        return self.page.read_text("utf-8") if self.page.is_file() else ""


def rule(
    *,
    title: str,
    severity: Severity,
    needs: Sequence[str] = (),
    since: str = "0.1",
    status: Literal["stable", "preview"] = "stable",
    thresholds: Mapping[str, Threshold[int] | Threshold[float]] | None = None,
    events: Collection[str] = (),
    is_of_engines: bool = False,
) -> Callable[[Check], Check]:
    """Registers a rule under the name of its module: `loss_zero.py` finds `loss-zero`.

    `thresholds`: the numbers that a project file may change, under the names it uses (`min-records`). `events`: kinds of
    which one must have been read for the rule to say anything at all. `is_of_engines`: the rule looks at the series of each
    of a run's engines (actor, critic), and one of them is enough.
    """

    def add(check: Check) -> Check:
        source = Path(check.__code__.co_filename)
        id_ = source.stem.replace("_", "-")
        page = source.with_suffix(".md")
        card = Rule(
            id_,
            title,
            severity,
            tuple(needs),
            since,
            status,
            check,
            page,
            dict(thresholds or {}),
            frozenset(events),
            is_of_engines,
        )
        own = _OWN.get()
        if own is None:
            RULES[id_] = card
        else:
            own.append(card)
        return check

    return add


@cache
def load() -> tuple[Rule, ...]:
    """All shipped rules, by id."""
    folder = importlib.import_module("analyzer.rules")
    for info in sorted(pkgutil.iter_modules(folder.__path__), key=lambda i: i.name):
        importlib.import_module(f"analyzer.rules.{info.name}")
    return tuple(RULES[id_] for id_ in sorted(RULES))


@contextmanager
def collecting() -> Iterator[list[Rule]]:
    """Rules that are defined inside go into the list and not among the shipped ones."""
    load()
    found: list[Rule] = []
    token = _OWN.set(found)
    try:
        yield found
    finally:
        _OWN.reset(token)


def _missing(one: Rule, run: Run) -> tuple[str, ...]:
    """What the rule needs and nobody logged."""
    logged = run.metrics
    missing = [need for need in one.needs if need not in logged and logged.isdisjoint(need.split("|"))]
    if missing and one.is_of_engines:
        missing = [need for need in missing if not _is_of_an_engine(run, need.split("|"))]
    return tuple(missing)


def _is_of_an_engine(run: Run, names: Sequence[str]) -> bool:
    return any(track.engine and track.metric == f"{track.engine}/{name}" for track in run.tracks for name in names)


def run_rule(one: Rule, run: Run, strict: bool = False, stated: Mapping[str, float] | None = None) -> Said:
    """What one rule says: findings, or why it could not judge, or that it failed (re-raised when `strict`).

    `stated`: thresholds by name that hold instead of the rule's own, for this run of it.
    """
    if one.needs and (missing := _missing(one, run)):
        return (), Skip(one.id, missing), None
    if one.events and run.kinds.isdisjoint(one.events):
        return SILENT
    token = _STATED.set({one.thresholds[name]: value for name, value in stated.items()}) if stated else None
    try:
        found = [_checked(one, found) for found in one.check(run)]
    except Exception as error:
        if strict:
            raise
        return (), None, Failure(one.id, f"{type(error).__name__}: {error}")
    finally:
        if token is not None:
            _STATED.reset(token)
    return (tuple(found), None, None) if found else SILENT


def _checked(one: Rule, found: Finding) -> Finding:
    """What the rule yielded, if the document can hold it: a user's rule may yield anything. Raises TypeError."""
    if not isinstance(found, Finding):
        raise TypeError(f"a rule yields findings, not {type(found).__name__}")
    if found.rule != one.id:
        raise TypeError(f"the rule {one.id} yields a finding of {found.rule!r}")
    if found.severity not in SEVERITIES or not all(isinstance(evidence, Evidence) for evidence in found.evidence):
        raise TypeError(f"a finding of severity {found.severity!r}, or one whose evidence is none")
    wrong = [key for key, value in found.facts.items() if not isinstance(value, str | int | float | bool | None)]
    if wrong:
        raise TypeError(f"the fact {wrong[0]!r} is no text, number or truth value")
    return found


def at(series: Series, index: int, note: str = "") -> Evidence:
    """Evidence at one point of a series."""
    return Evidence(series.ref(index), note)


def span(series: Series, start: int, stop: int, what: str) -> tuple[Evidence, ...]:
    """Evidence of the stretch `[start, stop)`: its first point, its last one, and the last good one before it."""
    found = [at(series, start, f"first {what}")]
    if stop - 1 > start:
        found.append(at(series, stop - 1, f"last {what}"))
    if start > 0:
        found.append(at(series, start - 1, "last record before it"))
    return tuple(found)


def last_good(series: Series, start: int) -> dict[str, Value]:
    """Facts: step and value of the record before `start`, where the trouble begins; None where it begins at once."""
    return {
        "last_good_step": series.steps[start - 1] if start else None,
        "last_good_value": series.values[start - 1] if start else None,
    }


def until(series: Series, start: int, stop: int) -> str:
    """The stretch `[start, stop)` in words: `from step 38 to the end (43 records)`, `at step 38 (1 record)`."""
    count = f"{stop - start} record{'' if stop - start == 1 else 's'}"
    first = series.steps[start]
    if stop - start == 1 and stop < len(series):
        return f"at step {first} ({count})"
    last = "the end" if stop == len(series) else f"step {series.steps[stop - 1]}"
    return f"from step {first} to {last} ({count})"


def writer(run: Run, series: Series) -> str:
    """Whose series it is, in words, where it is not the run's preferred one: ` of rank 3`, ` of actor`."""
    if series.rank is not None and run.series(series.metric) is not series:
        return f" of rank {series.rank}"
    return f" of {series.engine}" if series.engine else ""


def number(value: float) -> str:
    """A value as a summary shows it: four digits, no trailing zeros."""
    return f"{value:.4g}"
