"""Our own Markdown pages (rules, causes, the index of both) → HTML: the few forms that they use, everything else as text.

Headings, paragraphs, lists, fences, tables; inside a line `code`, **bold**, [links](…) and bare addresses. Everything is escaped
first, so that a page can hold nothing but what is written here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Final

_INLINE: Final = re.compile(
    r"`(?P<code>[^`]+)`|\[(?P<text>(?:[^\[\]`]|`[^`]*`)+)\]\((?P<target>[^()\s]+)\)|\*\*(?P<bold>[^*]+)\*\*"
    r"|(?P<url>https?://[^\s<>()`]*[^\s<>()`.,;:])"
)
_HEADING: Final = re.compile(r"(#{1,4}) +(.*)")
_ITEM: Final = re.compile(r"(?:[-*]|\d+\.) +(.*)")
_RULE: Final = re.compile(r"\|(?:-+\|)+")


def html(text: str) -> str:
    """A page as HTML, without the frame around it; links to `.md` pages lead to `.html` pages."""
    return "\n".join(_blocks(text.split("\n")))


def _blocks(lines: Sequence[str]) -> Iterator[str]:
    index = 0
    while index < len(lines):
        line = lines[index]
        heading = _HEADING.fullmatch(line.strip())
        if not line.strip():
            index += 1
        elif line.startswith("```"):
            index, made = _fence(lines, index)
            yield made
        elif heading:
            level = len(heading[1])
            yield f"<h{level}>{inline(heading[2])}</h{level}>"
            index += 1
        else:
            index, made = _group(lines, index)
            yield made


def _fence(lines: Sequence[str], start: int) -> tuple[int, str]:
    end = next((i for i in range(start + 1, len(lines)) if lines[i].startswith("```")), len(lines))
    code = escape("\n".join(lines[start + 1 : end]))
    return end + 1, f'<pre tabindex="0">{code}</pre>'


def _group(lines: Sequence[str], start: int) -> tuple[int, str]:
    """A table, a list or a paragraph: the lines up to the next blank one, heading or fence."""
    end = start + 1
    while end < len(lines) and lines[end].strip() and not lines[end].startswith("```") and not _HEADING.fullmatch(lines[end]):
        end += 1
    block = lines[start:end]
    if block[0].startswith("|"):
        return end, _table(block)
    if _ITEM.match(block[0].strip()):
        return end, _list(block)
    first_item = next((i for i, line in enumerate(block) if _ITEM.match(line)), len(block))
    return start + first_item, f"<p>{inline(' '.join(line.strip() for line in block[:first_item]))}</p>"


def _list(block: Sequence[str]) -> str:
    items: list[str] = []
    for line in block:
        found = _ITEM.match(line.strip())
        if found and not line.startswith("   "):
            items.append(found[1])
        else:
            items[-1] += f" {line.strip()}"
    kind = "ol" if block[0].strip()[0].isdigit() else "ul"
    return f"<{kind}>{''.join(f'<li>{inline(item)}</li>' for item in items)}</{kind}>"


def _table(block: Sequence[str]) -> str:
    head, *rows = [_cells(line) for line in block if not _RULE.fullmatch(line)]
    top = "".join(f'<th scope="col">{inline(cell)}</th>' for cell in head)
    body = "".join(f"<tr>{''.join(f'<td>{inline(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f'<div class="scroll" tabindex="0"><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>'


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def inline(text: str) -> str:
    """One line with its code, links and emphasis."""
    parts, end = [], 0
    for found in _INLINE.finditer(text):
        parts += [escape(text[end : found.start()]), _FORMS[found.lastgroup or "url"](found)]
        end = found.end()
    return "".join([*parts, escape(text[end:])])


def _link(found: re.Match[str]) -> str:
    target = found["target"]
    if target.startswith(("https://", "http://")):
        return f'<a href="{escape(target)}" rel="noreferrer noopener">{inline(found["text"])}</a>'
    is_page = re.fullmatch(r"(?:\.\./)?(?:[\w-]+/)?[\w-]+\.md", target)
    return f'<a href="{escape(target[:-3])}.html">{inline(found["text"])}</a>' if is_page else inline(found["text"])


_FORMS: Final[dict[str, Callable[[re.Match[str]], str]]] = {
    "code": lambda found: f"<code>{escape(found['code'])}</code>",
    "bold": lambda found: f"<strong>{escape(found['bold'])}</strong>",
    "target": _link,
    "url": lambda found: f'<a href="{escape(found["url"])}" rel="noreferrer noopener">{escape(found["url"])}</a>',
}
