"""The whole knowledge base as Markdown, or as HTML with `--html`: `python -m analyzer.knowledge DIR [--html]`.

    DIR/index.md                what can be found and what is known, by package
    DIR/rules/<id>.md           the page of each rule
    DIR/causes/<id>.md          the page of each cause, as `analyze explain` prints it, with links to rules and rivals

The same sources always give the same bytes, so that the folder can be committed or published and a change shows as a diff.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from analyzer.cause import Cause, complete, load_for_weighing
from analyzer.errors import AnalyzerError
from analyzer.output.cause_page import page
from analyzer.rule import Rule, load
from analyzer.version import VERSION
from analyzer.writing import write

KINDS: Mapping[str, str] = {
    "root-cause": "Root causes", "amplifier": "What makes it worse", "echo": "What only repeats another failure",
    "decoder": "How to read a log", "benign": "What is no fault",
}  # fmt: skip
_LINKED = re.compile(r"`(?:rule:)?([a-z0-9]+(?:-[a-z0-9]+)+)`")


def pages() -> Iterator[tuple[str, str]]:
    """(path below the folder, text) of every page, the index first."""
    rules = [one for one in load() if one.text]
    causes = [complete(one.id) for one in load_for_weighing()]
    yield "index.md", index(rules, causes)
    known = {**{one.id: "rules" for one in rules}, **{one.id: "causes" for one in causes}}
    for rule in rules:
        yield f"rules/{rule.id}.md", rule.text.rstrip() + "\n" + _explained_by(rule, causes)
    for cause in causes:
        yield f"causes/{cause.id}.md", linked(page(cause).rstrip() + "\n", known)


def linked(text: str, known: Mapping[str, str]) -> str:
    """A page with every rule and cause that it names in backticks made a link."""

    def link(found: re.Match[str]) -> str:
        id_ = found[1]
        return f"[`{id_}`](../{known[id_]}/{id_}.md)" if id_ in known else found[0]

    head, _, body = text.partition("\n")
    return f"{head}\n{_LINKED.sub(link, body)}"


def _explained_by(rule: Rule, causes: Sequence[Cause]) -> str:
    """The causes that a rule's finding leads to."""
    named = [one for one in causes if f"rule:{rule.id}" in (*one.requires.get("any", ()), *one.requires.get("sure", ()))]
    if not named:
        return ""
    return "\n## Causes that are weighed\n" + "".join(f"- [{one.title}](../causes/{one.id}.md)\n" for one in named)


def index(rules: Sequence[Rule], causes: Sequence[Cause]) -> str:
    """The table of contents: rules, causes by kind, causes by package."""
    lines = [f"# What nanalyze {VERSION} knows", "", f"{len(rules)} rules, {len(causes)} causes.", "", "## Rules", ""]
    lines += ["| rule | severity | finds |", "|---|---|---|"]
    lines += [f"| [{one.id}](rules/{one.id}.md) | {one.severity} | {_cell(one.title)} |" for one in rules]
    for kind, title in KINDS.items():
        members = [one for one in causes if one.kind == kind]
        lines += ["", f"## {title} ({len(members)})", "", "| cause | status | affects | what it is |", "|---|---|---|---|"]
        lines += [f"| [{one.id}](causes/{one.id}.md) | {one.status} | {_affects(one)} | {_cell(one.title)} |" for one in members]
    lines += ["", "## By package", ""]
    for package in sorted({entry["package"] for one in causes for entry in one.affects}):
        named = [one for one in causes if any(entry["package"] == package for entry in one.affects)]
        lines.append(f"- {package}: " + ", ".join(f"[{one.id}](causes/{one.id}.md)" for one in named))
    return "\n".join(lines) + "\n"


def _affects(cause: Cause) -> str:
    return _cell(", ".join(f"{entry['package']} {entry['versions']}" for entry in cause.affects))


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def html_pages() -> Iterator[tuple[str, str]]:
    """(path below the folder, text) of every page as HTML: one file each, without scripts."""
    from markupsafe import Markup

    from analyzer.output import html, prose

    for name, text in pages():
        title = text.partition("\n")[0].lstrip("# ")
        up = "" if name == "index.md" else "../index.html"
        body = Markup(prose.html(text))  # noqa: S704 (made of escaped text)
        page_ = html.render_static("knowledge.html.j2", ("report.css", "knowledge.css"), "en", title=title, up=up, body=body)
        yield f"{name.removesuffix('.md')}.html", page_ + "\n"


def write_all(folder: Path, as_html: bool = False) -> int:
    """Writes every page; how many. Raises UsageError where the folder cannot be written."""
    made = list(html_pages() if as_html else pages())
    for name, text in made:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path, text)
    return len(made)


def main(arguments: Sequence[str]) -> int:
    """Writes the pages into the folder named; 2 where none is, or it cannot be written."""
    folders = [one for one in arguments if one != "--html"]
    if len(folders) != 1 or folders[0].startswith("-"):
        sys.stderr.write("name the folder to write to: python -m analyzer.knowledge DIR [--html]\n")
        return 2
    try:
        count = write_all(Path(folders[0]), "--html" in arguments)
    except (OSError, AnalyzerError) as error:
        sys.stderr.write(f"the pages cannot be written: {error}\n")
        return 2
    sys.stderr.write(f"{folders[0]}: {count} pages\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
