"""The configuration was refused."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="the configuration was refused", severity="critical", events=(kinds.CONFIG_ERROR,))
def config_error(run: Run) -> Iterator[Finding]:
    """Batch-size arithmetic, values that disagree, unknown fields, files that do not parse."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.CONFIG_ERROR) if not incidents.is_collateral(one)]
    if found:
        message = cut(" ".join(found[0].text("message").split()), 200)
        facts = {
            name: found[0].event.data[name] for name in ("exception", "frame", "frame_line") if found[0].event.data.get(name)
        }
        yield finding(
            "config-error", found, f"configuration refused: {message}{where(found)}", facts=facts | {"message": message}
        )
