"""The JSON Schema of the result document, published as `docs/schema/diagnosis-<version>.json`.

Additive changes keep the version: objects allow further properties, so that a reader of 1.0 takes a later 1.x.
`python -m analyzer.output.schema` prints it; a test holds the published file to this text and real documents to it.
"""

from __future__ import annotations

import json
import sys
from typing import Any, Final, get_args

from analyzer.model import SCHEMA_VERSION, CauseKind, CauseVerdict, Confidence, Outcome, Severity, State, Verdict

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_INTEGER: Final[Schema] = {"type": "integer"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_STEP: Final[Schema] = {"type": ["integer", "null"]}
_NUMBER: Final[Schema] = {
    "description": "A number; NaN and infinities are the strings nan, inf and -inf.",
    "oneOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}],
}
_SCALAR: Final[Schema] = {"type": ["string", "number", "boolean", "null"]}
_FACTS: Final[Schema] = {"type": "object", "additionalProperties": {"$ref": "#/$defs/scalar"}}


def _one_of(closed: Any) -> Schema:
    return {"enum": list(get_args(closed))}


def _many(item: Schema, **limits: Any) -> Schema:
    return {"type": "array", "items": item, **limits}


def _object(required: dict[str, Schema], optional: dict[str, Schema] | None = None, about: str = "") -> Schema:
    made: Schema = {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}
    return {"description": about, **made} if about else made


def _ref(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}


def _definitions() -> Schema:
    place = {"file": _TEXT, "line": _COUNT, "text": _TEXT}
    return {
        "number": _NUMBER,
        "scalar": _SCALAR,
        "place": _object(place, {"rank": _STEP}, "A line of a file, counted from 1; the number of the record in a binary file."),
        "evidence": _object(
            {**place, "note": _TEXT},
            {"rank": _STEP, "context": _many(_object({"line": _INTEGER, "text": _TEXT}))},
            "A line and why it matters, with the lines around it.",
        ),
        "finding": _finding(),
        "clause": _object(
            {"text": _TEXT, "state": _one_of(State), "evidence": _many(_ref("evidence"))},
            {"weight": _ref("number"), "strength": _TEXT, "ask": _TEXT},
            "One piece of evidence of a cause: met, not met or unknown, and what it added to the log-odds.",
        ),
        "cause": _cause(),
        "metric": _metric(),
        "timeline": _object(
            {**place, "kind": _TEXT, "summary": _TEXT, "step": _STEP, "rank": _STEP, "count": _COUNT},
            {"time": {"oneOf": [_ref("number"), {"type": "null"}]}},
            "One thing that happened; time in seconds since the epoch, count folds echoes.",
        ),
        "ranks": _object(
            {"ranks": _TEXT, "count": _COUNT, "last_step": _STEP, "error": _TEXT, "end": _TEXT},
            {"place": {"oneOf": [_ref("place"), {"type": "null"}]}},
            "Ranks that fared alike: how far they came, what went wrong first with them, how they ended.",
        ),
    }  # fmt: skip


def _finding() -> Schema:
    return _object(
        {
            "rule": _TEXT, "severity": _one_of(Severity), "confidence": _one_of(Confidence), "summary": _TEXT,
            "first_step": _STEP, "last_step": _STEP, "facts": _FACTS, "evidence": _many(_ref("evidence"), minItems=1),
        },
        about="A symptom. Findings are ordered by severity, then first step, then line.",
    )  # fmt: skip


def _cause() -> Schema:
    return _object(
        {
            "id": _TEXT, "title": _TEXT, "verdict": _one_of(CauseVerdict), "clauses": _many(_ref("clause")),
            "remedy": {"type": "object"}, "confirm_by": _TEXT, "sources": _many(_TEXT),
        },
        {"kind": _one_of(CauseKind), "score": _ref("number"), "mechanism": _TEXT, "rivals": _many(_TEXT)},
        "A known cause with the ledger that put it here. Causes are ordered best first.",
    )  # fmt: skip


def _metric() -> Schema:
    points = _object(
        {"steps": _many(_INTEGER), "values": _many(_ref("number")), "lines": _many(_INTEGER)},
        about="The curve reduced for drawing; arrays of one length.",
    )
    return _object(
        {"points": _COUNT, "non_finite": _COUNT, "first": _ref("number"), "last": _ref("number")},
        {"name": _TEXT, "reader": _TEXT, "file": _TEXT, "curve": points},
    )


def _run() -> Schema:
    file = _object({"path": _TEXT, "bytes": _COUNT, "lines": _COUNT, "digest": _TEXT})
    environment = _object(
        {"packages": {"type": "object", "additionalProperties": _TEXT}, "config": _FACTS, "hardware": _FACTS},
        {"arguments": _FACTS, "evidence": {"type": "object", "additionalProperties": _ref("place")}},
    )
    return _object(
        {
            "source": _TEXT, "files": _many(_TEXT), "readers": _many(_TEXT), "lines": _COUNT, "bytes": _COUNT, "digest": _TEXT,
            "first_step": _STEP, "last_step": _STEP, "planned_steps": _STEP,
            "metrics": {"type": "object", "additionalProperties": _ref("metric")}, "environment": environment,
            "outcome": _one_of(Outcome), "verdict": _one_of(Verdict),
        },
        {"step_source": _TEXT, "file_details": _many(file)},
    )  # fmt: skip


def schema() -> Schema:
    """The JSON Schema (draft 2020-12) of the document that `document.dumps` writes."""
    first = _object(
        {"finding": _COUNT, "file": _TEXT, "line": _COUNT, "rank": _STEP},
        {
            "time": {"oneOf": [_ref("number"), {"type": "null"}]},
            "text": _TEXT,
            "quote": _TEXT,
            "is_inferred": {"type": "boolean"},
        },
        "Where it began: the index of the finding, and the place of its first sign.",
    )
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:nanalyze:diagnosis:{SCHEMA_VERSION}",
        "title": "nanalyze result document",
        **_object(
            {
                "schema_version": {"type": "string", "pattern": "^1\\."},
                "tool": _object({"name": _TEXT, "version": _TEXT}),
                "run": _run(),
                "findings": _many(_ref("finding")),
                "causes": _many(_ref("cause")),
                "first_cause": {"oneOf": [first, {"type": "null"}]},
                "skips": _many(_object({"rule": _TEXT, "missing": _many(_TEXT)})),
                "problems": _many(_object({"file": _TEXT, "line": _COUNT, "reader": _TEXT, "reason": _TEXT}, {"text": _TEXT})),
                "failures": _many(_object({"id": _TEXT, "text": _TEXT})),
            },
            {
                "notes": _many(_ref("cause")),
                "timeline": _many(_ref("timeline")),
                "ranks": _many(_ref("ranks")),
                "ignored": {"type": "object", "additionalProperties": _INTEGER},
                "ignored_because": {"type": "object", "additionalProperties": _TEXT},
            },
        ),
        "$defs": _definitions(),
    }


def dumps() -> str:
    """The schema as the text that is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(dumps())
