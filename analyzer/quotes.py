"""Evidence gets its words: cited lines are read once more, with the lines around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from analyzer.model import Clause, Diagnosis, Evidence, Finding, Match, TimelineEntry
from parsers import SourceRef, recent
from parsers.model import MAX_TEXT
from parsers.source import quote

AROUND: Final = 5
"""Lines shown before and after an evidence line."""
MAX_WIDTH: Final = 300


def with_quotes(diagnosis: Diagnosis) -> Diagnosis:
    """The same diagnosis with the text of every cited line, and context for the findings' first lines."""
    cited = [e.ref for f in diagnosis.findings for e in f.evidence]
    cited += [e.ref for m in (*diagnosis.causes, *diagnosis.notes) for c in m.clauses for e in c.evidence]
    cited += [entry.ref for entry in diagnosis.timeline]
    cited += [fate.ref for fate in diagnosis.ranks if fate.ref]
    binary = {file.path for file in diagnosis.run.files if not file.lines}
    text_refs = [ref for ref in cited if ref.file not in binary]
    firsts = [f.evidence[0].ref for f in diagnosis.findings if f.evidence[0].ref.file not in binary]
    if not firsts and all(ref.text for ref in text_refs):
        return diagnosis
    filled, around = _quoted(text_refs, firsts)

    def fill(ref: SourceRef) -> SourceRef:
        return ref if ref.text else filled.get(ref, ref)

    def evidence(e: Evidence, with_context: bool = False) -> Evidence:
        context = e.context
        if with_context and e.ref.file not in binary:
            context = tuple(
                (line, around[e.ref.file, line][:MAX_WIDTH])
                for line in range(max(1, e.ref.line - AROUND), e.ref.line + AROUND + 1)
                if (e.ref.file, line) in around
            )
        return Evidence(fill(e.ref), e.note, context)

    return replace(
        diagnosis,
        findings=tuple([_finding(f, [evidence(e, i == 0) for i, e in enumerate(f.evidence)]) for f in diagnosis.findings]),
        causes=tuple([_match(match, evidence) for match in diagnosis.causes]),
        notes=tuple([_match(match, evidence) for match in diagnosis.notes]),
        timeline=tuple([entry if entry.ref.text else _entry(entry, fill(entry.ref)) for entry in diagnosis.timeline]),
        ranks=tuple([replace(fate, ref=fill(fate.ref)) if fate.ref else fate for fate in diagnosis.ranks]),
        first_cause=replace(diagnosis.first_cause, ref=fill(diagnosis.first_cause.ref)) if diagnosis.first_cause else None,
    )


def _quoted(refs: list[SourceRef], firsts: list[SourceRef]) -> tuple[dict[SourceRef, SourceRef], dict[tuple[str, int], str]]:
    """(place → place with its text, (file, line) → text of lines around): of what was read just now without reading it again."""
    numbers: dict[str, set[int]] = {}
    for ref in refs:
        if not ref.text:
            numbers.setdefault(ref.file, set()).add(ref.line)
    for ref in firsts:
        numbers.setdefault(ref.file, set()).update(range(max(1, ref.line - AROUND), ref.line + AROUND + 1))
    texts: dict[tuple[str, int], str] = {}
    for file, wanted in numbers.items():
        known = recent.lines(file, wanted)
        if known is None:
            known = {place[1]: text for place, text in quote([SourceRef(file, line) for line in sorted(wanted)])[1].items()}
        texts.update({(file, line): text for line, text in known.items()})
    return {
        ref: SourceRef(ref.file, ref.line, texts.get((ref.file, ref.line), "")[:MAX_TEXT], ref.rank)
        for ref in refs
        if not ref.text
    }, texts


def _finding(f: Finding, evidence: Sequence[Evidence]) -> Finding:
    return Finding(f.rule, f.severity, f.confidence, f.summary, tuple(evidence), f.first_step, f.last_step, f.facts)


def _entry(e: TimelineEntry, ref: SourceRef) -> TimelineEntry:
    return TimelineEntry(ref, e.kind, e.text, e.step, e.time, e.rank, e.count)


def _match(match: Match, evidence: Callable[[Evidence], Evidence]) -> Match:
    def clause(c: Clause) -> Clause:
        if not c.evidence:
            return c
        return Clause(c.text, c.state, c.weight, c.strength, tuple([evidence(e) for e in c.evidence]), c.ask)

    return Match(
        match.id, match.title, match.kind, match.verdict, match.score, tuple([clause(c) for c in match.clauses]), match.remedy,
        match.confirm_by, match.mechanism, match.rivals, match.sources,
    )  # fmt: skip
