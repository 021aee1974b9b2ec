"""The post-mortem in a real browser: drawn, linked, quiet, narrow, dark, without scripts, for everybody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from analyzer.output import html
from tests.browser.chromium import Page
from tests.output import diagnoses

pytestmark = pytest.mark.browser
MAKERS = {"rich": diagnoses.rich, "healthy": diagnoses.healthy, "crash": diagnoses.crash, "hostile": diagnoses.hostile}
DRAWN = "document.getElementById('charts').dataset.drawn === 'true'"
AXE = "axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v => v.id + ': ' + v.nodes.map(n => n.html.slice(0, 120)).join(' | ')))"


def written(folder: Path, name: str, lang: str = "en", **options: Any) -> Path:
    path = folder / f"{name}-{lang}{'-shared' if options else ''}.html"
    if not path.exists():
        path.write_text(html.render(MAKERS[name](), lang, **options), "utf-8")
    return path


def opened(page: Page, path: Path, **how: Any) -> None:
    page.open(path, **how)
    if how.get("scripts", True) and page.js("!!document.getElementById('charts')"):
        page.wait(DRAWN)


def middle(page: Page, axis: str) -> tuple[float, float, float]:
    """(left, right, middle height) of a panel in the window."""
    page.js("document.getElementById('charts').scrollIntoView({block: 'start', behavior: 'instant'})")
    values = page.js(
        "(() => { const g = document.getElementById('charts'), l = g._fullLayout, b = g.getBoundingClientRect();"
        f" const y = l.{axis}, x = l.xaxis;"
        " return [b.left + x._offset, b.left + x._offset + x._length, b.top + y._offset + y._length / 2]; })()"
    )
    return values[0], values[1], values[2]


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_it_opens_without_a_complaint_or_a_request(page: Page, folder: Path, name: str, lang: str) -> None:
    path = written(folder, name, lang)
    opened(page, path)
    assert page.errors == []
    assert [url for url in page.requests if not url.startswith("data:")] == [path.resolve().as_uri()]


def test_hostile_text_runs_nothing_and_changes_nothing(page: Page, folder: Path) -> None:
    opened(page, written(folder, "hostile"))
    assert page.js("document.querySelectorAll('img, iframe, object, form').length") == 0
    assert page.js("document.querySelectorAll('script').length") == 3
    assert page.js("document.body.innerText.includes('<script>alert(1)</script>')") is True


def test_the_charts_are_drawn_with_what_is_not_finite(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    assert page.js("document.querySelectorAll('#charts .scatterlayer .trace').length") >= 6
    assert page.js(
        "[...document.querySelectorAll('#charts .scatterlayer .trace')].some(t => t.querySelectorAll('.point').length === 43)"
    )
    assert page.js("document.querySelectorAll('#charts .shapelayer path').length") >= 4


def test_zooming_one_panel_zooms_all_and_the_button_goes_back(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    left, right, height = middle(page, "yaxis2")
    whole = page.js("document.getElementById('charts')._fullLayout.xaxis.range.slice()")
    page.drag((left + (right - left) * 0.4, height), (left + (right - left) * 0.6, height))
    page.wait(f"Math.abs(document.getElementById('charts')._fullLayout.xaxis.range[0] - {whole[0]}) > 5")
    anchors = page.js("document.getElementById('charts')._fullLayout._subplots.cartesian")
    assert len(anchors) == 4 and all(subplot.startswith("xy") for subplot in anchors), "every panel hangs on the one step axis"
    page.js("document.querySelector('[data-act=reset]').click()")
    page.wait(f"Math.abs(document.getElementById('charts')._fullLayout.xaxis.range[0] - ({whole[0]})) < 1e-6")


def test_a_click_on_a_point_leads_to_its_evidence(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    left, right, height = middle(page, "yaxis2")
    place = page.js(
        "(() => { const g = document.getElementById('charts'), x = g._fullLayout.xaxis;"
        " return g.getBoundingClientRect().left + x._offset + x.d2p(38); })()"
    )
    assert left < place < right
    page.click(place, height)
    page.wait("document.activeElement.id.endsWith('-112')")
    assert page.js("document.activeElement.closest('article').classList.contains('lit')")
    page.wait(
        "(() => { const r = document.activeElement.getBoundingClientRect(); return r.top >= 0 && r.bottom <= innerHeight; })()"
    )


def test_a_line_number_links_to_itself(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    page.js("document.querySelector('#f0 a.no').click()")
    target = page.js("location.hash.slice(1)")
    assert page.js(f"document.getElementById('{target}').matches(':target')")


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("width", [320, 380, 768, 1280, 2560])
def test_nothing_scrolls_sideways(page: Page, folder: Path, name: str, width: int) -> None:
    opened(page, written(folder, name), width=width)
    assert page.js("document.documentElement.scrollWidth") <= width


def test_dark_follows_the_system_and_the_button_turns_it_round(page: Page, folder: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    opened(page, written(folder, "rich"), dark=False)
    light = page.js(ground)
    opened(page, written(folder, "rich"), dark=True)
    dark = page.js(ground)
    assert light != dark
    line = "getComputedStyle(document.querySelector('#charts .js-line')).stroke"
    before = page.js(line)
    page.js("document.querySelector('[data-act=theme]').click()")
    assert page.js(ground) == light
    page.wait(f"{line} !== '{before}'")


def test_without_scripts_it_still_tells_the_story(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"), scripts=False)
    page.call("Emulation.setScriptExecutionDisabled", value=False)
    words = page.js("document.body.innerText")
    for part in ("loss is exactly 0 from step 38", "DeepSpeed ZeRO-2 overlap race", "deepspeed is in", "What happened, in order"):
        assert part in words
    assert page.js("document.querySelectorAll('.overview .curve').length") == 3
    assert page.js("[...document.querySelectorAll('button')].every(b => b.offsetParent === null)")


def test_the_copied_diff_is_what_one_pastes(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    page.js("navigator.clipboard.writeText = text => { window.copied = text; return Promise.resolve(); }")
    page.js("document.querySelector('.snippet button').click()")
    page.wait("window.copied !== undefined")
    assert page.js("window.copied") == '"zero_optimization": {\n  "overlap_comm": false\n}'
    page.js("window.copied = undefined; document.querySelector('[data-act=markdown]').click()")
    page.wait("window.copied !== undefined")
    assert page.js("window.copied").startswith("**FAILED** loss is exactly 0")


def test_it_prints_and_the_folded_parts_open(page: Page, folder: Path, tmp_path: Path) -> None:
    opened(page, written(folder, "rich"))
    page.pdf(tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")
    assert page.js("[...document.querySelectorAll('details')].every(d => d.open)")


def test_the_keyboard_reaches_everything(page: Page, folder: Path) -> None:
    opened(page, written(folder, "rich"))
    page.call("Input.dispatchKeyEvent", type="keyDown", key="Tab", code="Tab", windowsVirtualKeyCode=9)
    assert page.js("document.activeElement.className") == "skip"
    assert page.js("[...document.querySelectorAll('[tabindex]')].every(e => e.tabIndex <= 0)")


@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation(page: Page, folder: Path, axe: str, name: str, dark: bool) -> None:
    opened(page, written(folder, name), dark=dark)
    page.js(axe + ";0")
    assert page.js(AXE) == []


def test_a_shared_library_beside_the_page_is_enough(page: Page, folder: Path) -> None:
    library = html.bundle()
    assert library is not None
    (folder / html.BUNDLE_NAME).write_text(library, "utf-8")
    opened(page, written(folder, "rich", shared_bundle=True))
    assert page.errors == []
