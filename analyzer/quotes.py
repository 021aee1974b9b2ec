"""Evidence gets its words: cited lines are read once more, with the lines around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from analyzer.model import Clause, Diagnosis, Evidence, Match
from parsers import SourceRef
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
        findings=tuple(
            replace(f, evidence=tuple(evidence(e, i == 0) for i, e in enumerate(f.evidence))) for f in diagnosis.findings
        ),
        causes=tuple(_match(match, evidence) for match in diagnosis.causes),
        notes=tuple(_match(match, evidence) for match in diagnosis.notes),
        timeline=tuple(entry if entry.ref.text else replace(entry, ref=fill(entry.ref)) for entry in diagnosis.timeline),
        ranks=tuple(replace(fate, ref=fill(fate.ref)) if fate.ref else fate for fate in diagnosis.ranks),
        first_cause=replace(diagnosis.first_cause, ref=fill(diagnosis.first_cause.ref)) if diagnosis.first_cause else None,
    )


def _quoted(refs: list[SourceRef], firsts: list[SourceRef]) -> tuple[dict[SourceRef, SourceRef], dict[tuple[str, int], str]]:
    spread = [SourceRef(ref.file, line) for ref in firsts for line in range(max(1, ref.line - AROUND), ref.line + AROUND + 1)]
    filled, texts = quote([*refs, *spread])
    return filled, texts


def _match(match: Match, evidence: Callable[[Evidence], Evidence]) -> Match:
    def clause(c: Clause) -> Clause:
        return replace(c, evidence=tuple(evidence(e) for e in c.evidence)) if c.evidence else c

    return replace(match, clauses=tuple(clause(c) for c in match.clauses))
