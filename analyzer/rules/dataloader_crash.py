"""A data loader worker died, or the shared memory that workers use ran out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds
from parsers.model import Value

ENDED: Final = ("killed by signal: Terminated", "killed by signal: Hangup", "killed by signal: Interrupt")
"""Workers that went down with their parent."""


@rule(title="a data loader worker died", severity="critical", events=(kinds.DATALOADER,))
def dataloader_crash(run: Run) -> Iterator[Finding]:
    """Steps back where the whole run was ended by a signal: its workers go with it."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.DATALOADER) if not _is_collateral(one, incidents)]
    if found:
        message = cut(found[0].text("message").split("\n", 1)[0], 160)
        facts: dict[str, Value] = {"message": message}
        yield finding("dataloader-crash", found, f"{message}{where(found)}", facts=facts)


def _is_collateral(one: Incident, incidents: Incidents) -> bool:
    if incidents.is_collateral(one):
        return True
    is_ended = any(text in one.text("message") for text in ENDED)
    return is_ended and any(root.event.kind in (kinds.SIGNAL, kinds.SCHEDULER) for root in incidents.roots(one.attempt))
