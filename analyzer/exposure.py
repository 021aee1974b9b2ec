"""One known cause against an environment, before any run: is the installed version in its window, and which of its conditions
hold, are ruled out, or cannot be known yet.

A cause counts as an exposure where every package that it affects lies in a window, and nothing that the environment says rules
it out. How loud it is:

    critical  a confirmed root cause for which the version is strong evidence, and all that it asks for is known to hold
    warning   the same of any other cause
    info      possible: something that it needs is not known, or one version alone is known and takes more than that

So a list of versions that holds two which exclude each other is a warning or more, and a version that lies in a window is a
remark until the settings are known that make it a fault: most runs with that version never meet it.

A window without an upper end (`>=0.3`) says "every version": such causes are exposures only where their settings are seen. So
are causes that affect no package (a model that fp16 cannot hold). Where a ds_config meets a cause's conditions and the version
is not known, the version is what is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from analyzer.cause import Cause
from analyzer.clauses import Case, answer, join
from analyzer.model import Evidence, Severity, State
from analyzer.patterns import conjuncts
from analyzer.versions import in_ranges
from parsers.model import SourceRef

_ENVIRONMENT: Final = frozenset({"package", "config", "arg", "setting", "hardware", "model", "run", "project", "fact"})
_PARTICULAR: Final = ("setting:model ", "setting:accelerator ", "setting:framework ", "setting:moe ", "setting:gpu ", "arg:")
"""Conditions that most environments do not meet: where they are open, the cause is worth no more than a remark."""
STRONG: Final = -3.0
LEAST_FACTS: Final = 2
"""Versions and conditions that must be known to hold before an exposure is more than a remark."""
LEAST_SETTINGS: Final = 3
"""Conditions that must be seen for a cause whose version nobody says: DeepSpeed and its stage are met by every second run."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A package whose version lies in a cause's window. `windows` is that package's ranges, joined by `||`."""

    package: str
    version: str
    windows: str
    ref: SourceRef

    @property
    def is_bounded(self) -> bool:
        """Whether a range ends: `>=0.3` alone holds for whatever is installed."""
        return all("<" in part or "==" in part for part in self.windows.split("||"))


@dataclass(frozen=True, slots=True)
class Condition:
    """Something else that the cause needs: met (with the lines that say so) or unknown (with how to find out)."""

    text: str
    state: State
    evidence: tuple[Evidence, ...] = ()
    ask: str = ""
    is_particular: bool = False


@dataclass(frozen=True, slots=True)
class Exposure:
    """A known cause that this environment is exposed to."""

    cause: Cause
    level: Severity
    hits: tuple[Hit, ...]
    conditions: tuple[Condition, ...]

    @property
    def package(self) -> str:
        """The package that the exposure is about: the one hit, else the first one affected, else `settings`."""
        affected = [entry["package"] for entry in self.cause.affects]
        return self.hits[0].package if self.hits else next(iter(affected), "settings")

    @property
    def version(self) -> str:
        """The version that is installed, `unknown` where nothing says it."""
        return self.hits[0].version if self.hits else "unknown" if self.cause.affects else ""

    @property
    def windows(self) -> str:
        """The ranges of that package, joined by `||`."""
        return " || ".join(entry["versions"] for entry in self.cause.affects if entry["package"] == self.package)

    @property
    def fix(self) -> tuple[str, ...]:
        """What to do: versions and settings, or the first sentence of the remedy where it names neither."""
        remedy: Mapping[str, Any] = self.cause.remedy
        found = [str(one) for one in remedy.get("packages", ())]
        found += [f"{key} = {str(value).lower()}" for key, value in remedy.get("config", {}).items()]
        found += [f"--{key} {value}" for key, value in remedy.get("arguments", {}).items()]
        return tuple(found or [str(one) for one in remedy.get("steps", ())][:1])

    @property
    def remedy(self) -> str:
        """The fix as one line; `or …` joins what it is an alternative to."""
        return "; ".join(self.fix).replace("; or ", " or ")

    @property
    def possible_if(self) -> tuple[str, ...]:
        """What is not known and would have to hold."""
        return tuple(one.text for one in self.conditions if one.state == "unknown")

    @property
    def order(self) -> tuple[int, str, str]:
        """Loudest first, then by package and cause."""
        return ("critical", "warning", "info").index(self.level), self.package, self.cause.id


def exposure(cause: Cause, case: Case) -> Exposure | None:
    """The cause as an exposure of this environment, None where it is none."""
    if cause.kind not in ("root-cause", "amplifier"):
        return None
    hits = _hits(cause, case)
    if hits is None or _is_ruled_out(cause, case):
        return None
    affected = {entry["package"] for entry in cause.affects}
    conditions = tuple(_unique(_conditions(cause, case, {hit.package for hit in hits} if hits else affected)))
    if any(one.state == "not-met" for one in conditions):
        return None
    level = _level(cause, case, hits, conditions) if hits else _level_by_settings(cause, case, conditions)
    return Exposure(cause, level, hits, conditions) if level else None


def _hits(cause: Cause, case: Case) -> tuple[Hit, ...] | None:
    """A hit for each package of a known version; None where one is outside its windows. A package's ranges are alternatives."""
    windows: dict[str, list[str]] = {}
    for entry in cause.affects:
        windows.setdefault(entry["package"], []).append(entry["versions"])
    hits = []
    for package, ranges in windows.items():
        fact = case.run.environment.get(f"package:{package}")
        if fact is None or fact.value is None:
            continue
        joined = " || ".join(ranges)
        inside = in_ranges(str(fact.value), joined)
        if inside is False:
            return None
        if inside:
            hits.append(Hit(package, str(fact.value), joined, fact.ref))
    return tuple(hits)


def _is_environment(when: str) -> bool:
    return all(part.partition(":")[0] in _ENVIRONMENT for part in conjuncts(when))


def _is_ruled_out(cause: Cause, case: Case) -> bool:
    """Whether something that the environment says excludes the cause."""
    none = [when for when in cause.requires.get("none", ()) if _is_environment(when)]
    if any(answer(when, case)[0] == "met" for when in none):
        return True
    against = [spec for spec in cause.evidence if spec.if_met <= STRONG and all(map(_is_environment, spec.whens))]
    return any(join(spec.join, [answer(when, case) for when in spec.whens])[0] == "met" for spec in against)


def _conditions(cause: Cause, case: Case, hit: set[str]) -> Iterator[Condition]:
    """What the cause needs of the environment beside the versions that were hit."""
    said = {spec.whens[0]: spec for spec in cause.evidence if len(spec.whens) == 1}
    for how in ("sure", "all"):
        for when in cause.requires.get(how, ()):
            if _is_environment(when) and not _is_of(when, hit):
                spec = said.get(when)
                state, evidence = answer(when, case)
                yield Condition(spec.text if spec and spec.text else _plain(when), state, evidence, spec.ask if spec else "",
                                how == "sure" and when.startswith(_PARTICULAR))  # fmt: skip
    for spec in cause.evidence:
        if spec.if_not <= STRONG and all(_is_environment(when) and not _is_of(when, hit) for when in spec.whens):
            state, evidence = join(spec.join, [answer(when, case) for when in spec.whens])
            text = spec.text or " or ".join(map(_plain, spec.whens))
            yield Condition(text, state, evidence, spec.ask, spec.whens[0].startswith(_PARTICULAR))
    for entry in cause.affects:
        if entry["package"] not in hit or case.run.environment.get(f"package:{entry['package']}") is None:
            yield Condition(f"{entry['package']} {entry['versions']}", "unknown", ask=f"pip show {entry['package']}")


def _is_of(when: str, packages: set[str]) -> bool:
    """Whether a clause only asks for the version of one of these packages."""
    kind, _, rest = when.partition(":")
    return kind == "package" and rest.partition(" ")[0] in packages


def _plain(when: str) -> str:
    """`setting:zero_stage in (1|2)` → `zero_stage in (1|2)`."""
    return " and ".join(part.partition(":")[2] for part in conjuncts(when))


def _unique(conditions: Iterator[Condition]) -> list[Condition]:
    seen: dict[str, Condition] = {}
    for one in conditions:
        seen.setdefault(one.text, one)
    return list(seen.values())


def _level_by_settings(cause: Cause, case: Case, conditions: tuple[Condition, ...]) -> Severity | None:
    """The level where no version was hit: settings alone speak, so they must be seen, and what is particular must be met."""
    held = [one for one in conditions if one.state == "met"]
    if cause.status == "anecdotal" or any(one.is_particular and one.state == "unknown" for one in conditions):
        return None
    if cause.affects:
        bounded = all("<" in entry["versions"] or "==" in entry["versions"] for entry in cause.affects)
        return "info" if bounded and sum(bool(one.evidence) for one in held) >= LEAST_SETTINGS else None
    strong = [spec for spec in cause.evidence if spec.if_met >= -STRONG and all(map(_is_environment, spec.whens))]
    seen = any(join(spec.join, [answer(when, case) for when in spec.whens])[0] == "met" for spec in strong)
    return "warning" if seen and len(held) == len(conditions) else None


def _level(cause: Cause, case: Case, hits: tuple[Hit, ...], conditions: tuple[Condition, ...]) -> Severity | None:
    is_open = any(one.state == "unknown" for one in conditions)
    held = sum(one.state == "met" for one in conditions)
    if not any(hit.is_bounded for hit in hits):
        return "warning" if held and not is_open else None
    if cause.status == "anecdotal" or is_open or held + len(hits) < LEAST_FACTS:
        return "info"
    is_known = cause.kind == "root-cause" and cause.status == "confirmed"
    return "critical" if is_known and _is_strong_evidence(cause, case, {hit.package for hit in hits}) else "warning"


def _is_strong_evidence(cause: Cause, case: Case, packages: set[str]) -> bool:
    """Whether the version of one of these packages alone speaks strongly for the cause: most runs with it meet it."""
    strong = [spec for spec in cause.evidence if spec.if_met >= -STRONG and all(_is_of(when, packages) for when in spec.whens)]
    return any(join(spec.join, [answer(when, case) for when in spec.whens])[0] == "met" for spec in strong)
