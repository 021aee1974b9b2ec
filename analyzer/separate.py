"""Many runs: which setting separates the failed from the healthy. Each known setting is a split; the best splits are told.

A split is `key = value` (or `key ≥ value` for numbers and versions). It is scored by how much of the failed runs and how little
of the healthy ones it holds for, and by how often chance alone would do as well (Fisher's exact test, one-sided), multiplied by
the number of settings that were tried: among hundreds of settings some fit by chance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from typing import Final

from analyzer.differences import AREAS, is_incidental, normal
from analyzer.model import Diagnosis
from parsers.model import Environment, Fact, Value

MAX_SPLITS: Final = 12
LEAST: Final = 0.5
"""Share of failed runs minus share of healthy runs below which a split separates nothing."""
CHANCE: Final = 0.2
"""How likely by chance a split may be that does not separate all runs: of a few runs, one that does is told all the same."""


@dataclass(frozen=True, slots=True)
class Split:
    """A setting that holds for `failed` of `all_failed` and `healthy` of `all_healthy` runs that name it."""

    key: str
    test: str
    failed: int
    all_failed: int
    healthy: int
    all_healthy: int
    unknown: int
    chance: float
    """How likely a split as good is by chance, all settings that were tried taken together; at most 1."""

    @property
    def gap(self) -> float:
        """Share of the failed runs minus share of the healthy ones: 1 separates all."""
        return self.failed / self.all_failed - self.healthy / self.all_healthy

    @property
    def is_widely_named(self) -> bool:
        """Whether at least half of the runs name the setting: of a handful, any two values separate all."""
        return self.unknown <= self.all_failed + self.all_healthy


@dataclass(frozen=True, slots=True)
class Separation:
    """The runs that were compared, and the settings that separate them, best first."""

    failed: tuple[str, ...]
    healthy: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    splits: tuple[Split, ...]
    tried: int


Runs = Sequence[tuple[Environment, Diagnosis]]


def separate(runs: Runs) -> Separation:
    """Failed against healthy; runs of another verdict are left out and named."""
    failed = [(env, told) for env, told in runs if told.verdict == "failed"]
    healthy = [(env, told) for env, told in runs if told.verdict == "healthy"]
    others = tuple((told.run.source, told.verdict) for _, told in runs if told.verdict not in ("failed", "healthy"))
    prefixes = tuple(prefix for _, prefix in AREAS)
    named = {fact.key for env, _ in (*failed, *healthy) for fact in env}
    keys = sorted(key for key in named if key.startswith(prefixes) and not is_incidental(key))
    best = [split for key in keys for split in _best(key, [e for e, _ in failed], [e for e, _ in healthy])]
    tried = len({split.key for split in best})
    told = [_corrected(split, tried) for split in best if split.gap >= LEAST]
    told = [split for split in told if split.chance <= CHANCE or (split.gap == 1 and split.is_widely_named)]
    told.sort(key=lambda split: (round(split.chance, 9), -split.gap, split.unknown, split.key))
    return Separation(
        tuple(one.run.source for _, one in failed), tuple(one.run.source for _, one in healthy), others,
        tuple(told[:MAX_SPLITS]), tried,
    )  # fmt: skip


def _corrected(split: Split, tried: int) -> Split:
    from dataclasses import replace

    return replace(split, chance=min(1.0, split.chance * tried))


def _best(key: str, failed: Sequence[Environment], healthy: Sequence[Environment]) -> Iterator[Split]:
    """The best split of one setting, if both groups name it and it has more than one value."""
    ours, theirs = _values(key, failed), _values(key, healthy)
    if not ours or not theirs or len({normal(value) for value in (*ours, *theirs)}) < 2:
        return
    unknown = len(failed) + len(healthy) - len(ours) - len(theirs)
    splits = [
        Split(key, test, sum(bad), len(ours), sum(good), len(theirs), unknown,
              _by_chance(sum(bad), len(ours), sum(good), len(theirs)))
        for test, bad, good in _tests(key, ours, theirs)
    ]  # fmt: skip
    yield min(splits, key=lambda split: (split.chance, -split.gap, split.test))


def _values(key: str, runs: Sequence[Environment]) -> list[Value]:
    facts = [env.get(key) for env in runs]
    return [fact.value for fact in facts if _says_something(fact)]  # type: ignore[union-attr]


def _says_something(fact: Fact | None) -> bool:
    return fact is not None and fact.value is not None and str(fact.value).lower() != "auto"


def _tests(key: str, ours: Sequence[Value], theirs: Sequence[Value]) -> Iterator[tuple[str, list[bool], list[bool]]]:
    """(name, holds for each failed run, holds for each healthy run) of every split of these values."""
    shown: Mapping[str | float, Value] = {normal(value): value for value in (*ours, *theirs)}
    for wanted, value in shown.items():
        yield f"= {value}", [normal(v) == wanted for v in ours], [normal(v) == wanted for v in theirs]
    ranks = _ranks(key, shown)
    for wanted, rank in ranks.items():
        bad, good = ([ranks[normal(v)] >= rank for v in values] for values in (ours, theirs))
        yield f"≥ {shown[wanted]}", bad, good
        yield f"< {shown[wanted]}", [not one for one in bad], [not one for one in good]


def _ranks(key: str, shown: Mapping[str | float, Value]) -> dict[str | float, int]:
    """The order of versions or numbers; empty where they have none (then only equality is tried), or where there are but two."""
    from packaging.version import InvalidVersion, Version

    try:
        if key.startswith("package:"):
            order = sorted(shown, key=lambda wanted: Version(str(shown[wanted])))
        else:
            order = sorted(shown, key=lambda wanted: _as_number(shown[wanted]))
    except (InvalidVersion, ValueError):
        return {}
    return {wanted: index for index, wanted in enumerate(order)} if len(order) > 2 else {}


def _as_number(value: Value) -> float:
    if isinstance(value, bool) or value is None:
        raise ValueError(value)
    return float(value)


def _by_chance(failed: int, all_failed: int, healthy: int, all_healthy: int) -> float:
    """Fisher's exact test: how likely at least `failed` of the runs with the setting are failed ones."""
    total, with_it = all_failed + all_healthy, failed + healthy
    ways = sum(
        comb(all_failed, k) * comb(all_healthy, with_it - k)
        for k in range(failed, min(all_failed, with_it) + 1)
        if with_it - k <= all_healthy
    )
    return ways / comb(total, with_it)
