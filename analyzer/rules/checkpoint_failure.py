"""Saving or loading a checkpoint failed."""

from __future__ import annotations

from collections.abc import Iterator

from analyzer.incidents import Incident, Incidents, cut, finding, where
from analyzer.model import Finding
from analyzer.rule import rule
from parsers import Run, kinds


@rule(title="a checkpoint could not be saved or loaded", severity="critical", events=(kinds.CHECKPOINT_FAILURE,))
def checkpoint_failure(run: Run) -> Iterator[Finding]:
    """One finding for saving and one for loading, ranks folded."""
    incidents = Incidents(run)
    found = [one for one in incidents.of_kind(kinds.CHECKPOINT_FAILURE) if not incidents.is_collateral(one)]
    for action in ("save", "load", ""):
        group = [one for one in found if one.text("action") == action]
        if group:
            facts = {
                name: group[0].event.data[name] for name in ("exception", "message", "action") if group[0].event.data.get(name)
            }
            yield finding("checkpoint-failure", group, _summary(group[0], action) + where(group), facts=facts)


def _summary(first: Incident, action: str) -> str:
    message = cut(" ".join(first.text("message").split()), 200)
    if action == "save" and ("inline_container" in message or "iostream" in message or "PytorchStreamWriter" in message):
        return f"writing a checkpoint broke off ({message}): mostly a full disk or quota"
    verb = {"save": "saving a checkpoint failed", "load": "loading a checkpoint failed"}.get(action, "a checkpoint failed")
    return f"{verb}: {message}"
