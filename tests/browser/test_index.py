"""The batch index in a real browser: thousands of rows at once, sorted and filtered without a server."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from analyzer.output import html
from analyzer.output.index import Row, index_row
from tests.browser.chromium import Page
from tests.browser.test_report import AXE
from tests.output import diagnoses

pytestmark = pytest.mark.browser
SHOWN = "document.getElementById('shown').textContent"
FIRST = "[...document.querySelectorAll('.runs tbody tr.on')].slice(0, 3).map(r => r.cells[0].innerText)"


def rows(count: int) -> list[Row]:
    makers = (diagnoses.rich, diagnoses.healthy, diagnoses.crash, diagnoses.empty, diagnoses.hostile)
    made = [index_row("", "page.html", make()) for make in makers]
    return [replace(made[i % 5], path=f"runs/{i:05d}/run.log", duration=float((i * 7919) % 10007)) for i in range(count)]


@pytest.fixture(scope="session")
def index(folder: Path) -> Path:
    path = folder / "index.html"
    path.write_text(html.render_index(rows(5000)), "utf-8")
    return path


def test_five_thousand_rows_open_and_sort_at_once(page: Page, index: Path) -> None:
    started = time.monotonic()
    page.open(index)
    page.js("document.body.offsetHeight")
    opening = time.monotonic() - started
    assert page.errors == []
    assert page.js(SHOWN) == "300 of 5000 shown"
    started = time.monotonic()
    page.js("document.querySelectorAll('[data-sort]')[6].click(); document.body.offsetHeight")
    assert time.monotonic() - started < 5
    assert opening < 10, "two seconds on a quiet machine"


def test_sorting_goes_both_ways_and_empty_cells_stay_last(page: Page, index: Path) -> None:
    page.open(index)
    button = "document.querySelectorAll('[data-sort]')[3]"
    values = "[...document.querySelectorAll('.runs tbody tr.on')].map(r => r.cells[3].dataset.v).slice(0, 3)"
    page.js(f"{button}.click()")
    assert page.js(f"{button}.closest('th').getAttribute('aria-sort')") == "ascending"
    assert page.js(values) == ["38", "38", "38"]
    page.js(f"{button}.click()")
    assert page.js(values) == ["38", "38", "38"]


def test_filters_join(page: Page, index: Path) -> None:
    page.open(index)
    page.js("{ const f = document.getElementById('filter'); f.value = '0001'; f.dispatchEvent(new Event('input')); }")
    assert page.js(SHOWN) == "11 of 5000 shown"
    page.js("{ const v = document.getElementById('verdicts'); v.value = 'healthy'; v.dispatchEvent(new Event('change')); }")
    assert page.js(SHOWN) == "3 of 5000 shown"
    assert page.js(FIRST) == ["00001/run.log", "00011/run.log", "00016/run.log"]


def test_a_group_shows_its_runs_and_lets_go(page: Page, index: Path) -> None:
    page.open(index)
    button = "document.querySelector('[data-group=\"ds-zero12-overlap-multirank\"]')"
    page.js(f"{button}.click()")
    assert page.js(f"{button}.getAttribute('aria-pressed')") == "true"
    assert page.js("[...document.querySelectorAll('tr.on')].every(r => r.dataset.cause === 'ds-zero12-overlap-multirank')")
    page.js(f"{button}.click()")
    assert page.js(SHOWN) == "300 of 5000 shown"


@pytest.mark.parametrize("width", [380, 1400])
def test_nothing_scrolls_sideways_and_hostile_text_is_text(page: Page, folder: Path, width: int) -> None:
    path = folder / "small.html"
    path.write_text(html.render_index(rows(25)), "utf-8")
    page.open(path, width=width)
    assert page.js("document.documentElement.scrollWidth") <= width
    assert page.errors == []
    assert page.js("document.querySelectorAll('img').length") == 0


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [380, 1400])
def test_axe_finds_no_violation(page: Page, folder: Path, axe: str, dark: bool, width: int) -> None:
    path = folder / "axe.html"
    path.write_text(html.render_index(rows(25)), "utf-8")
    page.open(path, dark=dark, width=width)
    page.js(axe + ";0")
    assert page.js(AXE) == []


def test_without_scripts_all_rows_are_there(page: Page, folder: Path) -> None:
    path = folder / "noscript.html"
    path.write_text(html.render_index(rows(400)), "utf-8")
    page.open(path, scripts=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    assert page.js("[...document.querySelectorAll('.runs tbody tr')].filter(r => r.offsetParent !== null).length") == 400
