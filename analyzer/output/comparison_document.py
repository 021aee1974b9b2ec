"""`Comparison` and `Separation` → JSON: valid always, the same bytes for the same runs."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from analyzer.version import VERSION

if TYPE_CHECKING:
    from analyzer.compare import Comparison, Suspect
    from analyzer.differences import Difference
    from analyzer.model import Diagnosis
    from analyzer.parting import Parting
    from analyzer.separate import Separation
    from parsers import SourceRef

SCHEMA_VERSION: Final = "1.0"


def dumps(one: Comparison) -> str:
    """Two runs as one JSON document."""
    leading = one.leading
    return _text(
        {
            **_head(),
            "good": _side(one.good),
            "bad": _side(one.bad),
            "first": _parting(one.first) if one.first else None,
            "partings": [_parting(part) for part in one.partings],
            "differences": [_difference(found) for found in one.differences],
            "suspects": [_suspect(found) for found in one.suspects],
            "interventions": [{"fact": i.fact, "key": i.difference.name} for i in one.interventions],
            "credited": one.credited,
            "leading_cause": {"id": leading.id, "title": leading.title, "verdict": leading.verdict} if leading else None,
            "messages": [{"text": m.text, "count": m.count, "trouble": m.is_trouble, **_ref("", m.ref)} for m in one.messages],
        }
    )


def dumps_many(one: Separation) -> str:
    """Many runs as one JSON document."""
    splits = [
        {"key": x.key, "test": x.test, "failed": [x.failed, x.all_failed], "healthy": [x.healthy, x.all_healthy],
         "unknown": x.unknown, "chance": _number(x.chance)}
        for x in one.splits
    ]  # fmt: skip
    left_out = [{"source": source, "verdict": verdict} for source, verdict in one.left_out]
    return _text(
        {
            **_head(),
            "failed": list(one.failed),
            "healthy": list(one.healthy),
            "left_out": left_out,
            "tried": one.tried,
            "splits": splits,
        }
    )


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _head() -> dict[str, Any]:
    return {"schema_version": SCHEMA_VERSION, "tool": {"name": "nanalyze", "version": VERSION}}


def _side(told: Diagnosis) -> dict[str, Any]:
    run = told.run
    return {
        "source": run.source, "verdict": told.verdict, "outcome": run.outcome, "last_step": run.last_step,
        "planned_steps": run.planned_steps, "files": [file.path for file in run.files],
    }  # fmt: skip


def _parting(part: Parting) -> dict[str, Any]:
    return {
        "metric": part.metric, "kind": part.kind, "step": part.step, "last_together": part.last_together, "common": part.common,
        "band": _number(part.band), "good": _number(part.good) if part.step is not None else None,
        "bad": _number(part.bad) if part.step is not None else None, **_ref("good_", part.good_ref), **_ref("bad_", part.bad_ref),
    }  # fmt: skip


def _difference(one: Difference) -> dict[str, Any]:
    return {
        "area": one.area, "key": one.key, "good": _plain(one.good), "bad": _plain(one.bad), "changed": one.is_change,
        "incidental": one.is_incidental, **_ref("good_", one.good_ref), **_ref("bad_", one.bad_ref),
    }  # fmt: skip


def _suspect(one: Suspect) -> dict[str, Any]:
    cause = one.exposure.cause
    return {
        "cause": cause.id, "title": cause.title, "level": one.exposure.level, "package": one.package, "good": one.good,
        "bad": one.bad, "windows": one.windows,
    }  # fmt: skip


def _ref(prefix: str, ref: SourceRef | None) -> dict[str, Any]:
    return {f"{prefix}file": ref.file if ref else None, f"{prefix}line": ref.line if ref else None}


def _plain(value: Any) -> Any:
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | str:
    """NaN and infinities are strings, as everywhere in our JSON."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
