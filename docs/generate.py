"""Pages that come from the code and from the files at the top, for `mkdocs build`. Nothing here is written by hand twice."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from analyzer.cli import COMMANDS, HELP, MAIN
from analyzer.knowledge import pages as knowledge

ROOT = Path(__file__).resolve().parent.parent
TOP = {"README.md": "index.md", "README.zh.md": "zh.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}


def pages() -> Iterator[tuple[str, str]]:
    """(path below docs/, text) of every generated page."""
    for source, page in TOP.items():
        yield page, relinked((ROOT / source).read_text("utf-8"))
    yield "reference/cli.md", cli()
    yield "reference/python.md", PYTHON
    yield "reference/formats.md", formats()
    yield "reference/schema.md", schema()
    for path, text in knowledge():
        yield f"reference/knowledge/{path}", captioned(text)


def relinked(text: str) -> str:
    """A file of the top folder as a page: its links lead into docs/; what the site does not hold is named."""

    def link(found: re.Match[str]) -> str:
        bang, words, target, anchor = found[1], found[2], found[3], found[4] or ""
        if target in TOP:
            return f"[{words}]({TOP[target]}{anchor})"
        if target.startswith("docs/") and (ROOT / target).is_file() and not target.endswith(".py"):
            return f"{bang}[{words}]({target.removeprefix('docs/')}{anchor})"
        return words if words.strip("`") == target else f"{words} (`{target}`)"

    return re.sub(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)#\s]+)(#[^)]*)?\)", link, text)


def captioned(text: str) -> str:
    """A page of the knowledge base as the site's Markdown wants it.

    What a test reads of an example (`log fires=12`) becomes a title that a reader can, and a list gets an empty line before it.
    """

    def fence(found: re.Match[str]) -> str:
        kind, _, what = found[1].partition("=")
        return f'```text title="{EXAMPLES[kind].format(what)}"'

    titled = re.sub(r"^```log (\S+)$", fence, text, flags=re.MULTILINE)
    parts = re.split(r"(^```.*?^```$)", titled, flags=re.MULTILINE | re.DOTALL)
    return "".join(part if part.startswith("```") else TIGHT.sub(r"\1\n\n\2", part) for part in parts)


TIGHT = re.compile(r"^((?![-*#|>\s]).+)\n(- )", re.MULTILINE)
"""A list right below a line of text: part of the paragraph to Python-Markdown, a list to everybody else."""


EXAMPLES = {
    "fires": "found from {} on (a step, or a line where there is none)",
    "fires-line": "found at line {}",
    "info": "a remark, from {} on",
    "quiet": "nothing is found here",
    "skips": "cannot be judged: no {}",
}


def cli() -> str:
    """Every command with the help that it prints."""
    parts = ["# Command line", "", "```text", HELP.rstrip(), "```", ""]
    for command in sorted(COMMANDS - {MAIN}):
        done = subprocess.run([sys.executable, "-m", "analyzer", command, "--help"], capture_output=True, text=True, check=True,
                              env={"COLUMNS": "110", "PATH": "", "PYTHONPATH": str(ROOT)})  # fmt: skip
        parts += [f"## analyze {command}", "", "```text", done.stdout.strip(), "```", ""]
    return "\n".join(parts)


PYTHON = """\
# Python

::: analyzer.api
    options: {members: [diagnose, Diagnosis, Options], inherited_members: true}

::: analyzer.model
    options: {members: [Finding, Evidence, Match, Clause, FirstCause, TimelineEntry, RunSummary], show_if_no_docstring: true}
"""


def formats() -> str:
    """Every reader with an example of what it reads."""
    from parsers.registry import file_formats, text_formats

    parts = ["# Formats", ""]
    for title, readers in (("Lines of text", text_formats()), ("Files", file_formats())):
        parts += [f"## {title}", ""]
        for one in readers:
            parts += [f"### {one.name}", "", f"{one.title}.", "", "```text", one.example, "```", ""]
    return "\n".join(parts)


def schema() -> str:
    """The fields of the result document, from its JSON Schema."""
    path = next(iter(sorted((ROOT / "docs" / "schema").glob("diagnosis-*.json"))))
    data = json.loads(path.read_text("utf-8"))
    parts = [
        "# Result document", "",
        f"`analyze --format json` writes it; `docs/schema/{path.name}` is its JSON Schema.",
        "Fields are only added within a major version.",
        "", "## The document", "", *_fields(data),
    ]  # fmt: skip
    for name, part in sorted(data.get("$defs", {}).items()):
        parts += [f"## {name}", "", part.get("description", ""), "", *_fields(part)]
    return "\n".join(parts)


def _fields(part: Mapping[str, object]) -> Iterator[str]:
    properties = part.get("properties")
    if not isinstance(properties, dict):
        return
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, field in properties.items():
        yield f"| `{name}` | {_type(field)} | {str(field.get('description', '')).replace('|', '&#124;')} |"
    yield ""


def _type(field: Mapping[str, object]) -> str:
    if "$ref" in field:
        return f"[{str(field['$ref']).rsplit('/', 1)[-1]}](#{str(field['$ref']).rsplit('/', 1)[-1].lower()})"
    if "enum" in field:
        return " \\| ".join(f"`{one}`" for one in field["enum"])  # type: ignore[attr-defined]
    if "items" in field:
        return f"list of {_type(field['items'])}"  # type: ignore[arg-type]
    kind = field.get("type", "any")
    return " \\| ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def main() -> None:
    """Hands the pages to mkdocs-gen-files."""
    import mkdocs_gen_files

    for path, text in pages():
        with mkdocs_gen_files.open(path, "w") as page:
            page.write(text)


if __name__ in ("__main__", "<run_path>"):
    main()
