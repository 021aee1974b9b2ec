"""`Diagnosis` → Markdown to paste into an issue: short, with the details folded.

Text of a log is never markup here either: inline it is escaped (also `@name` and `#12`, which would notify people and
link issues), and quoted lines stand in a fence longer than any run of backticks in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from analyzer.model import Diagnosis, Finding, Match
from analyzer.output import story
from analyzer.output.plain import neutral, place
from analyzer.output.strings import Strings, catalogue
from analyzer.output.translate import translated
from analyzer.version import VERSION

MAX_FINDINGS: Final = 8
MAX_FACTS: Final = 40
_SPECIAL: Final = re.compile(r"([\\`*_\[\]|~$])")


def render(diagnosis: Diagnosis, lang: str = "en") -> str:
    """The report as GitHub-flavoured Markdown, ending in a line feed."""
    s = catalogue(lang)
    diagnosis = translated(diagnosis, s)
    lines = [
        *_head(diagnosis, s),
        *_findings(diagnosis, s),
        *_ranks(diagnosis, s),
        *_aftermath(diagnosis),
        *_cause(diagnosis, s),
        *_details(diagnosis, s),
    ]
    made = s("md.made_by", version=VERSION, command=neutral(story.command(diagnosis, "md")).replace("`", "'"))
    return "\n".join((*lines, "", made)) + "\n"


def escape(text: str) -> str:
    """Text that Markdown and GitHub show as it is, on one line."""
    one_line = " ".join(neutral(text).split())
    escaped = _SPECIAL.sub(r"\\\1", one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    return re.sub(r"#(?=\d)", "&#35;", escaped).replace("@", "&#64;").replace("://", ":&#47;/")


def prose(text: str) -> str:
    """A sentence of ours: escaped, with its `code` kept as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    kept = ((f"`{_code(part)}`" if part.strip() else "") if i % 2 else _spaced(part) for i, part in enumerate(parts))
    return " ".join("".join(kept).split())


def _spaced(text: str) -> str:
    """Escaped text that keeps a space at either end."""
    return f"{' ' * text[:1].isspace()}{escape(text)}{' ' * text[-1:].isspace()}"


def fence(text: str, language: str = "") -> list[str]:
    """A fenced block that its own content cannot end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    marks = "`" * max(3, longest + 1)
    return [f"{marks}{language}", *text.split("\n"), marks]


def _head(diagnosis: Diagnosis, s: Strings) -> list[str]:
    parts = [escape(story.source_name(diagnosis)), *map(escape, story.identity(diagnosis, s)), story.progress(diagnosis, s)]
    verdict = s("verdict." + diagnosis.verdict)
    return [f"**{verdict}** {escape(story.headline(diagnosis, s))}", "", " · ".join(parts)]


def _findings(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    yield from _shown(diagnosis, s)
    ignored = story.ignored(diagnosis, s)
    if ignored:
        yield from ("", escape(ignored))


def _shown(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    if not diagnosis.findings:
        return
    yield from ("", f"**{s('md.findings')}**", "")
    for finding in diagnosis.findings[:MAX_FINDINGS]:
        ref = finding.evidence[0].ref
        severity = s("severity." + finding.severity)
        where = escape(place(ref.file, ref.line))
        yield f"- **{severity}** {escape(finding.rule)}: {escape(story.finding_text(finding))} ({where})"
    if len(diagnosis.findings) > MAX_FINDINGS:
        yield f"- {s('term.more', n=len(diagnosis.findings) - MAX_FINDINGS)}"
    yield from ("", *fence(_quoted(diagnosis.findings[0]), "text"))


def _ranks(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    """How the ranks fared, as a table; those that fared alike are one row."""
    if not diagnosis.ranks:
        return
    titles = (s("ui.ranks"), s("ui.r_last"), s("ui.r_error"), s("ui.r_end"))
    yield from ("", f"| {' | '.join(titles)} |", "|---|---|---|---|")
    for fate in diagnosis.ranks:
        step = "" if fate.last_step is None else str(fate.last_step)
        where = f" ({escape(place(fate.ref.file, fate.ref.line))})" if fate.ref and fate.error else ""
        yield f"| {escape(fate.ranks)} | {step} | {escape(fate.error)}{where} | {escape(fate.end)} |"


def _aftermath(diagnosis: Diagnosis) -> Iterator[str]:
    """What followed, counted, and from what the first cause is inferred."""
    if more := story.aftermath(diagnosis):
        yield from ("", escape(more))


def _timeline(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    """What happened, in order; equal messages are one line with their count."""
    if not diagnosis.ranks:
        return
    yield from ("", f"**{s('ui.timeline')}**", "")
    for entry in diagnosis.timeline:
        rank = f"{s('ui.rank', rank=entry.rank)} · " if entry.rank is not None else ""
        count = f" ×{entry.count}" if entry.count > 1 else ""
        yield f"- {rank}{escape(entry.text)}{count} ({escape(place(entry.ref.file, entry.ref.line))})"
    yield ""


def _quoted(finding: Finding) -> str:
    evidence = finding.evidence[0]
    lines = evidence.context or ((evidence.ref.line, evidence.ref.text),)
    near = [(line, text) for line, text in lines if abs(line - evidence.ref.line) <= 2]
    return "\n".join(f"{'>' if line == evidence.ref.line else ' '} {line:>6}  {neutral(text)[:200]}" for line, text in near)


def _cause(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    for note in diagnosis.notes:
        yield from ("", f"> {prose(note.title)}")
    if not story.is_told(diagnosis):
        return
    if not diagnosis.causes:
        yield from ("", f"**{s('md.cause')}** {s('term.no_cause')}")
        return
    best = diagnosis.causes[0]
    yield from ("", f"**{s('md.cause')} ({s('cause.' + best.verdict)})** {prose(best.title)} (`{_code(best.id)}`)", "")
    yield from _ledger(best, s)
    yield from ("", f"**{s('md.do')}**", "")
    for index, step in enumerate(story.steps(diagnosis, best, s)):
        yield f"{index + 1}. {prose(step.text)}"
        yield from (f"   {line}" for line in (fence(step.code, "diff" if step.kind == "diff" else "") if step.code else ()))
    if best.confirm_by:
        yield from ("", f"**{s('md.experiment')}** {prose(best.confirm_by)}")


def _ledger(match: Match, s: Strings) -> Iterator[str]:
    parts = story.ledger(match)
    for kind, clauses in (("for", parts.supports), ("against", parts.opposes), ("unknown", parts.unknown)):
        for clause in clauses:
            text = story.clause_name(clause) if kind == "unknown" else story.clause_text(clause, s)
            ref = clause.evidence[0].ref if clause.evidence else None
            where = f" ({escape(place(ref.file, ref.line))})" if ref and ref.line else ""
            asked = f" (`{_code(clause.ask)}`)" if kind == "unknown" and clause.ask else ""
            yield f"- {s('state.' + kind)}: {prose(text)}{where}{asked}"


def _code(text: str) -> str:
    """Text for an inline code span."""
    return " ".join(neutral(text).replace("`", "'").split())


def _details(diagnosis: Diagnosis, s: Strings) -> Iterator[str]:
    run = diagnosis.run
    facts = [*run.packages.items(), *run.hardware.items(), *run.config.items(), *run.arguments.items()]
    thinned = story.thinned(diagnosis)
    if not facts and len(diagnosis.causes) < 2 and not diagnosis.skips and not diagnosis.ranks and not thinned:
        return
    yield from ("", f"<details><summary>{s('md.details')}</summary>", "")
    for rival in diagnosis.causes[1:4] if story.is_told(diagnosis) else ():
        yield f"**{s('ui.rivals')} ({s('cause.' + rival.verdict)})** {escape(rival.title)} (`{_code(rival.id)}`)"
        yield from ("", *_ledger(rival, s), "")
    if facts:
        yield from fence("\n".join(f"{neutral(str(key))} = {neutral(str(value))[:200]}" for key, value in facts[:MAX_FACTS]))
    yield from _timeline(diagnosis, s)
    for skip in diagnosis.skips:
        lacking = escape(", ".join(story.missing_name(name, s) for name in skip.missing))
        yield f"- {s('ui.not_judged')}: {escape(skip.rule)} ({s('ui.missing')}: {lacking})"
    yield from (f"- {escape(text)}" for text in thinned)
    yield from ("", "</details>")
