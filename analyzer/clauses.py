"""One clause of a cause against one run: met, not met or unknown, and the lines that say so.

Clauses, all of the form `kind:subject [operator value]`:

    rule:loss-zero                               a rule found something (unknown where the rule was skipped)
    event:cuda-oom                               a reader reported such an event (kinds.py)
    line:NCCL WARN .* no CUDA-capable device     a line matches this `regex` pattern
    package:deepspeed in >=0.12.4,<0.14.3        PEP 440; also `package:deepspeed` alone: is it there at all
    config:zero_optimization.overlap_comm == true     the (normalised) ds_config
    arg:bf16 == true                             training arguments
    fact:run:world_size > 1                      any fact by its whole key (model:…, hardware:…, run:…, project:…)
    hardware:gpu contains H100                   short for fact:hardware:gpu
    metric:grad_norm sentinel                    a shape of shapes.py

Operators: == != > >= < <= in (a|b|c) contains matches exists. Texts are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from analyzer import shapes
from analyzer.cause import Cause, ClauseSpec, Join
from analyzer.model import Clause, Evidence, Finding, State
from parsers.model import Environment, Event, Fact, Run, Value
from parsers.signature import Signature

Answer = tuple[State, tuple[Evidence, ...]]
UNKNOWN: Final[Answer] = ("unknown", ())
NOT_MET: Final[Answer] = ("not-met", ())
MAX_EVIDENCE: Final = 3

_OPERATOR = re.compile(r"\s(==|!=|>=|<=|>|<|in|contains|matches|exists)(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Case:
    """A run with what the rules said about it: what clauses are put to."""

    run: Run
    findings: Mapping[str, tuple[Finding, ...]]
    skipped: frozenset[str]
    lines: Mapping[str, tuple[Event, ...]]

    @classmethod
    def of(cls, run: Run, findings: Sequence[Finding], skipped: Sequence[str]) -> Case:
        """Groups findings by rule and signature events by pattern."""
        by_rule: dict[str, tuple[Finding, ...]] = {}
        for finding in findings:
            by_rule[finding.rule] = (*by_rule.get(finding.rule, ()), finding)
        lines: dict[str, tuple[Event, ...]] = {}
        for event in run.events_of("signature"):
            lines[str(event.data["id"])] = (*lines.get(str(event.data["id"]), ()), event)
        return cls(run, by_rule, frozenset(skipped), lines)


def weigh(spec: ClauseSpec, case: Case) -> Clause:
    """The clause, answered and weighed for this run."""
    state, evidence = join(spec.join, [answer(when, case) for when in spec.whens])
    added = spec.if_met if state == "met" else spec.if_not if state == "not-met" else 0.0
    text = spec.text or f" {'and' if spec.join == 'all' else 'or'} ".join(spec.whens)
    return Clause(text, state, added, spec.strength, evidence, spec.ask)


def join(how: Join, answers: Sequence[Answer]) -> Answer:
    """Kleene's any, all or none of several answers, with the evidence of those that decided."""
    states = [state for state, _ in answers]
    evidence = tuple(e for state, found in answers for e in found if state != "unknown")[:MAX_EVIDENCE]
    if how == "all":
        state: State = "not-met" if "not-met" in states else "unknown" if "unknown" in states else "met"
    elif how == "any":
        state = "met" if "met" in states else "unknown" if "unknown" in states else "not-met"
    else:
        state = "not-met" if "met" in states else "unknown" if "unknown" in states else "met"
    return state, evidence


def answer(when: str, case: Case) -> Answer:
    """One clause text against one run. Raises ValueError where the text is malformed."""
    kind, found, rest = when.partition(":")
    check = _KINDS.get(kind)
    if not found or check is None:
        raise ValueError(f"unknown clause {when!r}")
    return check(rest, case)


def _rule(subject: str, case: Case) -> Answer:
    findings = case.findings.get(subject, ())
    if findings:
        return "met", tuple(e for finding in findings for e in finding.evidence[:1])[:MAX_EVIDENCE]
    return UNKNOWN if subject in case.skipped else NOT_MET


def _event(subject: str, case: Case) -> Answer:
    events = case.run.events_of(subject)
    return ("met", tuple(Evidence(event.ref) for event in events[:MAX_EVIDENCE])) if events else NOT_MET


def _line(pattern: str, case: Case) -> Answer:
    events = case.lines.get(pattern, ())
    return ("met", tuple(Evidence(event.ref) for event in events[:MAX_EVIDENCE])) if events else NOT_MET


def _package(subject: str, case: Case) -> Answer:
    name, found, ranges = subject.partition(" in ")
    fact = case.run.environment.get(f"package:{name.strip().lower().replace('_', '-')}")
    if fact is None:
        return UNKNOWN
    if not found:
        return ("met" if fact.value else "not-met"), _cite(fact)
    inside = in_ranges(str(fact.value), ranges)
    return UNKNOWN if inside is None else ("met" if inside else "not-met", _cite(fact))


@cache
def in_ranges(version: str, ranges: str) -> bool | None:
    """Whether a PEP 440 version lies in `>=1,<2` or any of `>=1,<2 || ==3`; None where it is no version."""
    from packaging.specifiers import SpecifierSet
    from packaging.version import InvalidVersion, Version

    try:
        parsed = Version(version)
    except InvalidVersion:
        leading = re.match(r"\d+(?:\.\d+)*", version)
        if not leading:
            return None
        parsed = Version(leading[0])
    parsed = Version(parsed.public)
    return any(SpecifierSet(part.strip()).contains(parsed, prereleases=True) for part in ranges.split("||"))


def _keyed(prefix: str) -> Callable[[str, Case], Answer]:
    def check(subject: str, case: Case) -> Answer:
        key, operator, wanted = split(subject)
        return compare(case.run.environment, prefix + key, operator, wanted)

    return check


def split(subject: str) -> tuple[str, str, str]:
    """`key op value` → its parts; a key alone asks whether it `exists`."""
    found = _OPERATOR.search(subject)
    if not found:
        return subject.strip(), "exists", ""
    return subject[: found.start()].strip(), found[1], subject[found.end() :].strip()


def compare(environment: Environment, key: str, operator: str, wanted: str) -> Answer:
    """A fact against a wanted value; unknown where there is no such fact or it cannot be compared (`auto`)."""
    fact = environment.get(key)
    if fact is None:
        return UNKNOWN
    holds = _holds(fact.value, operator, wanted)
    return UNKNOWN if holds is None else ("met" if holds else "not-met", _cite(fact))


def _holds(value: Value, operator: str, wanted: str) -> bool | None:
    text = str(value).lower()
    if operator == "exists":
        return value is not None
    if text == "auto" and wanted != "auto":
        return None
    if operator in (">", ">=", "<", "<="):
        try:
            left, right = float(text), float(wanted)
        except ValueError:
            return None
        return {">": left > right, ">=": left >= right, "<": left < right, "<=": left <= right}[operator]
    if operator == "contains":
        return wanted.lower() in text
    if operator == "matches":
        import regex

        return regex.search(wanted, str(value), regex.IGNORECASE, timeout=0.1) is not None
    options = [part.strip().lower() for part in wanted.strip("()").split("|")] if operator == "in" else [wanted.lower()]
    return any(_equal(text, option) for option in options) != (operator == "!=")


def _equal(text: str, wanted: str) -> bool:
    if text == wanted:
        return True
    try:
        return float(text) == float(wanted)
    except ValueError:
        return False


def _cite(fact: Fact) -> tuple[Evidence, ...]:
    note = "stated by you" if fact.given else "implied, not printed by this run" if fact.is_implied else ""
    return (Evidence(fact.ref, note),)


def _metric(subject: str, case: Case) -> Answer:
    name, _, shape = subject.partition(" ")
    return shapes.ask(case.run, name.strip(), shape.strip())


_KINDS: Final[Mapping[str, Callable[[str, Case], Answer]]] = {
    "rule": _rule,
    "event": _event,
    "line": _line,
    "package": _package,
    "config": _keyed("config:"),
    "arg": _keyed("arg:"),
    "fact": _keyed(""),
    "hardware": _keyed("hardware:"),
    "metric": _metric,
}


def signatures(causes: Sequence[Cause]) -> tuple[Signature, ...]:
    """Every `line:` pattern of these causes, with the literal to look for first."""
    found: dict[str, Signature] = {}
    for cause in causes:
        for texts, hint in _texts(cause):
            for text in texts:
                if text.startswith("line:"):
                    pattern = text[5:]
                    found.setdefault(pattern, Signature(pattern, pattern, hint or literal(pattern)))
    return tuple(found.values())


def _texts(cause: Cause) -> list[tuple[tuple[str, ...], str]]:
    return [(texts, "") for texts in cause.requires.values()] + [(spec.whens, spec.hint) for spec in cause.evidence]



@cache
def literal(pattern: str) -> str:
    """The longest literal that every match of `pattern` must hold: top level only, nothing optional or alternative.

    Raises ValueError where there is none of at least four characters: the clause then names a `hint`.
    """
    if "|" in re.sub(r"\([^()]*\)|\[[^\]]*\]|\\\|", "", re.sub(r"\([^()]*\)", "", pattern)) or "(?i)" in pattern:
        raise ValueError(f"no literal in {pattern!r}: name a hint")
    flat, depth = [""], 0
    index = 0
    while index < len(pattern):
        char = pattern[index]
        step = 1
        if char == "\\" and index + 1 < len(pattern):
            step = 2
            char = "" if pattern[index + 1] in "dDwWsSbBAZ" else pattern[index + 1]
        elif char == "[":
            step, char = pattern.index("]", index + 2) + 1 - index, ""
        elif char in "()":
            depth += 1 if char == "(" else -1
            char = ""
        elif char in ".^$":
            char = ""
        following = pattern[index + step : index + step + 1]
        if char in "*+?{" and char and step == 1:
            step = pattern.index("}", index) + 1 - index if char == "{" else 1
            flat.append("")
        elif depth or not char or following in ("*", "?", "{"):
            flat.append("")
        else:
            flat[-1] += char
        index += step
    best = max(flat, key=len)
    if len(best) < 4:
        raise ValueError(f"no literal of four characters in {pattern!r}: name a hint")
    return best
