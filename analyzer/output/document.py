"""`Diagnosis` ↔ the JSON result document of the contract. Round-trips: `load(dump(d)) == d`."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.model import (
    SCHEMA_VERSION,
    Clause,
    Curve,
    Diagnosis,
    Evidence,
    Failure,
    Finding,
    FirstCause,
    Match,
    RankFate,
    RunSummary,
    Skip,
    TimelineEntry,
)
from analyzer.output.plain import neutral
from analyzer.output.shape import mismatch
from analyzer.version import VERSION
from parsers import SourceFile, SourceRef


class DocumentError(Exception):
    """A file is no result document of ours; the text is one sentence that says what to do."""


def dumps(diagnosis: Diagnosis, indent: int | None = 2, with_curves: bool = True) -> str:
    """The document as JSON text: valid for every value (NaN and infinities are strings), same text for same input."""
    made = document(diagnosis, with_curves)
    try:
        return json.dumps(made, indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError:  # a score or a time that is no number: only out of a document that somebody else wrote
        return json.dumps(safe(made), indent=indent, ensure_ascii=False, allow_nan=False)


def document(diagnosis: Diagnosis, with_curves: bool = True) -> dict[str, Any]:
    """The document as plain dicts and lists."""
    first = diagnosis.first_cause
    return {
        "schema_version": SCHEMA_VERSION,
        "tool": {"name": "nanalyze", "version": VERSION},
        "run": _run(diagnosis.run, with_curves),
        "findings": [_finding(finding) for finding in diagnosis.findings],
        "causes": [_match(match) for match in diagnosis.causes],
        "notes": [_match(match) for match in diagnosis.notes],
        "first_cause": _first_cause(first) if first else None,
        "timeline": [_entry(entry) for entry in diagnosis.timeline],
        "ranks": [_fate(fate) for fate in diagnosis.ranks],
        "skips": [{"rule": skip.rule, "missing": list(skip.missing)} for skip in diagnosis.skips],
        "problems": [
            {"file": ref.file, "line": ref.line, "reader": reader, "reason": reason, "text": ref.text}
            for ref, reader, reason in diagnosis.problems
        ],
        "failures": [{"id": failure.id, "text": failure.text} for failure in diagnosis.failures],
        "ignored": dict(diagnosis.ignored),
        **({"ignored_because": dict(diagnosis.ignored_because)} if diagnosis.ignored_because else {}),
    }


def safe(value: Any) -> Any:
    """Non-finite floats as the strings nan, inf, -inf; containers likewise."""
    kind = type(value)
    if kind is str or kind is int or kind is bool or value is None:  # nearly all there is
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {str(key): safe(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [safe(item) for item in value]
    return value


def _float(value: Any) -> float:
    return float(value)


def _run(run: RunSummary, with_curves: bool) -> dict[str, Any]:
    files = run.files
    return {
        "source": run.source,
        "files": [file.path for file in files],
        "readers": list(run.readers),
        "lines": sum(file.lines for file in files),
        "bytes": sum(file.bytes for file in files),
        "digest": _digest(files),
        "file_details": [{"path": file.path, "bytes": file.bytes, "lines": file.lines, "digest": file.digest} for file in files],
        "first_step": run.first_step,
        "last_step": run.last_step,
        "planned_steps": run.planned_steps,
        "step_source": run.step_source,
        "metrics": {curve.metric: _curve(curve, with_curves) for curve in run.curves},
        "environment": {
            "packages": dict(run.packages),
            "config": safe(run.config),
            "hardware": safe(run.hardware),
            "arguments": safe(run.arguments),
            "evidence": {key: _ref(ref) for key, ref in run.environment_refs.items()},
        },
        "outcome": run.outcome,
        "verdict": run.verdict,
    }


def _digest(files: Sequence[SourceFile]) -> str:
    """The digest of the only file, or of all digests in order."""
    import hashlib

    if len(files) == 1:
        return files[0].digest
    return "sha256:" + hashlib.sha256("\n".join(file.digest for file in files).encode()).hexdigest()


def _curve(curve: Curve, with_points: bool) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "points": curve.points, "non_finite": curve.non_finite, "first": safe(curve.first), "last": safe(curve.last),
        "name": curve.name, "reader": curve.reader, "file": curve.file,
    }  # fmt: skip
    if with_points:
        values = curve.values if all(map(math.isfinite, curve.values)) else safe(curve.values)
        summary["curve"] = {"steps": list(curve.steps), "values": list(values), "lines": list(curve.lines)}
    return summary


def _ref(ref: SourceRef) -> dict[str, Any]:
    out: dict[str, Any] = {"file": ref.file, "line": ref.line, "text": ref.text}
    if ref.rank is not None:
        out["rank"] = ref.rank
    return out


def _evidence(evidence: Evidence) -> dict[str, Any]:
    out = {**_ref(evidence.ref), "note": evidence.note}
    if evidence.context:
        out["context"] = [{"line": line, "text": text} for line, text in evidence.context]
    return out


def finding(one: Finding) -> dict[str, Any]:
    """One finding as the document has it."""
    return _finding(one)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity,
        "confidence": finding.confidence,
        "summary": finding.summary,
        "first_step": finding.first_step,
        "last_step": finding.last_step,
        "facts": safe(finding.facts),
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
    }


def _match(match: Match) -> dict[str, Any]:
    return {
        "id": match.id,
        "title": match.title,
        "kind": match.kind,
        "verdict": match.verdict,
        "score": match.score,
        "clauses": [_clause(clause) for clause in match.clauses],
        "remedy": safe(match.remedy),
        "confirm_by": match.confirm_by,
        "mechanism": match.mechanism,
        "rivals": list(match.rivals),
        "sources": list(match.sources),
    }


def _clause(clause: Clause) -> dict[str, Any]:
    return {
        "text": clause.text, "state": clause.state, "weight": clause.weight, "strength": clause.strength,
        "evidence": [_evidence(evidence) for evidence in clause.evidence], "ask": clause.ask,
    }  # fmt: skip


def _first_cause(first: FirstCause) -> dict[str, Any]:
    return {
        "finding": first.finding, "file": first.ref.file, "line": first.ref.line, "rank": first.rank, "time": first.time,
        "text": first.text, "quote": first.ref.text, "is_inferred": first.is_inferred,
    }  # fmt: skip


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    return {
        "file": entry.ref.file, "line": entry.ref.line, "text": entry.ref.text, "rank": entry.rank, "kind": entry.kind,
        "summary": entry.text, "step": entry.step, "time": safe(entry.time), "count": entry.count,
    }  # fmt: skip


def _fate(fate: RankFate) -> dict[str, Any]:
    return {
        "ranks": fate.ranks, "count": fate.count, "last_step": fate.last_step, "error": fate.error, "end": fate.end,
        "place": _ref(fate.ref) if fate.ref else None,
    }  # fmt: skip


def loads(text: str) -> Diagnosis:
    """A saved document → Diagnosis. Raises DocumentError where it is none, or of a newer schema."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"this is no JSON ({error}): name a file that `analyze -o report.json` wrote.") from None
    if not isinstance(data, dict) or "schema_version" not in data:
        raise DocumentError("this JSON is no result document: name a file that `analyze -o report.json` wrote.")
    if str(data["schema_version"]).split(".")[0] != SCHEMA_VERSION.split(".")[0]:
        version = neutral(str(data["schema_version"])[:40])
        raise DocumentError(f"schema {version} is newer than this tool's {SCHEMA_VERSION}: update nanalyze.")
    if wrong := mismatch(data):
        raise DocumentError(f"the result document is damaged ({neutral(wrong)}): write it again.")
    try:
        return load(data)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        said = neutral(f"{type(error).__name__}: {error}"[:200])
        raise DocumentError(f"the result document is damaged ({said}): write it again.") from None


def load(data: Mapping[str, Any]) -> Diagnosis:
    """A document of this very version, as `document` made it → Diagnosis. Raises whatever a damaged one leads to."""
    first = data["first_cause"]
    if first and first["finding"] >= len(data["findings"]):
        raise IndexError("first_cause names no finding")
    return Diagnosis(
        run=_load_run(data["run"]),
        findings=tuple(_load_finding(entry) for entry in data["findings"]),
        causes=tuple(_load_match(entry) for entry in data["causes"]),
        notes=tuple(_load_match(entry) for entry in data.get("notes", ())),
        first_cause=_load_first(first) if first else None,
        timeline=tuple(_load_entry(entry) for entry in data.get("timeline", ())),
        ranks=tuple(_load_fate(entry) for entry in data.get("ranks", ())),
        skips=tuple(Skip(entry["rule"], tuple(entry["missing"])) for entry in data["skips"]),
        problems=tuple((SourceRef(p["file"], p["line"], p.get("text", "")), p["reader"], p["reason"]) for p in data["problems"]),
        failures=tuple(Failure(entry["id"], entry["text"]) for entry in data["failures"]),
        ignored=dict(data.get("ignored", {})),
        ignored_because=dict(data.get("ignored_because", {})),
    )


def _load_run(run: Mapping[str, Any]) -> RunSummary:
    environment = run["environment"]
    return RunSummary(
        source=run["source"],
        files=tuple(SourceFile(f["path"], f["bytes"], f["lines"], f["digest"]) for f in run["file_details"]),
        readers=tuple(run["readers"]),
        first_step=run["first_step"],
        last_step=run["last_step"],
        planned_steps=run["planned_steps"],
        step_source=run["step_source"],
        curves=tuple(_load_curve(metric, entry) for metric, entry in run["metrics"].items()),
        packages=dict(environment["packages"]),
        config=dict(environment["config"]),
        hardware=dict(environment["hardware"]),
        arguments=dict(environment["arguments"]),
        environment_refs={key: _load_ref(ref) for key, ref in environment["evidence"].items()},
        outcome=run["outcome"],
        verdict=run["verdict"],
    )


def _load_curve(metric: str, entry: Mapping[str, Any]) -> Curve:
    points = entry.get("curve", {"steps": (), "values": (), "lines": ()})
    return Curve(
        metric, entry["name"], entry["points"], entry["non_finite"], _float(entry["first"]), _float(entry["last"]),
        tuple(points["steps"]), tuple(_float(value) for value in points["values"]), tuple(points["lines"]),
        entry["file"], entry["reader"],
    )  # fmt: skip


def _load_fate(entry: Mapping[str, Any]) -> RankFate:
    place = entry["place"]
    return RankFate(
        entry["ranks"], entry["count"], entry["last_step"], entry["error"], entry["end"], _load_ref(place) if place else None
    )


def _load_ref(entry: Mapping[str, Any]) -> SourceRef:
    return SourceRef(entry["file"], entry["line"], entry["text"], entry.get("rank"))


def _load_evidence(entry: Mapping[str, Any]) -> Evidence:
    context = tuple((line["line"], line["text"]) for line in entry.get("context", ()))
    return Evidence(_load_ref(entry), entry["note"], context)


def _load_finding(entry: Mapping[str, Any]) -> Finding:
    return Finding(
        entry["rule"], entry["severity"], entry["confidence"], entry["summary"],
        tuple(_load_evidence(evidence) for evidence in entry["evidence"]), entry["first_step"], entry["last_step"],
        dict(entry["facts"]),
    )  # fmt: skip


def _load_match(entry: Mapping[str, Any]) -> Match:
    clauses = tuple(
        Clause(c["text"], c["state"], c["weight"], c["strength"], tuple(_load_evidence(e) for e in c["evidence"]), c["ask"])
        for c in entry["clauses"]
    )
    return Match(
        entry["id"], entry["title"], entry["kind"], entry["verdict"], entry["score"], clauses, dict(entry["remedy"]),
        entry["confirm_by"], entry["mechanism"], tuple(entry["rivals"]), tuple(entry["sources"]),
    )  # fmt: skip


def _load_first(entry: Mapping[str, Any]) -> FirstCause:
    ref = SourceRef(entry["file"], entry["line"], entry["quote"], entry["rank"])
    return FirstCause(entry["finding"], ref, entry["rank"], entry["time"], entry["is_inferred"], entry["text"])


def _load_entry(entry: Mapping[str, Any]) -> TimelineEntry:
    time = entry["time"]
    return TimelineEntry(
        _load_ref(entry), entry["kind"], entry["summary"], entry["step"], None if time is None else _float(time),
        entry["rank"], entry["count"],
    )  # fmt: skip
