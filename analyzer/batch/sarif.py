"""A batch as SARIF 2.1.0: every finding with its file and line, as code-scanning services show them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from analyzer.batch.card import Card, Found
from analyzer.version import VERSION

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS: Final = {"critical": "error", "warning": "warning", "info": "note"}


def render(cards: Sequence[Card]) -> str:
    """The log: one tool, its rules, a result a finding, a notification a run that could not be read."""
    from analyzer import rule

    used = {found.rule for card in cards for found in card.findings}
    rules = [
        {"id": one.id, "shortDescription": {"text": one.title}, "defaultConfiguration": {"level": _LEVELS[one.severity]},
         "help": {"text": one.text or one.title, "markdown": one.text or one.title}}
        for one in rule.load() if one.id in used
    ]  # fmt: skip
    known = {str(one["id"]): index for index, one in enumerate(rules)}
    lost = [card for card in cards if card.error]
    run = {
        "tool": {"driver": {"name": "nanalyze", "version": VERSION, "rules": rules}},
        "columnKind": "unicodeCodePoints",
        "invocations": [{"executionSuccessful": True, "toolExecutionNotifications": [_lost(card) for card in lost]}],
        "results": [_result(card, found, known) for card in cards for found in card.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1, ensure_ascii=False) + "\n"


def _result(card: Card, found: Found, known: dict[str, int]) -> dict[str, Any]:
    place: dict[str, Any] = {"artifactLocation": {"uri": _uri(found.file)}}
    if found.line > 0:
        place["region"] = {"startLine": found.line, "snippet": {"text": found.text}}
    result: dict[str, Any] = {
        "ruleId": found.rule, "level": _LEVELS[found.severity], "message": {"text": found.summary},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"run/v1": f"{card.root}#{found.rule}#{found.first_step}"},
        "properties": {"run": card.root, "confidence": found.confidence, "causes": [why.id for why in card.causes[:3]]},
    }  # fmt: skip
    if found.rule in known:
        result["ruleIndex"] = known[found.rule]
    return result


def _lost(card: Card) -> dict[str, Any]:
    return {"level": "error", "message": {"text": card.error},
            "locations": [{"physicalLocation": {"artifactLocation": {"uri": _uri(card.root)}}}]}  # fmt: skip


def _uri(path: str) -> str:
    if "://" in path:
        return path
    return Path(path).as_uri() if path.startswith("/") else quote(path)
