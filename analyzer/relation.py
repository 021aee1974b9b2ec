"""Whether a cause speaks of the failure that a run began to end with, or of something beside it.

A log of a run that died of memory may also hold a warning about a port, and a session that was closed an hour after the
exception. Both match a cause. What a cause says is only the answer where its evidence stands at the first failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.cause import Cause
from analyzer.clauses import Case, answer
from analyzer.model import Clause, Evidence, Finding
from analyzer.patterns import conjuncts
from parsers import kinds
from parsers.model import SourceRef

AGAINST: Final = -5.0
"""What it weighs that the first failure is another one: as much as a decisive piece of evidence."""
BEFORE: Final = 25
"""Lines before the message of a failure in which its stack and its own warnings stand, where no stack was read."""
AFTER: Final = 12
"""Lines behind the message that still belong to it: notes of the exception, the native frames."""
NEXT: Final = 2
"""Lines behind the first bad record in which what the framework says of it stands."""
ENDINGS: Final = frozenset({
    "traceback", "oom-cuda", "oom-host", "device-assert", "dependency-error", "config-error", "checkpoint-failure",
    "dataloader-crash", "disk-full", "hardware-fault", "killed-by-signal",
})  # fmt: skip
"""Findings of an event that ends a run by itself. What survivors and launchers report tells of a cause elsewhere."""
HANGS: Final = frozenset({"collective-timeout", "stall"})
"""Findings of a run that goes on existing until somebody ends it."""
CRASHES: Final = ENDINGS | {
    "communication-error", "collective-timeout", "rank-failure",
}  # fmt: skip
"""Findings that no benign explanation of the numbers answers."""
NUMBERS: Final = frozenset({"loss-nan", "loss-zero", "grad-nan", "grad-constant", "divergence", "scale-at-minimum"})
"""Findings of numbers that are lost: a time limit or a full disk hours later is not what such a run suffers from."""
_BESIDE: Final = CRASHES | {"throughput-drop", "memory-creep", "stall", "step-rewind", "incomplete", "interrupted"}
"""Findings that say nothing of a run's numbers."""
LONG: Final = 20
"""Records of the loss from which on a run without any finding counts as well."""


def elsewhere(cause: Cause, case: Case) -> Clause | None:
    """The clause against a cause of which nothing stands at the run's first failure; None where there is no such failure."""
    first = case.first
    if first is None or cause.kind not in ("root-cause", "amplifier", "echo"):
        return None
    if late := _after_end(cause, first, case):
        return late
    if cause.kind == "echo":
        return None
    if first.rule not in ENDINGS and (first.rule not in NUMBERS or first.severity != "critical" or _is_of_numbers(cause)):
        return None
    whens = [*_gate(cause), *(when for spec in cause.evidence if spec.if_met > 0 for when in spec.whens)]
    if _stands_at(first, whens, case):
        return None
    cited = (Evidence(first.evidence[0].ref),)
    return Clause("the run's first failure is another one", "met", AGAINST, "decisive-against", cited)


def _after_end(cause: Cause, first: Finding, case: Case) -> Clause | None:
    """The clause against a cause whose gate is opened by nothing but the signal that ended a run which hung, and what follows.

    Who ends a hanging run is not why it hung, and the sockets that close then tell of no peer that went away first.
    """
    signals = case.findings.get("killed-by-signal", ())
    if first.rule not in HANGS or not signals:
        return None
    asked = signals[0].evidence[0].ref
    places = [ref for ref in _places(_gate(cause), case) if ref.file == asked.file]
    began = first.evidence[0].ref
    if (began.file == asked.file and began.line >= asked.line) or not places or min(ref.line for ref in places) < asked.line:
        return None
    return Clause("the run had been hanging before it was ended", "met", AGAINST, "decisive-against", (Evidence(began),))


def is_of_first(cause: Cause, case: Case) -> bool:
    """Whether what opens the gate of this cause is the run's first failure itself: then it is no echo of that.

    The very line counts: what other ranks print of their lost peer follows right behind the stack that it follows from.
    """
    if case.first is None:
        return False
    began = case.first.evidence[0].ref
    return any((ref.file, ref.line) == (began.file, began.line) for ref in _places(_gate(cause), case))


def _is_of_numbers(cause: Cause) -> bool:
    """Whether its gate asks for what a run logs, rather than for messages and crashes alone."""
    for part in (part for when in _gate(cause) for part in conjuncts(when)):
        kind, _, subject = part.partition(":")
        if kind == "metric" or (kind == "rule" and subject.partition(" ")[0] not in _BESIDE):
            return True
    return False


def _gate(cause: Cause) -> list[str]:
    return [*cause.requires.get("any", ()), *cause.requires.get("sure", ())]


def _stands_at(first: Finding, whens: Sequence[str], case: Case) -> bool:
    windows = tuple(_windows(first, case))
    return any(file == ref.file and low <= ref.line <= high for ref in _places(whens, case) for file, low, high in windows)


def is_well(case: Case) -> bool:
    """Whether the run trained for long and no rule found anything wrong with it."""
    if any(finding.severity != "info" for found in case.findings.values() for finding in found):
        return False
    series = case.run.series("loss")
    return series is not None and len(series) >= LONG


def _windows(first: Finding, case: Case) -> Iterator[tuple[str, int, int]]:
    if first.rule in NUMBERS:  # its evidence runs to the end of the log; only the onset is a place
        ref = first.evidence[0].ref
        yield ref.file, ref.line - BEFORE, ref.line + NEXT
        return
    heads = {(event.ref.file, event.ref.line): event.data.get("header") for event in case.events.get(kinds.TRACEBACK, ())}
    for evidence in first.evidence:
        ref = evidence.ref
        head = heads.get((ref.file, ref.line))
        low = head - AFTER if isinstance(head, int) else ref.line - BEFORE
        yield ref.file, low, ref.line + AFTER


def _places(whens: Sequence[str], case: Case) -> Iterator[SourceRef]:
    """Where the parts of these clauses that are met stand, every line of them."""
    for when in whens:
        for part in conjuncts(when):
            kind, _, subject = part.partition(":")
            if kind == "line":
                yield from (event.ref for event in case.lines.get(subject, ()))
            elif kind in ("rule", "event") and answer(part, case)[0] == "met":
                name = subject.partition(" ")[0]
                if kind == "event":
                    yield from (event.ref for event in case.events.get(name, ()))
                else:
                    yield from (evidence.ref for found in case.findings[name] for evidence in found.evidence)
