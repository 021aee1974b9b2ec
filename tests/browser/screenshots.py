"""The pictures of the README, made from sample logs: `python -m tests.browser.screenshots` writes them to docs/images.

Report (light, dark, on a phone), index and comparison, drawn by the commands that the README names; a LOG, a FOLDER and a
GOOD log to compare with may be named instead. Look at each picture before it is committed. `shown.txt` beside them keeps the
words that stand in what was pictured: `tests/test_site.py` holds them against today's pages, so a picture cannot grow old unseen.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from tests.browser.chromium import Page

ROOT: Final = Path(__file__).resolve().parents[2]
IMAGES: Final = ROOT / "docs" / "images"
LOG: Final = Path("sample_logs/hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log")
GOOD: Final = Path("sample_logs/hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3/run.log")
SHOWN: Final = "shown.txt"
UNSEEN: Final = ("script", "style", "head", "svg")
UPPER: Final = 70
"""Pieces of text of each page that a picture shows, roughly."""
REPORTS: Final = (("report-light", 1200, 1500, False), ("report-dark", 1200, 1500, True), ("report-phone", 380, 1200, False))


def main(log: Path = LOG, folder: Path = IMAGES, good: Path = GOOD) -> None:
    """Draws the pages and writes their pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as made, Page() as page:
        report, index, comparison = drawn(Path(made), log, good)
        (folder / SHOWN).write_text(shown((report, index, comparison)), "utf-8")
        for name, width, height, dark in REPORTS:
            page.open(report, width=width, height=height, dark=dark)
            page.wait("document.getElementById('charts').dataset.drawn === 'true'")
            page.screenshot(folder / f"{name}.png", whole=False)
        for name, path, height in (("index", index, 1000), ("compare", comparison, 1000)):
            page.open(path, width=1280, height=height)
            page.screenshot(folder / f"{name}.png", whole=False)


def drawn(folder: Path, log: Path = LOG, good: Path = GOOD) -> tuple[Path, Path, Path]:
    """The report, the index and the comparison that are pictured, drawn now."""
    report, pages, comparison = folder / "report.html", folder / "pages", folder / "compare.html"
    _analyze(log, "--html", report)
    _analyze("scan", log.parent.parent, "--cache", "off", "--html", pages)
    _analyze("compare", good, log, "--html", comparison)
    return report, pages / "index.html", comparison


def shown(pages: tuple[Path, ...]) -> str:
    """The words in the upper part of each page, a line each."""
    parts = []
    for page in pages:
        words = _Words()
        words.feed(page.read_text("utf-8"))
        parts += [f"# {page.name}", *words.found[:UPPER], ""]
    return "\n".join(parts)


class _Words(HTMLParser):
    """The text of a page's body, without that of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in UNSEEN

    def handle_endtag(self, tag: str) -> None:
        self._unseen -= tag in UNSEEN

    def handle_data(self, data: str) -> None:
        if data.strip() and not self._unseen:
            self.found.append(" ".join(data.split()))


def _analyze(*arguments: str | Path) -> None:
    """Runs the command in the project's folder, whatever it finds."""
    environment = {**os.environ, "NO_COLOR": "1"}
    subprocess.run([sys.executable, "-m", "analyzer", *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True)


if __name__ == "__main__":
    main(*(Path(argument) for argument in sys.argv[1:]))
