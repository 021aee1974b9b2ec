"""GitLab's code quality report: a JSON list that merge requests show beside the lines.

Format: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format (description, check_name, fingerprint,
severity, location). A fingerprint is the same as long as the finding is, so that GitLab tells new from known.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from analyzer.audit import Audit

_SEVERITIES: Final = {"critical": "critical", "warning": "major", "info": "info"}


def of_audit(audit: Audit) -> str:
    """Every exposure of an audit, at the line that names the version."""
    from analyzer.output.sarif import sarif

    entries = []
    for result in sarif(audit)["runs"][0]["results"]:
        place = (result.get("locations") or [{}])[0].get("physicalLocation", {})
        severity = {"error": "critical", "warning": "warning"}.get(result.get("level", ""), "info")
        path = place.get("artifactLocation", {}).get("uri", "environment")
        line = place.get("region", {}).get("startLine", 1)
        entries.append(entry(result["ruleId"], severity, result["message"]["text"], path, line, (path,)))
    return dumps(entries)


def entry(check: str, severity: str, text: str, path: str, line: int, key: Iterable[str]) -> dict[str, Any]:
    """One entry; `severity` is ours (critical, warning, info), `key` what tells this finding from others of its check."""
    relative = os.path.relpath(path) if os.path.isabs(path) else path  # GitLab wants paths of the repository
    told = "\0".join((check, *key)).encode("utf-8", "surrogateescape")
    return {
        "description": text, "check_name": check, "fingerprint": hashlib.sha256(told).hexdigest(),
        "severity": _SEVERITIES[severity], "location": {"path": relative, "lines": {"begin": max(line, 1)}},
    }  # fmt: skip


def dumps(entries: Sequence[dict[str, Any]]) -> str:
    """The report."""
    return json.dumps(entries, indent=1, ensure_ascii=False) + "\n"
