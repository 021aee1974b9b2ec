"""A diagnosis in another language: what rules and causes say is written in English and translated here, text by text.

The English text is the key (as in gettext): a sentence that was changed loses its translation instead of keeping a wrong
one, a saved result can be drawn in any language, and a cause needs no file but its own. What has no translation stays
English, and a cause whose title has none is marked. Quotations of the log, identifiers and code are never translated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from analyzer.model import Clause, Diagnosis, Evidence, Finding, FirstCause, Match, RankFate, TimelineEntry
from analyzer.output.strings import Strings

_TEXTS: Final = ("steps", "discard", "cost")
"""What of a remedy is sentences; the rest is settings and versions."""
MAX_LENGTH: Final = 2000
"""Characters: a longer text is none of ours, and patterns are not tried on it."""
_PLACE: Final = re.compile(r"(?: on ranks? [\d,-]+)?(?: after step \d+)?$")
"""Where it happened, at the end of a summary: ` on ranks 0-3 after step 41`."""

_RANGE: Final = re.compile(r"^([\w.-]+) is ([<>=!~].*)$")
"""`torch is >=2.5`: a clause that is made of a package and a range reads the same in every language without its verb."""


def translated(diagnosis: Diagnosis, s: Strings) -> Diagnosis:
    """The diagnosis with every sentence of ours in the language of `s`; the same one where that is English."""
    if not s.is_translated:
        return diagnosis
    return replace(
        diagnosis,
        findings=tuple(_finding(one, s) for one in diagnosis.findings),
        causes=tuple(cause(one, s) for one in diagnosis.causes),
        notes=tuple(cause(one, s) for one in diagnosis.notes),
        first_cause=_first(diagnosis.first_cause, diagnosis.findings, s) if diagnosis.first_cause else None,
        timeline=tuple(_entry(one, s) for one in diagnosis.timeline),
        ranks=tuple(_fate(one, s) for one in diagnosis.ranks),
        problems=tuple((ref, reader, sentence(reason, s)) for ref, reader, reason in diagnosis.problems),
    )


def cause(match: Match, s: Strings) -> Match:
    """One cause with title, ledger, remedy and experiment in the language of `s`."""
    return replace(
        match,
        title=title(match.title, s),
        clauses=tuple(_clause(one, s) for one in match.clauses),
        remedy=_remedy(match.remedy, s),
        confirm_by=sentence(match.confirm_by, s),
        mechanism=sentence(match.mechanism, s),
    )


def title(text: str, s: Strings) -> str:
    """A cause's title; the English one with a mark where the catalogue does not have it."""
    if not s.is_translated:
        return text
    found = _exact(text, s)
    return s("cause.untranslated", text=text) if found is None else found


def sentence(text: str, s: Strings) -> str:
    """A sentence of ours; itself where the catalogue does not have it."""
    return said(text, s) or text


def said(text: str, s: Strings) -> str | None:
    """The translation: of the whole, of a pattern with gaps, or of each part between semicolons; None where a part has none."""
    whole = _whole(text, s)
    if whole is not None:
        return whole
    parts = [_whole(part, s) for part in text[:MAX_LENGTH].split("; ")] if len(text) <= MAX_LENGTH else [None]
    known = [part for part in parts if part is not None]
    return s("translate.join").join(known) if len(known) == len(parts) else None


def _whole(text: str, s: Strings) -> str | None:
    """The translation of a text that is one sentence or pattern, with the place behind it."""
    if not s.sentences or len(text) > MAX_LENGTH:
        return None
    found = _exact(text, s) or _by_pattern(text, s)
    if found is not None:
        return found
    tail = _PLACE.search(text)
    if tail is None or not tail[0]:
        return None
    head = _exact(text[: tail.start()], s) or _by_pattern(text[: tail.start()], s)
    return None if head is None else head + _place(tail[0], s)


def _exact(text: str, s: Strings) -> str | None:
    return s.sentences.get(" ".join(text.split()))


def _by_pattern(text: str, s: Strings) -> str | None:
    """The first pattern that fits; what stands in a gap is translated where it can be, else a quotation or a number."""
    for pattern, template in s.patterns:
        found = pattern.fullmatch(text)
        if found is not None:
            return template.format_map({name: _exact(value, s) or value for name, value in found.groupdict(default="").items()})
    return None


def _place(text: str, s: Strings) -> str:
    rank = re.search(r" on ranks? ([\d,-]+)", text)
    step = re.search(r" after step (\d+)", text)
    parts = [s("translate.rank", rank=rank[1])] if rank else []
    parts += [s("translate.after", step=step[1])] if step else []
    return s("translate.place", place=s("translate.comma").join(parts))


def _finding(one: Finding, s: Strings) -> Finding:
    from analyzer.output.story import titled

    return replace(one, summary=said(one.summary, s) or titled(one, s), evidence=tuple(_evidence(e, s) for e in one.evidence))


def _evidence(one: Evidence, s: Strings) -> Evidence:
    return replace(one, note=sentence(one.note, s)) if one.note and not one.note.startswith("implied") else one


def _clause(one: Clause, s: Strings) -> Clause:
    text = said(one.text, s) or _RANGE.sub(r"\1 \2", one.text)
    return replace(one, text=text, ask=sentence(one.ask, s), evidence=tuple(_evidence(e, s) for e in one.evidence))


def _remedy(remedy: Mapping[str, Any], s: Strings) -> dict[str, Any]:
    return {key: _texts(value, s) if key in _TEXTS else value for key, value in remedy.items()}


def _texts(value: Any, s: Strings) -> Any:
    if isinstance(value, str):
        return sentence(value, s)
    return [sentence(one, s) if isinstance(one, str) else one for one in value] if isinstance(value, list | tuple) else value


def _first(one: FirstCause, findings: Sequence[Finding], s: Strings) -> FirstCause:
    """In the words of its finding, and what it says beyond that part by part."""
    summary = findings[one.finding].summary if 0 <= one.finding < len(findings) else ""
    if not summary or not one.text.startswith(summary):
        return replace(one, text=sentence(one.text, s))
    parts = [_consequence(part, s) for part in one.text[len(summary) :].split("; ") if part]
    return replace(one, text=s("translate.join").join([_finding(findings[one.finding], s).summary, *parts]))


def _consequence(text: str, s: Strings) -> str:
    """`inferred: …` and `then 2 lost connections, 1 failed child` with what they hold."""
    for head, comma in (("inferred: ", ""), ("then ", ", ")):
        if text.startswith(head):
            rest = text.removeprefix(head)
            held = [sentence(one, s) for one in (rest.split(comma) if comma else [rest])]
            return sentence(head + s("translate.comma").join(held), s)
    return sentence(text, s)


def _entry(one: TimelineEntry, s: Strings) -> TimelineEntry:
    return replace(one, text=sentence(one.text, s)) if s.has(f"rule.{one.kind}") or one.kind == "last-record" else one


def _fate(one: RankFate, s: Strings) -> RankFate:
    return replace(one, error=sentence(one.error, s), end=sentence(one.end, s))
