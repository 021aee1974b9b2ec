"""What `diagnose` answers with: findings, causes and what could not be judged. The JSON of `Diagnosis` is the contract.

Severity (how bad), confidence (how sure) and verdict (what about the run or a cause) are three different things.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from parsers.model import SourceFile, SourceRef, Value

SCHEMA_VERSION: Final = "1.0"

Severity = Literal["critical", "warning", "info"]
Confidence = Literal["high", "medium", "low"]
Outcome = Literal["completed", "crashed", "killed", "stopped", "running", "unknown"]
Verdict = Literal["healthy", "suspicious", "failed", "unjudged"]
State = Literal["met", "not-met", "unknown"]
CauseVerdict = Literal["confirmed", "likely", "possible"]
CauseKind = Literal["root-cause", "decoder", "benign", "amplifier", "echo"]

SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "warning", "info")


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line and why it matters. `context` holds (line number, text) around it, the line itself included."""

    ref: SourceRef
    note: str = ""
    context: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A symptom. Refuses to exist without evidence.

    `first_step`/`last_step`: the run's own global steps between which it was seen, None where it has no step.
    `facts`: numbers behind the summary (values, counts, thresholds, `step_source`).
    """

    rule: str
    severity: Severity
    confidence: Confidence
    summary: str
    evidence: tuple[Evidence, ...]
    first_step: int | None = None
    last_step: int | None = None
    facts: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.evidence:
            raise ValueError(f"a finding of {self.rule} without evidence")

    @property
    def order(self) -> tuple[int, float, str, int, str]:
        """Total order: severity, then first step, then first line."""
        step = math.inf if self.first_step is None else self.first_step
        first = self.evidence[0].ref
        return SEVERITIES.index(self.severity), step, first.file, first.line, self.rule


@dataclass(frozen=True, slots=True)
class Skip:
    """A rule that could not judge, and the metrics or events it would have needed."""

    rule: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Failure:
    """A rule, cause or reader of ours that raised: our bug, isolated."""

    id: str
    text: str


@dataclass(frozen=True, slots=True)
class Clause:
    """One piece of evidence of a cause, weighed: `weight` is what it added to the cause's log-odds."""

    text: str
    state: State
    weight: float = 0.0
    strength: str = ""
    evidence: tuple[Evidence, ...] = ()
    ask: str = ""


@dataclass(frozen=True, slots=True)
class Match:
    """A known cause that this run may have, with the ledger that put it there."""

    id: str
    title: str
    kind: CauseKind
    verdict: CauseVerdict
    score: float
    clauses: tuple[Clause, ...]
    remedy: Mapping[str, Any]
    confirm_by: str
    mechanism: str = ""
    rivals: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Curve:
    """A metric reduced for drawing: min and max of each bucket, and every non-finite, first and last point.

    Equal-length tuples: `steps`, `values` (may be NaN or infinite), `lines`.
    """

    metric: str
    name: str
    points: int
    non_finite: int
    first: float
    last: float
    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    lines: tuple[int, ...] = ()
    file: str = ""
    reader: str = ""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One thing that happened, in order: `kind` is an event's kind or a rule's id; `count` folds echoes."""

    ref: SourceRef
    kind: str
    text: str
    step: int | None = None
    time: float | None = None
    rank: int | None = None
    count: int = 1


@dataclass(frozen=True, slots=True)
class RankFate:
    """Ranks that fared alike (`0-2,5`, `count` of them): last logged step, first error, end as a launcher tells it.

    `ref` is the place of the first error of the first of them, else of its last record.
    """

    ranks: str
    count: int
    last_step: int | None
    error: str
    end: str
    ref: SourceRef | None


@dataclass(frozen=True, slots=True)
class FirstCause:
    """Where it began: the finding, and the place of its first sign."""

    finding: int
    ref: SourceRef
    rank: int | None = None
    time: float | None = None
    is_inferred: bool = False
    text: str = ""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """The run's identity and what was read of it."""

    source: str
    files: tuple[SourceFile, ...]
    readers: tuple[str, ...]
    first_step: int | None
    last_step: int | None
    planned_steps: int | None
    step_source: str
    curves: tuple[Curve, ...]
    packages: Mapping[str, str]
    config: Mapping[str, Value]
    hardware: Mapping[str, Value]
    arguments: Mapping[str, Value]
    environment_refs: Mapping[str, SourceRef]
    outcome: Outcome
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The result document; see `../docs` and `output.document` for its JSON."""

    run: RunSummary
    """What was read: files, steps, curves, environment, how it ended, the verdict."""
    findings: tuple[Finding, ...] = ()
    """Symptoms, the most severe and earliest first; each with its first step and line."""
    causes: tuple[Match, ...] = ()
    """Root causes that fit, the likeliest first, each with its verdict and what speaks for and against it."""
    notes: tuple[Match, ...] = ()
    """Decoders and benign explanations: said, but never rivals of root causes."""
    first_cause: FirstCause | None = None
    """Where it began: the finding that came first, and in a job of many ranks the rank."""
    timeline: tuple[TimelineEntry, ...] = ()
    """What happened, in order."""
    ranks: tuple[RankFate, ...] = ()
    """How the ranks fared, where several are known and something ended the run."""
    skips: tuple[Skip, ...] = ()
    """Rules that could not judge, and what they lacked."""
    problems: tuple[tuple[SourceRef, str, str], ...] = ()
    """(place, reader, reason) of lines that were claimed and not understood."""
    failures: tuple[Failure, ...] = ()
    """What of ours raised: empty unless there is a bug."""
    ignored: Mapping[str, int] = field(default_factory=dict)
    """Rule → findings that the user chose to leave out."""
    ignored_because: Mapping[str, str] = field(default_factory=dict)
    """Rule → the reason that the project file gives for it."""

    @property
    def verdict(self) -> Verdict:
        """healthy, suspicious, failed or unjudged."""
        return self.run.verdict

    def loud(self, at_least: Severity = "warning") -> tuple[Finding, ...]:
        """Findings of this severity or worse."""
        limit = SEVERITIES.index(at_least)
        return tuple(f for f in self.findings if SEVERITIES.index(f.severity) <= limit)


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings in the contract's order."""
    return tuple(sorted(findings, key=lambda finding: finding.order))
