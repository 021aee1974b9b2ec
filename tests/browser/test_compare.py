"""The comparison of two runs in a real browser: quiet, without scripts, narrow, in both languages, for everybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import Options
from analyzer.compare import compare, side
from analyzer.output import comparison_html
from tests.browser.chromium import Page
from tests.browser.test_report import AXE
from tests.samples import FOLDER

pytestmark = pytest.mark.browser
GOOD = FOLDER / "hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3"
BAD = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12"


@pytest.fixture(scope="session")
def compared(folder: Path) -> dict[str, Path]:
    options = Options()
    found = compare(side(str(GOOD), options), side(str(BAD), options), options)
    made = {lang: folder / f"compare-{lang}.html" for lang in ("en", "zh")}
    for lang, path in made.items():
        path.write_text(comparison_html.render(found, lang), "utf-8")
    return made


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_opens_without_a_complaint_or_a_request(page: Page, compared: dict[str, Path], lang: str) -> None:
    page.open(compared[lang])
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith("data:")] == [compared[lang].resolve().as_uri()]
    assert page.js("document.querySelectorAll('.overlay svg path.good').length") >= 2
    assert "34" in page.js("document.querySelector('h1').innerText")


@pytest.mark.parametrize("how", [{}, {"width": 390}, {"dark": True}])
def test_no_page_wider_than_the_window_and_no_barrier(
    page: Page, compared: dict[str, Path], how: dict[str, object], axe: str
) -> None:
    page.open(compared["en"], **how)
    assert page.js("document.documentElement.scrollWidth <= window.innerWidth") is True
    page.js(axe + ";0")
    assert page.js(AXE) == []
