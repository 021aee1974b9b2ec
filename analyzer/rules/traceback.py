"""An exception that nobody caught ended the run, and no more specific rule owns it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Confidence, Finding
from analyzer.rule import Threshold, rule
from parsers import Run, kinds

MAX_FINDINGS: Final = Threshold(
    4,
    "Different exceptions that are told apart; the rest of a long history of attempts repeats itself.",
)


@rule(
    title="an uncaught exception ended the run",
    severity="critical",
    events=(kinds.TRACEBACK,),
    thresholds={
        "max-findings": MAX_FINDINGS,
    },
)
def traceback(run: Run) -> Iterator[Finding]:
    """One finding for each exception; equal ones of several ranks and attempts fold into it."""
    incidents = Incidents(run)
    groups: dict[tuple[str, str], list[Incident]] = {}
    for one in incidents.of_kind(kinds.TRACEBACK):
        if not one.text("owner") and not incidents.is_collateral(one) and _is_sure(one, incidents):
            groups.setdefault(_same(one), []).append(one)
    told = [_originals(group) for group in groups.values()]
    for group in sorted(told, key=lambda group: group[0].place)[: MAX_FINDINGS.value]:
        yield _finding(group)


def _is_sure(one: Incident, incidents: Incidents) -> bool:
    """Whether a stack without its exception, or an exception without its stack, is the best that the log has."""
    if one.text("exception") and not one.event.data.get("is_bare"):
        return True
    return not any(root.place != one.place and _is_whole(root) for root in incidents.roots(one.attempt))


def _is_whole(root: Incident) -> bool:
    return root.event.kind != kinds.TRACEBACK or (bool(root.text("exception")) and not root.event.data.get("is_bare"))


def _same(one: Incident) -> tuple[str, str]:
    return one.text("exception"), re.sub(r"\d+", "#", one.text("message"))[:120]


def _originals(group: Sequence[Incident]) -> list[Incident]:
    """The stacks that the programs printed; torchrun's copies of them only where there is nothing else."""
    originals = [one for one in group if not one.event.data.get("is_copy")]
    return originals or list(group)


def _finding(group: Sequence[Incident]) -> Finding:
    first = group[0]
    name, message = first.text("exception"), first.text("message").split("\n", 1)[0]
    short = name.rpartition(".")[2] or "an exception whose last line is missing"
    said = f"{short}: {cut(message, 140)}" if message else short
    frame = first.text("frame").rpartition("/")[2]
    at = f" at {frame}:{first.text('frame_line')}" if frame else ""
    confidence: Confidence = "high" if name and not first.event.data.get("is_bare") else "medium"
    ended = "ended the run" if any(one.fate == "fatal" for one in group) else "ended an earlier attempt"
    facts = {key: first.event.data[key] for key in ("exception", "message", "frame", "frame_line") if first.event.data.get(key)}
    if first.event.data.get("root_exception"):
        facts |= {key: first.event.data[key] for key in ("root_exception", "root_message", "root_line")}
    count = sum(int(one.number("count") or 1) for one in group)
    return finding(
        "traceback", group, f"{said} {ended}{where(group)}{at}", confidence=confidence, note="the exception",
        facts={**facts, "count": count},
    )  # fmt: skip
