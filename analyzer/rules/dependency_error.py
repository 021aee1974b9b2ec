"""Packages that do not go together: import, ABI, build or version incompatibility stopped the run."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="packages do not go together", severity="critical", events=(kinds.DEPENDENCY_ERROR,))
def dependency_error(run: Run) -> Iterator[Finding]:
    """One finding; the first message is the root, later ones (a build that stopped, a failed import of it) repeat it."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.DEPENDENCY_ERROR) if not incidents.is_collateral(one)]
    if found:
        names = ("exception", "package", "root_exception", "root_message", "action")
        facts = {name: found[0].event.data[name] for name in names if found[0].event.data.get(name)}
        message = _message(found[0])
        yield finding("dependency-error", found, f"{message}{where(found)}", facts=facts | {"message": message})


def _message(first: Incident) -> str:
    """The innermost message: `Failed to import transformers.trainer` says less than the import error in it."""
    exception, message = first.text("exception"), first.text("message")
    if message.startswith("Failed to import") and first.text("root_message"):
        exception, message = first.text("root_exception"), first.text("root_message")
    text = cut(" ".join(message.split()), 180)
    name = exception.rpartition(".")[2]
    return f"{name}: {text}" if name else text
