"""`Diagnosis` → one self-contained HTML file: nothing is loaded from anywhere, and only our own scripts may run.

The page is text first: verdict, picture, ledger, findings and environment stand without scripts. The charts are drawn by
Plotly's bundle, put into the page as it is, and allowed by its digest alone (Content-Security-Policy).
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from analyzer.model import SCHEMA_VERSION, Diagnosis, Skip, TimelineEntry
from analyzer.output import charts, compiled, markdown, panels, story
from analyzer.output.index import Row, index_view
from analyzer.output.overview import overview
from analyzer.output.pages import not_meant
from analyzer.output.plain import neutral, number, place
from analyzer.output.redact import Redaction
from analyzer.output.strings import Strings, catalogue
from analyzer.output.translate import sentence, translated
from analyzer.version import VERSION
from parsers import SourceRef

if TYPE_CHECKING:
    from jinja2 import Environment

BUNDLE_NAME: Final = "plotly.min.js"
_HERE: Final = Path(__file__).resolve().parent.parent
_FOLDERS: Final = (_HERE / "templates", _HERE.parent / "templates")
_EMPTY_STYLE: Final = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
"""Plotly makes an empty style element and fills it through the DOM: the digest of nothing allows just that."""


def render(
    diagnosis: Diagnosis, lang: str = "en", *, redacted: Sequence[Redaction] | None = None, shared_bundle: bool = False
) -> str:
    """The post-mortem as one HTML text.

    `redacted` is what `redact.redact` answered with (None: the caller chose not to redact). With `shared_bundle` the
    chart library is loaded from `plotly.min.js` beside the page instead of being part of it: for a folder of pages.
    """
    s = catalogue(lang)
    told = translated(diagnosis, s)
    figure = charts.figure(told, s)
    library = charts.bundle() if figure is not None else None
    figure = figure if library is not None else None
    data = charts.as_json(_page_data(diagnosis, figure, s))
    scripts = [_asset("report.js"), *([library] if library is not None and not shared_bundle else [])]
    page = _environment(s.lang).get_template("report.html.j2").render(
        **_view(told, s), csp=_policy(scripts, figure is not None, shared_bundle), css=_markup(_asset("report.css")),
        has_charts=figure is not None, page_data=_markup(data), redacted=redacted,
    )  # fmt: skip
    outside = f'<script src="{BUNDLE_NAME}"></script>\n' if shared_bundle and library is not None else ""
    first, *rest = (f"<script>{script}</script>\n" for script in scripts)
    return f"{page}{first}{outside}{''.join(rest)}</body>\n</html>\n"


def render_index(rows: Sequence[Row], lang: str = "en") -> str:
    """The index of a batch: counts, groups by first cause, and a table that sorts and filters without a server."""
    s = catalogue(lang)
    script = _asset("index.js")
    page = _environment(s.lang).get_template("index.html.j2").render(
        view=index_view(rows, s), script=_markup(script), csp=_policy([script], False, False),
        css=_markup(_asset("report.css") + _asset("index.css")),
    )  # fmt: skip
    return f"{page}</body>\n</html>\n"


def render_static(template: str, styles: Sequence[str], lang: str, **view: Any) -> str:
    """A page without scripts: the template with its view, in the styles named."""
    css = "".join(_asset(name) for name in styles)
    policy = f"default-src 'none'; style-src {_digest(css)}; img-src data:; base-uri 'none'; form-action 'none'"
    return _environment(catalogue(lang).lang).get_template(template).render(csp=policy, css=_markup(css), **view)


def bundle() -> str | None:
    """The chart library that a folder of pages shares, to be written as BUNDLE_NAME beside them; None where there is none."""
    return charts.bundle()


def _policy(scripts: Sequence[str], has_charts: bool, shared_bundle: bool) -> str:
    """The Content-Security-Policy: our scripts by digest, our style by digest, and nothing from anywhere."""
    allowed = " ".join(_digest(script) for script in scripts)
    beside = " 'self' file:" if shared_bundle and has_charts else ""
    index = "" if scripts[0] != _asset("index.js") else _asset("index.css")
    style = _digest(_asset("report.css") + index) + (f" {_EMPTY_STYLE}" if has_charts else "")
    return (
        f"default-src 'none'; script-src {allowed}{beside}; style-src {style}; img-src data:; base-uri 'none'; form-action 'none'"
    )


@cache
def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@cache
def _asset(name: str) -> str:
    for folder in _FOLDERS:
        if (folder / name).is_file():
            return (folder / name).read_text("utf-8")
    raise FileNotFoundError(f"{name} is missing from this installation of nanalyze: install it again.")


def _markup(text: str) -> Any:
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 (our own assets, and JSON in which `<` is escaped)


@cache
def _environment(lang: str) -> Environment:
    from jinja2 import Environment, StrictUndefined

    made = Environment(
        loader=compiled.loader(_FOLDERS), autoescape=True, trim_blocks=True, lstrip_blocks=True,
        undefined=StrictUndefined, finalize=_harmless, auto_reload=False, optimized=False,
    )  # fmt: skip
    made.filters["prose"] = _prose
    made.globals.update(s=catalogue(lang), story=story, number=number, place=place, clock=story.clock, version=VERSION)
    return made


def compile_templates(folder: Path) -> list[Path]:
    """Writes the templates of this tree as Python into a folder (see `compiled`): what building a wheel does."""
    from jinja2 import FileSystemLoader

    templates = next(place for place in _FOLDERS if place.is_dir())
    return compiled.write(_environment("en").overlay(loader=FileSystemLoader(str(templates))), templates, folder)


def _harmless(value: Any) -> Any:
    """Every text a template prints passes here before it is escaped; markup of ours passes untouched."""
    return story.neutral_lines(value.split("\n")) if type(value) is str else value


def _prose(text: str) -> Any:
    """A sentence of ours with `code` between backticks as code; everything is escaped first."""
    parts = [_markup("{}").format(neutral(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:
        return _markup("{}").format(neutral(text))
    return _markup("").join(_markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def _line_id(finding: int, diagnosis: Diagnosis, file: str, line: int) -> str:
    order = next((i for i, known in enumerate(diagnosis.run.files) if known.path == file), len(diagnosis.run.files))
    return f"f{finding}-{order}-{line}"


def _anchors(diagnosis: Diagnosis) -> dict[tuple[str, int], str]:
    """(file, line) → id of the first place on the page that quotes the line; evidence lines win over context."""
    found: dict[tuple[str, int], str] = {}
    for index, finding in enumerate(diagnosis.findings):
        for evidence in finding.evidence:
            key = evidence.ref.file, evidence.ref.line
            found.setdefault(key, _line_id(index, diagnosis, *key))
    for index, finding in enumerate(diagnosis.findings):
        for evidence in finding.evidence:
            for line, _ in evidence.context:
                found.setdefault((evidence.ref.file, line), _line_id(index, diagnosis, evidence.ref.file, line))
    return found


def _page_data(diagnosis: Diagnosis, figure: dict[str, Any] | None, s: Strings) -> dict[str, Any]:
    """What the page's script needs: the Markdown to copy, the figure, and where each line is quoted."""
    files = {neutral(one.file): neutral(place(one.file, 0)) for one in diagnosis.run.curves}
    return {
        "markdown": markdown.render(diagnosis, s.lang),
        "figure": figure,
        "anchors": {f"{neutral(file)}:{line}": id_ for (file, line), id_ in _anchors(diagnosis).items()} if figure else {},
        "names": files,
        "words": {"copied": s("ui.copied"), "not_quoted": s("ui.not_quoted")},
    }


def _view(diagnosis: Diagnosis, s: Strings) -> dict[str, Any]:
    anchors = _anchors(diagnosis)
    ids: set[str] = set()

    def line_id(finding: int, file: str, line: int) -> str:
        """The id of a quoted line, once: the second quotation of a line gets none."""
        made = _line_id(finding, diagnosis, file, line)
        if made in ids:
            return ""
        ids.add(made)
        return made

    def anchor(ref: SourceRef) -> str:
        return anchors.get((ref.file, ref.line), "")

    return {
        "d": diagnosis, "headline": story.headline(diagnosis, s), "loud": story.is_told(diagnosis),
        "lead": story.leading(diagnosis), "identity": story.identity(diagnosis, s), "span": story.span(diagnosis),
        "has_why": bool(diagnosis.notes or diagnosis.verdict != "healthy"),
        "steps": story.steps(diagnosis, diagnosis.causes[0], s) if diagnosis.causes and story.is_told(diagnosis) else [],
        "picture": overview(diagnosis, s), "anchor": anchor, "line_id": line_id, "schema": SCHEMA_VERSION,
        "texts": [story.finding_text(finding) for finding in diagnosis.findings],
        "meanings": [[sentence(point, s) for point in not_meant(finding.rule)] for finding in diagnosis.findings],
        "entries": _entries(diagnosis), "steady": panels.steady(diagnosis, s),
        "groups": _groups(diagnosis, s), "unjudged": _unjudged(diagnosis.skips, s),
        "chart_description": s("ui.chart_alt", metrics=", ".join(panels.title(one, s) for one in panels.panels(diagnosis))),
    }  # fmt: skip


def _entries(diagnosis: Diagnosis) -> list[tuple[TimelineEntry, int | None]]:
    """The timeline with the finding that each entry stands for; an event and the finding about it are one entry."""
    found = {(f.rule, f.evidence[0].ref.line): i for i, f in enumerate(diagnosis.findings)}
    shown: dict[int, int] = {}
    entries: list[tuple[TimelineEntry, int | None]] = []
    for entry in diagnosis.timeline:
        finding = found.get((entry.kind, entry.ref.line))
        if finding is None:
            entries.append((entry, None))
        elif finding not in shown:
            shown[finding] = len(entries)
            entries.append((entry, finding))
        else:
            first = entries[shown[finding]][0]
            step = entry.step if first.step is None else first.step
            rank = entry.rank if first.rank is None else first.rank
            time = entry.time if first.time is None else first.time
            entries[shown[finding]] = (replace(first, step=step, rank=rank, time=time), finding)
    return entries


def _groups(diagnosis: Diagnosis, s: Strings) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(title, prefix of the fact's key, sorted facts) of what is known of the environment."""
    run = diagnosis.run
    named: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
        ("ui.packages", "package:", run.packages), ("ui.hardware", "hardware:", run.hardware),
        ("ui.config", "config:", run.config), ("ui.arguments", "arg:", run.arguments),
    )  # fmt: skip
    return [(s(key), prefix, _written(facts)) for key, prefix, facts in named if facts]


def _written(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, value if isinstance(value, str) else story.literal(value)) for name, value in sorted(facts.items())]


def _unjudged(skips: Sequence[Skip], s: Strings) -> list[tuple[list[str], str, str]]:
    """(rules, what they lack, line of code) by what is missing, so that one line is said once."""
    by_missing: dict[str, list[str]] = {}
    for skip in skips:
        for missing in skip.missing:
            by_missing.setdefault(missing, []).append(skip.rule)
    return [(rules, missing, story.enable(missing, s)) for missing, rules in by_missing.items()]
