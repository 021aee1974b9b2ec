"""Rival causes, weighed in the open: a sum of log-odds that can be read aloud, and a verdict that can be checked.

The order is prior + what each clause adds (met or not met; unknown adds nothing and is asked for).
*confirmed*: every requirement and every decisive clause is met (at least one is decisive), every version that could speak
against it is known, and nothing strong does. *likely*: clearly ahead of the next root cause and nothing decisive against it.
*possible*: the rest.

Decoders ("loss 0.0 is a filtered NaN") are said beside the causes and never compete with them. A benign explanation
is said beside them too, unless it is well supported and outweighs every cause: then "nothing is wrong" is the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final, NamedTuple

from analyzer.cause import FOLDER, PRIORS, Cause, complete
from analyzer.clauses import Case, Weighing, state_of, weigh
from analyzer.gates import Steps, candidates
from analyzer.model import CauseVerdict, Clause, Failure, Finding, Match, State
from analyzer.relation import CRASHES, elsewhere, is_of_first, is_well
from parsers import kinds

LEAD: Final = 1.5
"""Log-odds by which a likely cause is ahead of its next rival: odds of about 4.5 to 1."""
LIKELY: Final = 3.5
"""Log-odds (more than one strong piece of evidence) below which nothing is called likely, however far behind the others are."""
LISTED: Final = 0.5
"""Log-odds below which a cause is not worth a line."""
BEHIND: Final = 7.0
"""Log-odds behind the first at which a cause is not worth a line either: odds of a thousand to one."""
SUPPORTED: Final = 2.0
"""Log-odds at which a root cause comes before amplifiers of whatever weight, and a benign explanation may lead."""
MAX_LISTED: Final = 8
STRONG: Final = 3.0
DECISIVE: Final = 5.0


class Weighed(NamedTuple):
    """A cause that passed its gate, with its ledger; `gate`: whether everything it requires was met.

    `is_dated`: whether every version that would speak against it is known.
    """

    cause: Cause
    match: Match
    gate: State
    is_dated: bool = True

    @property
    def rank(self) -> tuple[float, str]:
        """Best first, equal scores by name."""
        return -self.match.score, self.match.id


FOLLOWED: Final = frozenset({"communication-error", "collective-timeout", "rank-failure", "stall"})
"""First findings behind which something else may stand that the log does not hold: only then is an echo a rival of causes."""


def differential(
    causes: Sequence[Cause], case: Case, strict: bool = False
) -> tuple[tuple[Match, ...], tuple[Match, ...], tuple[Failure, ...]]:
    """(causes best first, decoders and other benign explanations, failures of ours)."""
    weighed, failures = _weigh_all(causes, case, strict)
    notes = [one for one in weighed if _is_aside(one, case)]
    rivals = _root_first([one for one in weighed if not _is_aside(one, case)])
    if is_well(case):
        rivals = [one for one in rivals if _is_silent(one)]
    best = max(SUPPORTED, rivals[0].match.score if rivals else SUPPORTED)
    may_lead = not any(finding.severity == "critical" for rule in CRASHES for finding in case.findings.get(rule, ()))
    leader = next((one for one in notes if may_lead and one.cause.kind == "benign" and one.match.score >= best), None)
    ranked = [leader, *rivals] if leader else rivals
    listed = [one for one in ranked if one.match.score >= ranked[0].match.score - BEHIND][:MAX_LISTED]
    is_loud = any(f.severity != "info" for findings in case.findings.values() for f in findings)
    judged = tuple(_told(one, _verdict(one, ranked, is_loud)) for one in listed)
    return judged, tuple(_told(one) for one in notes if one is not leader), failures


def _is_aside(one: Weighed, case: Case) -> bool:
    """Decoders and benign explanations are; an echo is where the log holds what began it, and it is not that itself."""
    if one.cause.kind == "echo":
        return case.first is not None and not _is_followed(case.first, case) and not is_of_first(one.cause, case)
    return one.cause.kind in ("decoder", "benign")


def _is_followed(first: Finding, case: Case) -> bool:
    """Whether something else may stand behind the first finding; a connection that NCCL itself could not make is no echo."""
    if first.rule != "communication-error":
        return first.rule in FOLLOWED
    began = first.evidence[0].ref
    events = case.events.get(kinds.COMMUNICATION_ERROR, ())
    return any(event.data.get("is_peer") for event in events if (event.ref.file, event.ref.line) == (began.file, began.line))


def _is_silent(one: Weighed) -> bool:
    """Whether a run that looks well may still have this cause: its whole setting, or a message of its own, and more."""
    gate = [*one.cause.requires.get("any", ()), *one.cause.requires.get("sure", ())]
    speaks = "sure" in one.cause.requires or any("line:" in when or "event:" in when for when in gate)
    return speaks and one.cause.kind == "root-cause" and one.match.score >= LIKELY


def _root_first(rivals: list[Weighed]) -> list[Weighed]:
    """An amplifier explains why it got worse, not why it began: a root cause that is well supported leads it."""
    first = next((one for one in rivals if one.cause.kind == "root-cause" and one.match.score >= SUPPORTED), None)
    if first is None:
        return rivals
    return [first, *(one for one in rivals if one is not first)]


def _told(one: Weighed, verdict: CauseVerdict = "possible") -> Match:
    """The match as it is shown: with remedy, experiment and sources, which are read only for causes that are listed,
    and with the clauses that weighed something or ask for something.
    """
    cause, match = one.cause if one.cause.remedy else _whole(one.cause.id) or one.cause, one.match
    worth = tuple([clause for clause in match.clauses if clause.weight or (clause.state == "unknown" and clause.ask)])
    return Match(
        match.id, match.title, match.kind, verdict, match.score, worth, cause.remedy, cause.experiment, match.mechanism,
        match.rivals, tuple([source["url"] for source in cause.sources]),
    )  # fmt: skip


@cache
def _whole(id_: str) -> Cause | None:
    """A shipped cause with its remedy; None where the file is another's."""
    return complete(id_) if (FOLDER / f"{id_}.toml").is_file() else None


def _weigh_all(causes: Sequence[Cause], case: Case, strict: bool) -> tuple[list[Weighed], tuple[Failure, ...]]:
    weighed: list[Weighed] = []
    failures: list[Failure] = []
    for cause, steps in candidates(causes, case):
        try:
            gate = _gate(steps, case)
            one = _weigh(cause, gate, case) if gate != "not-met" else None
        except Exception as error:
            if strict:
                raise
            failures.append(Failure(cause.id, f"{type(error).__name__}: {error}"))
            continue
        if one is not None:
            weighed.append(one)
    return sorted(weighed, key=lambda one: one.rank), tuple(failures)


def _weigh(cause: Cause, gate: State, case: Case) -> Weighed | None:
    weighed = [weigh(spec, case) for spec in cause.evidence]
    other = elsewhere(cause, case)
    score = PRIORS[cause.prior] + sum([one.weight for one in weighed] + ([other.weight] if other else []))
    if score < LISTED or not any(one.state == "met" and one.weight > 0 for one in weighed):
        return None
    clauses = [*(one.clause for one in weighed), *((other,) if other else ())]
    match = Match(
        id=cause.id, title=cause.title, kind=cause.kind, verdict="possible", score=round(score, 3),
        clauses=_by_weight(clauses), remedy={}, confirm_by="", mechanism=cause.mechanism, rivals=cause.rivals,
    )  # fmt: skip
    return Weighed(cause, match, gate, not any(map(_is_open_version, weighed)))


def _is_open_version(one: Weighing) -> bool:
    """Whether a clause waits for a version that would speak against the cause."""
    spec = one.spec
    return one.state == "unknown" and spec.if_not < 0 and all(when.startswith("package:") for when in spec.whens)


def _gate(steps: Steps, case: Case) -> State:
    """Whether a cause can be meant at all. Symptoms (`any`, `sure`) must be there: an unknown one opens no gate."""
    is_unknown = False
    for how, whens in steps:
        state = state_of(how, whens, case)
        if state == "not-met" or (state == "unknown" and how in ("any", "sure")):
            return "not-met"
        if how != "none":  # that nothing contradicts is not known of most runs; it is no requirement
            is_unknown = is_unknown or state == "unknown"
    return "unknown" if is_unknown else "met"


def _by_weight(clauses: Sequence[Clause]) -> tuple[Clause, ...]:
    """Heaviest first among met, then against, then unknown: the order in which a reader wants them."""
    group = {"met": 0, "not-met": 1, "unknown": 2}
    return tuple(sorted(clauses, key=lambda clause: (group[clause.state], -abs(clause.weight))))


def _verdict(one: Weighed, ranked: Sequence[Weighed], is_loud: bool) -> CauseVerdict:
    """`is_loud`: whether a rule found anything wrong; without, a cause is never more than possible."""
    match, status = one.match, one.cause.status
    if one is not ranked[0] or status == "anecdotal" or not is_loud:
        return "possible"
    decisive = [clause for clause in match.clauses if clause.strength == "decisive"]
    against = any(clause.weight <= -STRONG for clause in match.clauses)
    is_sure = bool(decisive) and all(clause.state == "met" for clause in decisive) and one.gate == "met"
    if is_sure and one.is_dated and not against:
        return "confirmed"
    if any(clause.weight <= -DECISIVE for clause in match.clauses):
        return "possible"
    behind = next((other.match.score for other in ranked[1:] if other.cause.kind in ("root-cause", "benign")), -1.0)
    return "likely" if match.score >= LIKELY and match.score - behind >= LEAD else "possible"
