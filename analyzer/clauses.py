"""One clause of a cause against one run: met, not met or unknown, and the lines that say so.

Clauses, all of the form `kind:subject [operator value]`:

    rule:loss-zero                               a rule found something (unknown where the rule was skipped); a finding
                                                 that the rule itself calls mere information does not count
    rule:collective-timeout apart matches rank 1 one of whose facts says so
    event:cuda-oom                               a reader reported such an event (kinds.py)
    event:cuda-oom other > 2e9                   one whose data says so
    line:NCCL WARN .* no CUDA-capable device     a line matches this `re` pattern
    package:deepspeed in >=0.12.4,<0.14.3        PEP 440; also `package:deepspeed` alone: is it there at all
    config:zero_optimization.overlap_comm == true     the (normalised) ds_config
    arg:bf16 == true                             training arguments
    fact:run:world_size > 1                      any fact by its whole key (model:…, hardware:…, run:…, project:…)
    hardware:gpu contains H100                   short for fact:hardware:gpu; so are model:, run: and project:
    setting:precision == fp16                    what the run was set to, wherever that is said (setting.py)
    tried:overlap-off == healed                  what somebody changed, and whether that healed the run: healed | failed
    metric:grad_norm sentinel                    a shape of shapes.py
    metric:loss first > 6                        a statistic: first, last, min, max, median or count of the finite points

Clauses joined by " and " are met where all of them are.
Operators: == != > >= < <= in (a|b|c) contains matches exists. Texts are compared without regard to case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import ge, gt, le, lt
from typing import Final, NamedTuple

from analyzer import setting as settings
from analyzer import shapes
from analyzer.cause import ClauseSpec, Gate, Join
from analyzer.model import Clause, Evidence, Finding, State
from analyzer.patterns import conjuncts
from analyzer.rule import RULES
from analyzer.versions import in_ranges
from parsers.model import Environment, Event, Run, Value

Answer = tuple[State, tuple[Evidence, ...]]
Check = Callable[["Case"], Answer]
"""A clause taken apart once, to be put to many runs."""
Test = Callable[[Value], "bool | None"]
"""What a clause wishes of a value."""
UNKNOWN: Final[Answer] = ("unknown", ())
NOT_MET: Final[Answer] = ("not-met", ())
MAX_EVIDENCE: Final = 3
_COST: Final = {"setting": 1, "metric": 2}

_SIZES: Final[Mapping[str, Callable[[float, float], bool]]] = {">": gt, ">=": ge, "<": lt, "<=": le}
_OPERATOR = re.compile(r"\s(==|!=|>=|<=|>|<|in|contains|matches|exists)(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Case:
    """A run with what the rules said about it: what clauses are put to."""

    run: Run
    findings: Mapping[str, tuple[Finding, ...]]
    skipped: frozenset[str]
    lines: Mapping[str, tuple[Event, ...]]
    events: Mapping[str, tuple[Event, ...]] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict, compare=False, repr=False)
    """Clauses answered so far: many causes ask the same."""
    first: Finding | None = None
    """The finding that the run's failure began with."""

    @classmethod
    def of(cls, run: Run, findings: Sequence[Finding], skipped: Sequence[str], first: Finding | None = None) -> Case:
        """Groups findings by rule and signature events by pattern."""
        by_rule: dict[str, tuple[Finding, ...]] = {}
        for finding in findings:
            if finding.severity == "info" and finding.rule in RULES and RULES[finding.rule].severity != "info":
                continue
            by_rule[finding.rule] = (*by_rule.get(finding.rule, ()), finding)
        lines: dict[str, list[Event]] = {}
        for event in run.events_of("signature"):
            lines.setdefault(str(event.data["id"]), []).append(event)
        told = {id_: tuple(found) for id_, found in lines.items()}
        return cls(run, by_rule, frozenset(skipped), told, run.by_kind, first=first)


class Weighing(NamedTuple):
    """A clause that was answered and weighed for a run."""

    spec: ClauseSpec
    state: State
    weight: float
    evidence: tuple[Evidence, ...]

    @property
    def clause(self) -> Clause:
        """As it stands in the ledger."""
        spec = self.spec
        text = spec.text or _words(spec.join, spec.whens)
        return Clause(text, self.state, self.weight, spec.strength, self.evidence, spec.ask)


def weigh(spec: ClauseSpec, case: Case) -> Weighing:
    """Answers and weighs a clause for this run: what is met or not met adds something, what is unknown does not."""
    if len(spec.whens) == 1 and spec.join != "none":
        state, evidence = answer(spec.whens[0], case)
        evidence = evidence[:MAX_EVIDENCE] if state != "unknown" else ()
    else:
        state, evidence = join(spec.join, [answer(when, case) for when in spec.whens])
    return Weighing(spec, state, spec.if_met if state == "met" else spec.if_not if state == "not-met" else 0.0, evidence)


@cache
def _words(how: Join, whens: tuple[str, ...]) -> str:
    """The text of a clause that has none of its own."""
    return f" {'and' if how == 'all' else 'or'} ".join(map(_plain, whens))


def _plain(when: str) -> str:
    """A clause without words of its own, as a reader wants it: `package:torch in ==2.5.0` → `torch is ==2.5.0`."""
    name, found, ranges = when.removeprefix("package:").partition(" in ")
    return f"{name} is {ranges.replace(' || ', ' or ')}" if found and when.startswith("package:") else when


def join(how: Join, answers: Sequence[Answer]) -> Answer:
    """Kleene's any, all or none of several answers, with the evidence of those that decided."""
    states = {state for state, _ in answers}
    evidence = tuple([e for state, found in answers if state != "unknown" for e in found][:MAX_EVIDENCE])
    if how == "all":
        state: State = "not-met" if "not-met" in states else "unknown" if "unknown" in states else "met"
    elif how == "any":
        state = "met" if "met" in states else "unknown" if "unknown" in states else "not-met"
    else:
        state = "not-met" if "met" in states else "unknown" if "unknown" in states else "met"
    return state, evidence


class Asked(NamedTuple):
    """A clause with how it is asked and, where several are joined in it, those."""

    when: str
    check: Check
    parts: tuple[Asked, ...]


def state_of(how: Gate, whens: Sequence[Asked], case: Case) -> State:
    """The state alone of several clauses joined as a gate joins them; those that can change nothing are not asked."""
    wanted: State = "not-met" if how in ("all", "sure") else "met"
    is_unknown = False
    answers = case.answers
    for when, check, parts in whens:
        known = answers.get(when)
        if known is not None:
            state = known[0]
        elif parts:
            state = state_of("all", parts, case)
        else:
            known = answers[when] = check(case)
            state = known[0]
        if state == wanted:
            return "met" if how == "any" else "not-met"
        is_unknown = is_unknown or state == "unknown"
    return "unknown" if is_unknown else "not-met" if how == "any" else "met"


@cache
def asked(whens: tuple[str, ...]) -> tuple[Asked, ...]:
    """Clauses as they are asked: facts and messages before settings, those before curves, which take longest to ask."""

    def cost(when: str) -> int:
        return max(_COST.get(part.partition(":")[0], 0) for part in conjuncts(when))

    taken = [(when, _check(when), conjuncts(when)) for when in sorted(whens, key=cost)]
    return tuple(Asked(when, check, asked(parts) if len(parts) > 1 else ()) for when, check, parts in taken)


def answer(when: str, case: Case) -> Answer:
    """One clause text against one run. Raises ValueError where the text is malformed."""
    known = case.answers.get(when)
    if known is None:
        known = case.answers[when] = _check(when)(case)
    return known


@cache
def _check(when: str) -> Check:
    parts = conjuncts(when)
    if len(parts) > 1:
        return lambda case: join("all", [answer(part, case) for part in parts])
    kind, found, rest = when.partition(":")
    check = _KINDS.get(kind)
    if not found or check is None:
        raise ValueError(f"unknown clause {when!r}")
    return check(rest)


def _rule(subject: str) -> Check:
    rule, _, wish = subject.partition(" ")
    has = _has(wish)

    def check(case: Case) -> Answer:
        findings = case.findings.get(rule)
        told = [one for one in findings if has(one.facts)] if findings else ()
        if told:
            return "met", tuple(e for finding in told for e in finding.evidence[:1])[:MAX_EVIDENCE]
        return UNKNOWN if rule in case.skipped else NOT_MET

    return check


def _event(subject: str) -> Check:
    kind, _, wish = subject.partition(" ")
    has = _has(wish)

    def check(case: Case) -> Answer:
        events = case.events.get(kind)
        return _of_events([event for event in events if has(event.data)]) if events else NOT_MET

    return check


def _of_events(events: Sequence[Event]) -> Answer:
    return ("met", tuple(Evidence(event.ref) for event in events[:MAX_EVIDENCE])) if events else NOT_MET


def _has(wish: str) -> Callable[[Mapping[str, Value]], bool]:
    """Whether a finding's fact or an event's datum is as a clause wishes: as one without a wish, whatever it is."""
    if not wish:
        return lambda _: True
    name, operator, wanted = split(wish)
    holds = _holds(operator, wanted)
    return lambda data: name in data and bool(holds(data[name]))


def _line(pattern: str) -> Check:
    return lambda case: _of_events(case.lines.get(pattern, ()))


def key_of(kind: str, name: str) -> str:
    """The key of the fact that a clause of this kind asks for; '' where it asks for none."""
    if kind == "package":
        return f"package:{name.strip().lower().replace('_', '-')}"
    return name if kind == "fact" else f"{kind}:{name}" if kind in _FACTS else ""


@cache
def of_fact(when: str) -> tuple[str, Test] | None:
    """The key of the fact that a clause asks for, and what it wishes of it; None where it asks for none."""
    kind, _, subject = when.partition(":")
    if kind == "package":
        name, found, ranges = subject.partition(" in ")
        return key_of(kind, name), (lambda value: in_ranges(str(value), ranges)) if found else bool
    name, operator, wanted = split(subject)
    key = key_of(kind, name)
    return (key, _holds(operator, wanted)) if key else None


def _keyed(kind: str) -> Callable[[str], Check]:
    def keyed(subject: str) -> Check:
        asked = of_fact(f"{kind}:{subject}")
        assert asked is not None
        key, holds = asked
        return lambda case: compare(case.run.environment, key, holds)

    return keyed


@cache
def split(subject: str) -> tuple[str, str, str]:
    """`key op value` → its parts; a key alone asks whether it `exists`."""
    found = _OPERATOR.search(subject)
    if not found:
        return subject.strip(), "exists", ""
    return subject[: found.start()].strip(), found[1], subject[found.end() :].strip()


def compare(environment: Environment, key: str, holds: Test) -> Answer:
    """A fact against a wanted value; unknown where there is no such fact or it cannot be compared (`auto`)."""
    fact = environment.get(key)
    if fact is None:
        return UNKNOWN
    is_so = holds(fact.value)
    return UNKNOWN if is_so is None else ("met" if is_so else "not-met", (Evidence(fact.ref, settings.note(fact)),))


def _setting(subject: str) -> Check:
    name, operator, wanted = split(subject)
    holds = _holds(operator, wanted)

    def check(case: Case) -> Answer:
        found = settings.resolve(case.run, name)
        if found is None:
            return UNKNOWN
        is_so = holds(found.value)
        if is_so is None or (found.is_bound and not _survives_growth(is_so, operator)):
            return UNKNOWN
        return "met" if is_so else "not-met", found.evidence

    return check


def _survives_growth(holds: bool, operator: str) -> bool:
    """Whether an answer about a lower bound stays true when the real value is larger."""
    return holds if operator in (">", ">=", "exists", "!=") else not holds and operator in ("<", "<=", "==", "in")


@cache
def _holds(operator: str, wanted: str) -> Test:
    """Whether a value is as wanted, to be asked of many: None where it cannot be told."""
    if operator == "exists":
        return lambda value: value is not None
    known = _is_sized(operator, wanted) if operator in _SIZES else _is_worded(operator, wanted)

    def holds(value: Value) -> bool | None:
        text = str(value)
        return None if wanted != "auto" and text.lower() == "auto" else known(text)

    return holds


def _is_sized(operator: str, wanted: str) -> Callable[[str], bool | None]:
    right, is_so = _number(wanted), _SIZES[operator]

    def holds(text: str) -> bool | None:
        left = _number(text)
        return None if left is None or right is None else is_so(left, right)

    return holds


def _is_worded(operator: str, wanted: str) -> Callable[[str], bool | None]:
    low = wanted.lower()
    if operator == "contains":
        return lambda text: low in text.lower()
    if operator == "matches":
        return lambda text: _compiled(wanted).search(text[:4096]) is not None
    options = [part.strip() for part in low.strip("()").split("|")] if operator == "in" else [low]
    numbers = [value for value in map(_number, options) if value is not None]

    def is_one(text: str) -> bool:
        text = text.lower()
        return text in options or (bool(numbers) and _number(text) in numbers)

    return is_one if operator != "!=" else lambda text: not is_one(text)


def _number(text: str) -> float | None:
    """The text as a number, None where it is none."""
    try:
        return float(text)
    except ValueError:
        return None


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


def _metric(subject: str) -> Check:
    name, _, shape = subject.partition(" ")
    metric, wanted = name.strip(), shape.strip()
    return lambda case: shapes.ask(case.run, metric, wanted)


_FACTS: Final = frozenset({"config", "arg", "fact", "hardware", "model", "run", "project", "tried"})
"""Kinds of clauses about one fact, besides `package`."""
_KINDS: Final[Mapping[str, Callable[[str], Check]]] = {
    "rule": _rule,
    "event": _event,
    "line": _line,
    "setting": _setting,
    "metric": _metric,
    **{kind: _keyed(kind) for kind in ("package", *sorted(_FACTS))},
}
