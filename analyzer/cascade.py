"""Many messages, one beginning: which finding came first, and where its first sign stands."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.model import Finding, FirstCause
from parsers import Run


def first_cause(run: Run, findings: Sequence[Finding]) -> FirstCause | None:
    """The critical finding (else warning) whose first sign stands earliest in the log."""
    loud = [(i, f) for i, f in enumerate(findings) if f.severity == "critical"] or [
        (i, f) for i, f in enumerate(findings) if f.severity == "warning"
    ]
    if not loud:
        return None
    order = {file.path: place for place, file in enumerate(run.files)}
    index, finding = min(loud, key=lambda pair: (order.get(pair[1].evidence[0].ref.file, 0), pair[1].evidence[0].ref.line))
    ref = finding.evidence[0].ref
    return FirstCause(index, ref, ref.rank, text=finding.summary)
