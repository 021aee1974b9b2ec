"""The knowledge base as pages: every rule and cause has one, every link leads somewhere, and two renderings are equal."""

from __future__ import annotations

import re
from pathlib import Path

from analyzer.cause import load_for_weighing
from analyzer.knowledge import html_pages, main, pages
from analyzer.output import prose
from analyzer.rule import load


def test_every_rule_and_cause_has_a_page_and_every_link_leads_somewhere() -> None:
    made = dict(pages())
    assert {f"causes/{one.id}.md" for one in load_for_weighing()} <= set(made)
    assert {f"rules/{one.id}.md" for one in load() if one.text} <= set(made)
    for name, text in made.items():
        for target in re.findall(r"\]\(((?!https?:)[^)\s]+\.md)\)", text):
            path = (Path("/x") / name).parent / target
            assert str(Path(*[p for p in path.parts if p]).resolve().relative_to("/x")) in made, (name, target)


def test_the_index_names_packages_and_kinds() -> None:
    index = dict(pages())["index.md"]
    assert "[ds-zero12-overlap-multirank](causes/ds-zero12-overlap-multirank.md)" in index
    assert "- deepspeed: " in index
    assert "How to read a log" in index


def test_a_rule_lists_the_causes_it_leads_to() -> None:
    assert "(../causes/ds-zero12-overlap-multirank.md)" in dict(pages())["rules/loss-zero.md"]


def test_pages_are_the_same_each_time_and_written_by_a_command(tmp_path: Path, capsys) -> None:
    assert list(pages()) == list(pages())
    assert main([str(tmp_path / "docs")]) == 0
    assert len(list((tmp_path / "docs").rglob("*.md"))) == len(dict(pages()))
    assert main([]) == 2
    assert main(["--help"]) == 2
    (tmp_path / "file").write_text("", "utf-8")
    assert main([str(tmp_path / "file")]) == 2
    assert "cannot be written" in capsys.readouterr().err


def test_the_site_has_the_same_pages_and_its_links_lead_somewhere() -> None:
    made = dict(html_pages())
    assert {name.removesuffix(".html") for name in made} == {name.removesuffix(".md") for name in dict(pages())}
    for name, text in made.items():
        assert "<script" not in text
        for target in re.findall(r'href="((?!https?:)[^"]+)"', text):
            assert str(((Path("/x") / name).parent / target).resolve().relative_to("/x")) in made, (name, target)


def test_prose_escapes_what_it_does_not_know() -> None:
    text = "# A `b` <c>\n\nOne\ntwo **three** [x](../causes/a-b.md) [y](javascript:alert) https://a.org/b_(c).\n\n- one\n  more\n- `<i>`\n\n```log\n<b>\n```\n\n| a | b |\n|---|---|\n| 1 \\| 2 | <u> |\n"
    made = prose.html(text)
    assert "<h1>A <code>b</code> &lt;c&gt;</h1>" in made
    assert '<strong>three</strong> <a href="../causes/a-b.html">x</a> y' in made
    assert "<ul><li>one more</li><li><code>&lt;i&gt;</code></li></ul>" in made
    assert "<td>1 | 2</td><td>&lt;u&gt;</td>" in made
    assert not re.search("<[biu]>", made)
