"""The user stopped the run with Ctrl-C."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incidents, finding
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="the user stopped the run", severity="info", events=(kinds.INTERRUPTED,))
def interrupted(run: Run) -> Iterator[Finding]:
    """KeyboardInterrupt or SIGINT, of however many ranks."""
    found = Incidents(run).of_kind(kinds.INTERRUPTED)
    if found:
        step = f" after step {found[0].step}" if found[0].step is not None else ""
        summary = f"the run was stopped with Ctrl-C{step}"
        yield finding("interrupted", found, summary, how_bad="info", facts={"exception": found[0].text("exception") or "SIGINT"})
