"""Reports are the same bytes whether their templates were compiled beforehand or are compiled now."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from analyzer import diagnose
from analyzer.output import compiled, html
from tests.samples import FOLDER

LOG = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log"
TEMPLATES = Path(html.__file__).resolve().parents[2] / "templates"


@pytest.fixture
def templates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A copy of the templates, and the environment made anew for it."""
    place = tmp_path / "templates"
    shutil.copytree(TEMPLATES, place, ignore=shutil.ignore_patterns("compiled"))
    monkeypatch.setattr(html, "_FOLDERS", (place, tmp_path / "none"))
    html._environment.cache_clear()
    yield place
    html._environment.cache_clear()


def kind() -> str:
    return type(html._environment("en").loader).__name__


def test_compiled_templates_draw_the_same_bytes(templates: Path) -> None:
    found = diagnose(LOG)
    assert kind() == "FileSystemLoader"
    plain = [html.render(found, lang) for lang in ("en", "zh")]
    html.compile_templates(templates / compiled.FOLDER)
    html._environment.cache_clear()
    assert kind() == "ModuleLoader"
    assert [html.render(found, lang) for lang in ("en", "zh")] == plain


def test_all_templates_are_compiled_and_twice_to_the_same_bytes(templates: Path, tmp_path: Path) -> None:
    once, again = (html.compile_templates(tmp_path / name) for name in ("one", "two"))
    assert [path.name for path in once] == [path.name for path in again]
    assert [path.read_bytes() for path in once] == [path.read_bytes() for path in again]
    assert len(once) == 1 + len(list(templates.glob("**/*.j2")))


def test_a_template_that_was_changed_since_is_taken_as_it_is(templates: Path) -> None:
    html.compile_templates(templates / compiled.FOLDER)
    page = templates / "report.html.j2"
    page.write_text(page.read_text("utf-8") + "<!-- changed -->", "utf-8")
    html._environment.cache_clear()
    assert kind() == "FileSystemLoader"
    assert "<!-- changed -->" in html.render(diagnose(LOG))


def test_what_another_jinja_compiled_is_not_used(templates: Path) -> None:
    html.compile_templates(templates / compiled.FOLDER)
    stamp = templates / compiled.FOLDER / compiled.STAMP
    stamp.write_text(stamp.read_text("utf-8").replace("jinja2 3", "jinja2 2"), "utf-8")
    html._environment.cache_clear()
    assert kind() == "FileSystemLoader"
