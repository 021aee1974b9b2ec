"""`Audit` → SARIF 2.1.0, which code hosts show beside the line that pins the version."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from analyzer.version import VERSION

if TYPE_CHECKING:
    from analyzer.audit import Audit
    from analyzer.exposure import Exposure
    from parsers import SourceRef

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"critical": "error", "warning": "warning", "info": "note"}
PIN: Final = "project-pin"


def sarif(audit: Audit) -> dict[str, Any]:
    """One run with a rule for each cause and a result for each exposure and each deviation from a project's pins."""
    rules = [_rule(one) for one in audit.exposures]
    results = [_result(one) for one in audit.exposures]
    if audit.deviations:
        rules.append({"id": PIN, "shortDescription": {"text": "Another version than the project asks for"}})
        results += list(_deviations(audit))
    driver = {"name": "nanalyze", "semanticVersion": VERSION, "rules": rules}
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}


def _rule(one: Exposure) -> dict[str, Any]:
    cause = one.cause
    made: dict[str, Any] = {
        "id": cause.id,
        "shortDescription": {"text": cause.title},
        "fullDescription": {"text": " ".join(cause.mechanism.split())},
        "help": {"text": f"Fix: {one.remedy}"},
        "defaultConfiguration": {"level": _LEVELS[one.level]},
    }
    if cause.sources:
        made["helpUri"] = cause.sources[0]["url"]
    return made


def _result(one: Exposure) -> dict[str, Any]:
    hits = ", ".join(f"{hit.package} {hit.version} ({hit.windows})" for hit in one.hits)
    still = "; ".join(condition.text for condition in one.conditions if condition.state == "unknown")
    text = (
        f"{one.cause.title}{': ' if hits else ''}{hits}." + (f" It also needs: {still}." if still else "") + f" Fix: {one.remedy}"
    )
    return {
        "ruleId": one.cause.id, "level": _LEVELS[one.level], "message": {"text": text},
        "locations": [place for ref in _refs(one) for place in _place(ref)],
    }  # fmt: skip


def _refs(one: Exposure) -> list[SourceRef]:
    """Where the versions stand; of an exposure by settings alone, where these stand."""
    return [hit.ref for hit in one.hits] or [e.ref for condition in one.conditions for e in condition.evidence[:1]]


def _deviations(audit: Audit) -> Iterator[dict[str, Any]]:
    for one in audit.deviations:
        text = f"{audit.project} asks for {one.package} {one.wanted}; found: {one.found or 'not named'} ({one.source})"
        level = "warning" if one.found else "note"
        yield {"ruleId": PIN, "level": level, "message": {"text": text}, "locations": _place(one.ref)}


def _place(ref: SourceRef | None) -> list[dict[str, Any]]:
    """A fact that was stated on the command line stands in no file."""
    if ref is None or ref.file.startswith("--"):
        return []
    from urllib.parse import quote

    uri = quote(ref.file.replace("\\", "/").removeprefix("./"))
    return [{"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": max(1, ref.line)}}}]
