"""The GPU, its memory or its links are at fault: Xid, ECC, NVLink, fallen off the bus."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="the hardware is at fault", severity="critical", events=(kinds.HARDWARE,))
def hardware_fault(run: Run) -> Iterator[Finding]:
    """Faults that a program cannot cause; the run that went on after one is warned of it."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.HARDWARE, with_handled=True) if not one.event.data.get("is_software")]
    if not found:
        return
    first = found[0]
    survived = all(one.fate == "handled" for one in found)
    xid = first.text("xid")
    what = f"Xid {xid}: {first.text('message')}" if xid else cut(first.text("message").split("\n", 1)[0], 160)
    device = f" ({first.text('device')})" if first.text("device") else ""
    facts = {name: first.event.data[name] for name in ("xid", "device", "message") if first.event.data.get(name)}
    yield finding("hardware-fault", found, f"{what}{device}{where(found)}", how_bad="warning" if survived else None, facts=facts)
