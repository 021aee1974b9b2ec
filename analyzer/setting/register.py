"""Where settings are registered, and how facts are asked for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import wraps
from typing import Final, NamedTuple

from analyzer.model import Evidence
from parsers.model import Environment, Fact, Run, Value

MAX_EVIDENCE: Final = 2


class Setting(NamedTuple):
    """A value and where it was read. `is_bound`: the value is only known to be at least this."""

    value: Value
    evidence: tuple[Evidence, ...]
    is_bound: bool = False


Resolver = Callable[[Run], "Setting | None"]
SETTINGS: Final[dict[str, Resolver]] = {}


def setting(resolver: Resolver) -> Resolver:
    """Registers a resolver under its name; it is asked once a run, by causes and by other settings."""
    key = f"setting {resolver.__name__}"

    @wraps(resolver)
    def once(run: Run) -> Setting | None:
        known = run.remembered
        if key not in known:
            known[key] = resolver(run)
        found: Setting | None = known[key]
        return found

    SETTINGS[resolver.__name__] = once
    return once


def resolve(run: Run, name: str) -> Setting | None:
    """The setting `name` of this run, None where nothing says it; raises ValueError for an unknown name."""
    if name not in SETTINGS:
        raise ValueError(f"unknown setting {name!r}")
    return SETTINGS[name](run)


def note(fact: Fact) -> str:
    """What a reader must know of a fact's source beside its line."""
    return "stated by you" if fact.given else "implied, not printed by this run" if fact.is_implied else ""


def of(fact: Fact, value: Value) -> Setting:
    """A setting that one fact gives."""
    return Setting(value, (Evidence(fact.ref, note(fact)),))


def known(environment: Environment, *keys: str) -> Iterator[Fact]:
    """The facts under these keys that hold a value, best sources first, `auto` and empty values left out."""
    found = [fact for fact in environment.some(keys) if _says(fact)]
    if len(found) > 1:
        found.sort(key=lambda fact: (-fact.given, -fact.weight))
    return iter(found)


def _says(fact: Fact) -> bool:
    """Whether a fact holds a value."""
    return fact.value is not None and str(fact.value).lower() not in ("auto", "", "none")


def is_true(value: Value) -> bool:
    """Whether a flag is on, however it is spelt."""
    return str(value).strip().lower() in ("true", "1", "1.0", "yes")


def number(value: Value) -> float | None:
    """The value as a number, None where it is none."""
    try:
        return float(str(value).replace(",", ""))
    except ValueError:
        return None


def first_number(run: Run, *keys: str) -> Setting | None:
    """The first of these facts that is a number, best sources first."""
    for fact in known(run.environment, *keys):
        value = number(fact.value)
        if value is not None:
            return of(fact, value)
    return None


def text_of(run: Run, *keys: str, prefix: str = "") -> Setting | None:
    """All values under these keys, behind those under the prefix where there is one, as one lower-case text."""
    facts = [fact for _, fact in run.environment.under(prefix)] if prefix else []
    facts += filter(_says, run.environment.some(keys))
    if not facts:
        return None
    text = " ".join(dict.fromkeys(str(fact.value).lower() for fact in facts))
    return Setting(text, tuple(Evidence(fact.ref, note(fact)) for fact in facts[:MAX_EVIDENCE]))
