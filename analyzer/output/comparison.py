"""`Comparison` → text and Markdown, differences first."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from analyzer.output import story, translate
from analyzer.output.columns import table
from analyzer.output.plain import clip, neutral, number, place
from analyzer.output.strings import Strings, catalogue

if TYPE_CHECKING:
    from analyzer.compare import Comparison, Suspect
    from analyzer.differences import Difference
    from analyzer.model import Diagnosis
    from analyzer.output.redact import Redaction
    from analyzer.parting import Parting
    from parsers import SourceRef
    from parsers.model import Value

MAX_ROWS: Final = 40
MAX_ONLY: Final = 12
MAX_MESSAGES: Final = 12
WIDTH: Final = 110


def render(one: Comparison, form: str, lang: str = "en") -> str:
    """Two runs as terminal text or Markdown."""
    s = catalogue(lang)
    return "\n".join(_markdown(one, s) if form == "markdown" else _terminal(one, s)) + "\n"


def redacted(one: Comparison) -> tuple[Comparison, list[Redaction]]:
    """The comparison without private names and secrets. Versions stay: one of four parts is no address."""
    from analyzer.output.redact import redact_value

    clean, found = redact_value(one)
    pairs = zip(one.differences, clean.differences, strict=True)
    kept = tuple(
        replace(after, good=before.good, bad=before.bad) if before.area == "packages" else after for before, after in pairs
    )
    return replace(clean, differences=kept), found


def headline(one: Comparison, s: Strings) -> str:
    """Where they part, in one line."""
    first = one.first
    if first is None or first.step is None:
        ends = sorted(last for last in (one.good.run.last_step, one.bad.run.last_step) if last is not None)
        if len(ends) == 2 and ends[0] < ends[1]:
            return s("compare.no_first_until", step=number(ends[0]))
        return s("compare.no_first")
    name = neutral(s.name("metric", first.metric))
    return f"{s('compare.first', step=number(first.step))} · {name} {parted(first, s)}"


def parted(part: Parting, s: Strings) -> str:
    """What happens at the parting, or that there is none."""
    kind = part.kind.replace("-", "_")
    return s(f"compare.kind_{kind}", good=number(part.good), bad=number(part.bad), band=number(_short(part.band)))


def _short(value: float) -> float:
    return float(f"{value:.2g}") if math.isfinite(value) else value


def shown(value: Value, ref: SourceRef | None, s: Strings) -> str:
    """A value of one side, cut where it is a whole dump."""
    return s("compare.not_said") if ref is None else clip(neutral(str(value)), 60)


def where(ref: SourceRef | None) -> str:
    """`run.log:12`, empty for what is not said."""
    return place(ref.file, ref.line) if ref is not None else ""


def change(one: Difference, s: Strings) -> str:
    """`deepspeed 0.12.3 → 0.14.0`."""
    return f"{neutral(one.key)} {shown(one.good, one.good_ref, s)} → {shown(one.bad, one.bad_ref, s)}"


def verdict_on_changes(one: Comparison, s: Strings) -> str:
    """Whether a lone change could be credited; '' where nothing changed or the good run is not healthy."""
    if one.credited:
        return s("compare.credit", change=change(one.interventions[0].difference, s))
    return s("compare.several", n=len(one.interventions)) if one.interventions else ""


def _side(label: str, told: Diagnosis, s: Strings) -> str:
    return f"{label}  {s('verdict.' + told.verdict)}  {story.source_name(told)}  {story.progress(told, s)}"


def _terminal(one: Comparison, s: Strings) -> Iterator[str]:
    yield _side(s("compare.good"), one.good, s)
    yield _side(s("compare.bad"), one.bad, s)
    yield ""
    yield headline(one, s)
    yield ""
    yield s("compare.parts")
    yield from _indented(table_of(_parting_rows(one, s)) or [s("compare.parts_none")])
    yield ""
    yield s("compare.changes")
    yield from _indented(table_of(_difference_rows(one.changes[:MAX_ROWS], s)) or [s("compare.changes_none")])
    told = verdict_on_changes(one, s)
    if told:
        yield f"  {told}"
    yield from _windows(one, s)
    yield ""
    yield s("compare.cause")
    yield f"  {_cause(one, s)}"
    yield from _told_only_by_bad(one, s)


def _windows(one: Comparison, s: Strings) -> Iterator[str]:
    if one.suspects:
        yield ""
        yield s("compare.windows")
    for suspect in one.suspects:
        cause, level = suspect.exposure.cause, suspect.exposure.level
        yield f"  {entered(suspect, s)}"
        yield f"    {s('severity.' + level)}: {translate.title(cause.title, s)}  (analyze explain {cause.id})"


def entered(suspect: Suspect, s: Strings) -> str:
    """`deepspeed 0.12.3 → 0.14.0 enters >=0.12.4,<0.14.3`."""
    good, bad = neutral(suspect.good), neutral(suspect.bad)
    return s("compare.entered", package=suspect.package, good=good, bad=bad, windows=suspect.windows)


def _told_only_by_bad(one: Comparison, s: Strings) -> Iterator[str]:
    yield ""
    yield s("compare.messages")
    rows = [f"{where(m.ref)}{f' ({m.count}×)' if m.count > 1 else ''}  {clip(neutral(m.text), WIDTH)}" for m in one.messages]
    yield from _indented(rows[:MAX_MESSAGES] or [s("compare.messages_none")])
    only = [d for d in one.differences if not d.is_change and not d.is_incidental]
    if only:
        yield ""
        yield f"{s('compare.only')} ({len(only)})"
        yield from _indented(table_of(_difference_rows(only[:MAX_ONLY], s)))


def _indented(lines: Sequence[str]) -> Iterator[str]:
    yield from (f"  {line}" for line in lines)


def table_of(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns, without a head."""
    return table(rows[0], rows[1:]) if rows else []


def _parting_rows(one: Comparison, s: Strings) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for part in one.partings:
        at = "" if part.step is None else s("compare.at", step=number(part.step))
        places = "" if part.step is None else f"{where(part.good_ref)} | {where(part.bad_ref)}"
        rows.append((neutral(s.name("metric", part.metric)), at, parted(part, s), s("compare.records", n=part.common), places))
    return rows


def _difference_rows(found: Sequence[Difference], s: Strings) -> list[tuple[str, ...]]:
    return [
        (_area(one, s), neutral(one.key), shown(one.good, one.good_ref, s), "→", shown(one.bad, one.bad_ref, s),
         " | ".join(filter(None, (where(one.good_ref), where(one.bad_ref)))))
        for one in found
    ]  # fmt: skip


def _area(one: Difference, s: Strings) -> str:
    return s("ui." + one.area) if one.area != "run" else s("ui.what")


def _cause(one: Comparison, s: Strings) -> str:
    match = one.leading
    if match is None:
        return s("compare.cause_none")
    return f"{translate.title(match.title, s)} ({s('cause.' + match.verdict)}; analyze explain {match.id})"


def _markdown(one: Comparison, s: Strings) -> Iterator[str]:
    yield f"**{headline(one, s)}**"
    yield ""
    yield f"- {_side(s('compare.good'), one.good, s)}"
    yield f"- {_side(s('compare.bad'), one.bad, s)}"
    yield ""
    yield f"### {s('compare.parts')}"
    yield ""
    yield from _bulleted([" · ".join(filter(None, row)) for row in _parting_rows(one, s)], s("compare.parts_none"))
    yield ""
    yield from _changes_in_markdown(one, s)
    if one.suspects:
        yield ""
        yield f"### {s('compare.windows')}"
        yield ""
    for suspect in one.suspects:
        cause = suspect.exposure.cause
        yield f"- {entered(suspect, s)}: {translate.title(cause.title, s)} (`{cause.id}`)"
    yield ""
    yield f"### {s('compare.cause')}"
    yield ""
    yield _cause(one, s)
    yield ""
    yield f"### {s('compare.messages')}"
    yield ""
    texts = [f"`{where(m.ref)}` {'' if m.count == 1 else f'({m.count}×) '}`{_code(m.text)}`" for m in one.messages[:MAX_MESSAGES]]
    yield from _bulleted(texts, s("compare.messages_none"))


def _changes_in_markdown(one: Comparison, s: Strings) -> Iterator[str]:
    yield f"### {s('compare.changes')}"
    yield ""
    rows = _difference_rows(one.changes[:MAX_ROWS], s)
    if rows:
        yield f"| {s('ui.key')} | {s('compare.good')} | {s('compare.bad')} | {s('ui.where')} |"
        yield "|---|---|---|---|"
        for area, key, good, _, bad, at in rows:
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in (f"{area} `{key}`", good, bad, at)) + " |"
    else:
        yield s("compare.changes_none")
    told = verdict_on_changes(one, s)
    if told:
        yield ""
        yield told


def _code(text: str) -> str:
    return clip(neutral(text).replace("`", "'"), WIDTH)


def _bulleted(lines: Sequence[str], otherwise: str) -> Iterator[str]:
    yield from ([f"- {line}" for line in lines] or [otherwise])
