"""The page as text: self-contained, allowed by digest, hostile text as text, everything a reader needs in it."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from analyzer.output import html
from analyzer.output.index import Row, index_row
from analyzer.output.redact import redact
from tests.output import diagnoses

ALL = (diagnoses.rich, diagnoses.healthy, diagnoses.crash, diagnoses.empty, diagnoses.hostile)


class Reader(HTMLParser):
    """Tags, attributes, texts and the raw contents of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, dict[str, str | None], str]] = []
        self.text: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = tag

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    def handle_data(self, data: str) -> None:
        if self._open in ("script", "style"):
            self.raw.append((self._open, self.tags[-1][1], data))
        else:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())


def without_library(page: str) -> str:
    return page if len(page) < 4_000_000 else re.sub(r"<script>/\*\*\n\* plotly\.js.*", "</body>", page, flags=re.DOTALL)


def read(make, lang: str = "en") -> Reader:
    return Reader(without_library(html.render(make(), lang)))


@pytest.mark.parametrize("make", ALL)
def test_only_our_own_scripts_may_run_and_nothing_is_loaded(make) -> None:
    page = html.render(make())
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', page)
    assert policy is not None
    rules = policy[1].replace("&#39;", "'")
    assert "default-src 'none'" in rules and "unsafe" not in rules and "http" not in rules
    for kind, body in re.findall(r"<(script|style)>(.*?)</\1>", page, flags=re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
        assert f"{kind}-src" in rules and f"'sha256-{digest}'" in rules
    reader = Reader(without_library(page))
    for tag, attributes in reader.tags:
        assert not any(name.startswith("on") or name == "style" for name in attributes), (tag, attributes)
        assert "src" not in attributes
        assert tag not in ("link", "iframe", "object", "embed", "form", "img", "base")


def test_links_lead_to_sources_only() -> None:
    for tag, attributes in read(diagnoses.hostile).tags:
        if tag == "a":
            assert str(attributes["href"]).startswith(("#", "https://", "http://"))


def test_hostile_text_is_text_everywhere() -> None:
    page = without_library(html.render(diagnoses.hostile()))
    assert "<script>alert" not in page and "<img" not in page and "{{ 7*7 }}" in Reader(page).words
    assert "49" not in Reader(page).words.replace("4,9", "")
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2028\ud800-\udfff]", page)
    page.encode("utf-8")


def test_every_anchor_exists_once() -> None:
    for make in ALL:
        reader = read(make)
        ids = [attributes["id"] for _, attributes in reader.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        for tag, attributes in reader.tags:
            if tag == "a" and str(attributes["href"]).startswith("#"):
                assert str(attributes["href"])[1:] in ids


def test_top_to_bottom_it_tells_the_story() -> None:
    words = read(diagnoses.rich).words
    order = [
        "FAILED", "loss is exactly 0 from step 38", "DeepSpeed ZeRO-2 overlap race", 'Set "overlap_comm": false', "The picture",
        "43 not finite", "Why", "deepspeed is in >=0.12.4,<0.14.3", "not so: the loss scale was falling before",
        "more than one GPU took part", "nvidia-smi -L", "Learning rate too high", "What to do", "The run that settles it",
        "Charts", "What happened, in order", "Findings", "▸ 112", "Environment", "NVIDIA A100", "What could not be judged",
        "torch.cuda.max_memory_allocated", "About this report", "sha256:abab", "Reproduce", "analyze run.log -o report.html",
    ]  # fmt: skip
    at = 0
    for part in order:
        assert part in words[at:], part
        at = words.index(part, at)


def test_evidence_stands_in_its_context_and_is_quoted_once() -> None:
    page = without_library(html.render(diagnoses.rich()))
    first = page.split('id="f0"')[1].split("</article>")[0]
    assert len(re.findall(r'<span class="line', first)) == 12, "eleven lines around 112, and line 154"
    second = page.split('id="f1"')[1].split("</article>")[0]
    assert "quoted above" in second and len(re.findall(r'<span class="line', second)) == 1


def test_given_facts_are_marked_and_diffs_can_be_pasted() -> None:
    page = html.render(diagnoses.rich())
    assert ">given</span>" in page
    assert '<span class="del">-  &#34;overlap_comm&#34;: true\n</span>' in page
    assert '<span class="add">+  &#34;overlap_comm&#34;: false\n</span>' in page


def test_redaction_is_reported() -> None:
    cleaned, taken = redact(diagnoses.rich())
    assert "user names (" in Reader(without_library(html.render(cleaned, redacted=taken))).words
    assert "none found" in Reader(without_library(html.render(cleaned, redacted=[]))).words
    assert "Not redacted" in read(diagnoses.rich).words


@pytest.mark.parametrize("make", ALL)
def test_chinese_pages_render(make) -> None:
    reader = read(make, "zh")
    assert ("html", {"lang": "zh-CN"}) in reader.tags
    assert "关于这份报告" in reader.words


def test_the_page_is_small_and_quick_and_always_the_same() -> None:
    html.render(diagnoses.rich())
    started = time.process_time()
    page = html.render(diagnoses.rich())
    assert time.process_time() - started < 0.25
    assert len(without_library(page)) < 300_000
    assert page == html.render(diagnoses.rich())


def test_pages_of_a_folder_can_share_the_library() -> None:
    page = html.render(diagnoses.rich(), shared_bundle=True)
    assert len(page) < 300_000 and f'<script src="{html.BUNDLE_NAME}">' in page
    assert html.bundle() is not None


def rows(count: int) -> list[Row]:
    made = [index_row(f"runs/{name}/run.log", f"{name}.html", make()) for name, make in
            (("a", diagnoses.rich), ("b", diagnoses.healthy), ("c", diagnoses.crash))]  # fmt: skip
    return [*made, index_row("runs/d/run.log", "", None, "runs/d/run.log is empty: nothing can be judged.")] * count


def test_the_index_counts_groups_and_links() -> None:
    reader = Reader(html.render_index(rows(2)))
    words = reader.words
    for part in ("8 runs", "4 FAILED", "2 HEALTHY", "2 NOT JUDGED", "DeepSpeed ZeRO-2 overlap race", "no known cause",
                 "all with deepspeed 0.14.0", "loss is exactly 0", "80 / 5,198", "is empty: nothing can be judged"):  # fmt: skip
        assert part in words, part
    links = [attributes["href"] for tag, attributes in reader.tags if tag == "a"]
    assert links == ["a.html", "b.html", "c.html"] * 2


def test_an_index_of_hostile_and_of_no_runs() -> None:
    page = html.render_index([index_row(diagnoses.HOSTILE, "a.html", diagnoses.hostile())])
    assert "<script>alert" not in page and "<img" not in page
    assert "No runs were found." in html.render_index([])
    assert "没有找到训练日志" in html.render_index([], "zh")


@pytest.mark.parametrize(("count", "is_open"), [(40, True), (41, False)])
def test_a_long_list_of_packages_is_folded(count: int, is_open: bool) -> None:
    one = diagnoses.healthy()
    page = html.render(replace(one, run=replace(one.run, packages={f"p{i}": "1.0" for i in range(count)})))
    assert f"<details{' open' if is_open else ''}><summary>Packages ({count})" in page
