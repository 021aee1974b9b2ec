"""What stands in a log is data for whatever the report is read with: terminals, browsers, Markdown, CI, chats, metrics."""

from __future__ import annotations

import html.parser
import json
import re
import urllib.request
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from analyzer.live import webhook
from tests.hostile.running import SAMPLE, inside

EVIL = (
    "\x1b[31m\x1b]0;title\x07\x1b]8;;http://evil.example\x07link\x1b\\\x9b2J\x00\x08\u202e"
    "</script><script>alert(1)</script><img src=x onerror=alert(1)>]]>&xxe; [x](javascript:alert(1)) ![](http://evil.example/p.png)"
    " | `code` ``` <!channel> <at user_id=\"all\"></at> @everyone =cmd|'/C calc'!A0 {{7*7}} {% raw %} %(x)s {0.__class__}"
)
LOG = (
    "".join(
        f"{{'loss': {2 - step / 50}, 'grad_norm': 1.5, 'learning_rate': 0.001, 'epoch': {step / 10}}}\n" for step in range(1, 40)
    )
    + f'Traceback (most recent call last):\n  File "/x/{EVIL}.py", line 3, in <module>\nRuntimeError: {EVIL}\n'
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "<img src=x onerror=alert(2)>.log"
    path.write_text(LOG, "utf-8")
    return path


def controls(text: str) -> set[str]:
    return {char for char in text if (ord(char) < 32 and char != "\n") or 127 <= ord(char) < 160 or char == "\u202e"}


def test_a_terminal_obeys_nothing(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ((str(log),), ("scan", str(log.parent), "--cache", "off", "-j", "1"), (str(log), "--lang", "zh"),
                      ("compare", str(SAMPLE), str(log)), ("audit", str(log))):  # fmt: skip
        found = inside(capsys, *arguments)
        assert not controls(found.out + found.err), arguments


def test_json_holds_it_as_text(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(inside(capsys, str(log), "--format", "json").out)
    assert any("RuntimeError" in evidence["text"] for finding in document["findings"] for evidence in finding["evidence"])


def test_markdown_holds_no_live_markup(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = inside(capsys, str(log), "--format", "markdown").out
    assert not controls(text)
    fences = len(re.findall(r"^ {0,3}(`{3,}|~{3,})", text, re.MULTILINE))
    assert fences % 2 == 0
    outside = re.sub(r"^ {0,3}(`{3,}).*?^ {0,3}\1`*$", "", text, flags=re.MULTILINE | re.DOTALL)
    outside = re.sub(r"(`+)(?!`).*?(?<!`)\1(?!`)", "", outside)
    for live in ("<script", "<img", "](javascript", "![]("):
        assert live not in outside.replace("\\<", "").replace("\\[", "").replace("\\]", ""), outside


class Tags(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.bad: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name.startswith("on") or "javascript:" in (value or "").lower() or (name == "src" and "evil" in (value or "")):
                self.bad.append(f"{tag} {name}")
        if tag in ("iframe", "object", "embed", "base", "form") or (tag == "img" and ("src", "x") in attrs):
            self.bad.append(tag)


def test_html_runs_nothing_of_it(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = tmp_path / "plain" / "run.log"
    plain.parent.mkdir()
    plain.write_text(LOG.replace(EVIL, "nothing"))
    counts = []
    for path in (log, plain):
        page = tmp_path / "page.html"
        inside(capsys, str(path), "-o", str(page))
        tags = Tags()
        tags.feed(page.read_text("utf-8"))
        assert not tags.bad
        counts.append(tags.scripts)
    assert counts[0] == counts[1]
    inside(capsys, "scan", str(log.parent), "--cache", "off", "-j", "1", "--html", str(tmp_path / "pages"))
    for page in (tmp_path / "pages").glob("*.html"):
        tags = Tags()
        tags.feed(page.read_text("utf-8"))
        assert not tags.bad, page


def test_junit_is_xml_and_sarif_is_json(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, sarif = tmp_path / "out.xml", tmp_path / "out.sarif"
    inside(capsys, "scan", str(log), "--cache", "off", "-j", "1", "--junit", str(junit), "--sarif", str(sarif))
    case = ElementTree.parse(junit).getroot().find(".//testcase")
    assert case is not None and "<script>" in ElementTree.tostring(case, "unicode", method="text")
    assert "<!DOCTYPE" not in junit.read_text("utf-8")
    places = [
        location["physicalLocation"]["artifactLocation"]["uri"]
        for result in json.loads(sarif.read_text("utf-8"))["runs"][0]["results"]
        for location in result["locations"]
    ]
    assert places and not any(char in place for place in places for char in '<>" \n')


@pytest.mark.parametrize("form", ["slack", "feishu", "dingtalk", "json"])
def test_a_message_calls_nobody(form: webhook.Form) -> None:
    body = json.dumps(webhook.body(form, EVIL, {}), ensure_ascii=False)
    if form in ("slack", "feishu"):
        assert "<!channel>" not in body and "<at " not in body
    assert json.loads(body) == webhook.body(form, EVIL, {}) and "\x1b" not in body
    request = urllib.request.Request("http://localhost/", body.encode(), {"Content-Type": "application/json"})
    assert "evil" not in str(request.header_items())


def test_metrics_keep_to_their_lines() -> None:
    from analyzer.live import prometheus

    made = prometheus._label('a"} 1\nevil{x="\\')
    assert "\n" not in made and re.fullmatch(r'(?:[^"\\\n]|\\["\\n])*', made)


SPOILED = {
    "summary",
    "title",
    "mechanism",
    "text",
    "note",
    "source",
    "file",
    "name",
    "reason",
    "ask",
    "confirm_by",
    "reader",
    "path",
}


def spoiled(value: object, key: str = "") -> object:
    if isinstance(value, dict):
        return {name: spoiled(item, name) for name, item in value.items()}
    if isinstance(value, list):
        return [spoiled(item, key) for item in value]
    return EVIL if key in SPOILED and isinstance(value, str) else value


def test_a_saved_document_is_as_harmless(log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = tmp_path / "saved.json"
    inside(capsys, str(log), "-o", str(saved), "--no-redact")
    saved.write_text(json.dumps(spoiled(json.loads(saved.read_text("utf-8")))), "utf-8")
    found = inside(capsys, "render", str(saved))
    assert found.code == 0 and not controls(found.out + found.err)
    page = tmp_path / "page.html"
    assert inside(capsys, "render", str(saved), "-o", str(page)).code == 0
    tags = Tags()
    tags.feed(page.read_text("utf-8"))
    assert not tags.bad
