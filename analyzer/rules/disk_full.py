"""A disk or a quota is full."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="the disk or a quota is full", severity="critical", events=(kinds.DISK_FULL,))
def disk_full(run: Run) -> Iterator[Finding]:
    """The C library's own words for it, in an exception or beside it."""
    found = Incidents(run).of_kind(kinds.DISK_FULL)
    if found:
        message = cut(found[0].text("message").split("\n", 1)[0], 160)
        yield finding("disk-full", found, f"no space left: {message}{where(found)}", facts={"message": message})
