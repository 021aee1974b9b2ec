"""Rival causes, weighed in the open: a sum of log-odds that can be read aloud, and a verdict that can be checked.

The order is prior + what each clause adds (met or not met; unknown adds nothing and is asked for).
*confirmed*: every requirement and every decisive clause is met (at least one is decisive) and nothing strong speaks
against it. *likely*: clearly ahead of the next root cause. *possible*: the rest. Decoders and benign explanations are
said beside the causes and never compete with them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from analyzer.cause import PRIORS, Cause
from analyzer.clauses import Case, answer, join, weigh
from analyzer.model import CauseVerdict, Clause, Failure, Match, State

LEAD: Final = 1.5
"""Log-odds by which a likely cause is ahead of its next rival: odds of about 4.5 to 1."""
LIKELY: Final = 2.0
"""Log-odds below which nothing is called likely, however far behind the others are."""
LISTED: Final = 0.5
"""Log-odds below which a cause is not worth a line."""
MAX_LISTED: Final = 8
STRONG: Final = 3.0


def differential(
    causes: Sequence[Cause], case: Case, strict: bool = False
) -> tuple[tuple[Match, ...], tuple[Match, ...], tuple[Failure, ...]]:
    """(root causes best first, decoders and benign explanations, failures of ours)."""
    matches: list[tuple[Cause, Match]] = []
    failures: list[Failure] = []
    for cause in causes:
        try:
            match = _match(cause, case)
        except Exception as error:
            if strict:
                raise
            failures.append(Failure(cause.id, f"{type(error).__name__}: {error}"))
            continue
        if match is not None:
            matches.append((cause, match))
    matches.sort(key=lambda pair: (-pair[1].score, pair[1].id))
    rivals = [(cause, match) for cause, match in matches if cause.kind in ("root-cause", "amplifier", "echo")]
    notes = tuple(match for cause, match in matches if cause.kind in ("decoder", "benign"))
    judged = []
    for rank, (cause, match) in enumerate(rivals[:MAX_LISTED]):
        behind = rivals[rank + 1][1].score if rank + 1 < len(rivals) else -1.0
        judged.append(replace(match, verdict=_verdict(cause, match, behind, is_first=rank == 0)))
    return tuple(judged), notes, tuple(failures)


def _match(cause: Cause, case: Case) -> Match | None:
    gate = _gate(cause, case)
    if gate == "not-met":
        return None
    clauses = tuple(weigh(spec, case) for spec in cause.evidence)
    score = PRIORS[cause.prior] + sum(clause.weight for clause in clauses)
    if score < LISTED or not any(clause.state == "met" and clause.weight > 0 for clause in clauses):
        return None
    return Match(
        id=cause.id, title=cause.title, kind=cause.kind, verdict="possible", score=round(score, 3),
        clauses=_by_weight(clauses), remedy=cause.remedy, confirm_by=cause.experiment, mechanism=cause.mechanism,
        rivals=cause.rivals, sources=tuple(source["url"] for source in cause.sources),
    )  # fmt: skip


def _gate(cause: Cause, case: Case) -> State:
    states = [join(how, [answer(when, case) for when in whens])[0] for how, whens in cause.requires.items()]
    return "not-met" if "not-met" in states else "unknown" if "unknown" in states else "met"


def _by_weight(clauses: Sequence[Clause]) -> tuple[Clause, ...]:
    """Heaviest first among met, then against, then unknown: the order in which a reader wants them."""
    group = {"met": 0, "not-met": 1, "unknown": 2}
    return tuple(sorted(clauses, key=lambda clause: (group[clause.state], -abs(clause.weight))))


def _verdict(cause: Cause, match: Match, next_score: float, is_first: bool) -> CauseVerdict:
    decisive = [clause for clause in match.clauses if clause.strength == "decisive"]
    against = any(clause.weight <= -STRONG for clause in match.clauses)
    is_sure = cause.status in ("confirmed", "likely")
    if is_first and is_sure and decisive and all(clause.state == "met" for clause in decisive) and not against:
        return "confirmed"
    if is_first and match.score >= LIKELY and match.score - next_score >= LEAD and cause.status != "anecdotal":
        return "likely"
    return "possible"
