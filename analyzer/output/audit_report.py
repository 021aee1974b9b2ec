"""`Audit` → text, JSON or Markdown: package, installed version, cause, windows, what it still depends on, fix."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.output.columns import table
from analyzer.output.plain import neutral, place
from analyzer.version import VERSION

if TYPE_CHECKING:
    from analyzer.audit import Audit
    from analyzer.exposure import Exposure
    from parsers import SourceRef

MARKS = {"met": "+", "unknown": "?"}


def render(audit: Audit, form: str) -> str:
    """The audit in one form: terminal, json, sarif, markdown or codequality (GitLab)."""
    if form == "codequality":
        from analyzer.output import code_quality

        return code_quality.of_audit(audit)
    if form == "json":
        return json.dumps(document(audit), indent=2, ensure_ascii=False) + "\n"
    if form == "sarif":
        from analyzer.output.sarif import sarif

        return json.dumps(sarif(audit), indent=2, ensure_ascii=False) + "\n"
    return "\n".join(_markdown(audit) if form == "markdown" else _terminal(audit)) + "\n"


def headline(audit: Audit) -> str:
    """One sentence: how many packages, how many known causes."""
    counts = {level: sum(one.level == level for one in audit.exposures) for level in ("critical", "warning", "info")}
    told = ", ".join(f"{count} {level}" for level, count in counts.items() if count)
    known = f"{_count(len(audit.packages), 'package version')} known"
    if not told:
        return f"{known}, no known cause"
    sure = sum(one.level != "info" for one in audit.exposures)
    causes = _count(sure or len(audit.exposures), "known cause")
    return f"{known}, {'exposed to' if sure else 'possibly exposed to'} {causes} ({told})"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _at(ref: SourceRef | None) -> str:
    return place(ref.file, ref.line) if ref else ""


def _terminal(audit: Audit) -> Iterator[str]:
    yield headline(audit)
    if audit.exposures:
        rows = [(one.level, one.package, neutral(one.version), one.windows, one.cause.id, one.remedy) for one in audit.exposures]
        yield ""
        yield from table(("level", "package", "version", "window", "cause", "fix"), rows)
    for one in audit.exposures:
        if one.level != "info":
            yield from _details(one)
    yield from _possible([one for one in audit.exposures if one.level == "info"])
    yield from _deviations(audit)
    if audit.open:
        yield ""
        yield "Not judged, because the requirement leaves the version open (give a freeze or --python PATH):"
        yield from table(
            ("package", "allowed", "where"), [(one.package, neutral(one.allowed), _at(one.ref)) for one in audit.open]
        )


def _details(one: Exposure) -> Iterator[str]:
    yield ""
    yield f"{one.level}  {one.cause.title}"
    for hit in one.hits:
        yield f"  + {hit.package} {neutral(hit.version)} is {hit.windows}   {_at(hit.ref)}"
    for condition in one.conditions:
        where = "   ".join(dict.fromkeys(_at(e.ref) for e in condition.evidence[:1]))
        ask = f"   [{condition.ask}]" if condition.state == "unknown" and condition.ask else ""
        yield f"  {MARKS[condition.state]} {condition.text}{'   ' + where if where else ''}{ask}"
    yield f"  fix: {one.remedy}   (analyze explain {one.cause.id})"


def _possible(found: Sequence[Exposure]) -> Iterator[str]:
    """What would make a remark more than one: the conditions that nothing speaks of."""
    if not found:
        return
    yield ""
    yield "Only possible (state what holds with --fact NAME=VALUE, or give a ds_config or a log):"
    for one in found:
        needs = "; ".join(one.possible_if) or "more than a version tells"
        yield f"  {one.cause.id}: if {needs}"


def _deviations(audit: Audit) -> Iterator[str]:
    if not audit.project:
        return
    yield ""
    if not audit.deviations:
        yield f"Everything that {audit.project} pins is installed in that version."
        return
    yield f"Other than {audit.project} asks for ({audit.deviations[0].source}):"
    rows = [(one.package, one.wanted, neutral(one.found or "not named"), _at(one.ref)) for one in audit.deviations]
    yield from table(("package", "asked for", "found", "where"), rows)


def _markdown(audit: Audit) -> Iterator[str]:
    yield f"**{headline(audit)}**"
    if audit.exposures:
        yield ""
        head = ("level", "package", "version", "window", "cause", "still open", "fix")
        yield from _rows(head, [_markdown_row(one) for one in audit.exposures])
    if audit.deviations:
        yield ""
        yield f"Other than [{audit.project}]({audit.deviations[0].source}) asks for:"
        yield ""
        rows = [(one.package, f"`{one.wanted}`", one.found or "not named", _at(one.ref)) for one in audit.deviations]
        yield from _rows(("package", "asked for", "found", "where"), rows)
    if audit.open:
        yield ""
        yield "Version left open: " + ", ".join(f"`{one.package}` ({one.allowed})" for one in audit.open)


def _markdown_row(one: Exposure) -> tuple[str, ...]:
    still = "; ".join(c.text for c in one.conditions if c.state == "unknown")
    cause, fix = f"`{one.cause.id}`: {one.cause.title}", "; ".join(fix if "`" in fix else f"`{fix}`" for fix in one.fix)
    return one.level, one.package, one.version, f"`{one.windows}`" if one.windows else "", cause, still, fix


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield "| " + " | ".join(head) + " |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield "| " + " | ".join(neutral(cell).replace("|", "\\|") for cell in row) + " |"


def document(audit: Audit) -> dict[str, Any]:
    """The audit as JSON: every exposure with its windows, its conditions and the lines behind them."""
    return {
        "schema_version": "1.0",
        "tool": {"name": "nanalyze", "version": VERSION},
        "files": list(audit.files),
        "packages": {fact.key.partition(":")[2]: fact.value for fact in audit.packages},
        "exposures": [_exposure(one) for one in audit.exposures],
        "project": audit.project or None,
        "deviations": [
            {"package": one.package, "wanted": one.wanted, "found": one.found, "source": one.source, **_ref(one.ref)}
            for one in audit.deviations
        ],
        "open": [{"package": one.package, "allowed": one.allowed, **_ref(one.ref)} for one in audit.open],
    }


def _exposure(one: Exposure) -> dict[str, Any]:
    return {
        "cause": one.cause.id,
        "title": one.cause.title,
        "level": one.level,
        "status": one.cause.status,
        "packages": [
            {"package": hit.package, "version": hit.version, "windows": hit.windows, **_ref(hit.ref)} for hit in one.hits
        ],
        "conditions": [
            {"text": c.text, "state": c.state, "ask": c.ask, "evidence": [_ref(e.ref) for e in c.evidence]}
            for c in one.conditions
        ],
        "fix": list(one.fix),
        "sources": [source["url"] for source in one.cause.sources],
    }


def _ref(ref: SourceRef | None) -> dict[str, Any]:
    return {"file": ref.file, "line": ref.line, "text": ref.text} if ref else {"file": None, "line": None, "text": None}
