"""Screenshots for the README: `python -m tests.browser.screenshots LOG FOLDER` draws the report of a log, light, dark and on
a phone, and an index of the logs beside it. Look at each before it is committed."""

from __future__ import annotations

import sys
from pathlib import Path

from analyzer.diagnosis import diagnose
from analyzer.output import html
from analyzer.output.index import index_row
from analyzer.output.redact import redact
from tests.browser.chromium import Page

SHOTS = (("report-light", 1280, 1500, False), ("report-dark", 1280, 1500, True), ("report-phone", 380, 1500, False))


def main(log: Path, folder: Path) -> None:
    """Writes the pages and their pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "report.html"
    diagnosis, taken = redact(diagnose(log))
    report.write_text(html.render(diagnosis, redacted=taken), "utf-8")
    logs = sorted(log.parent.parent.glob("*/run.log"))
    index = folder / "index.html"
    rows = [index_row(f"{one.parent.name}/run.log", "report.html", redact(diagnose(one))[0]) for one in logs]
    index.write_text(html.render_index(rows), "utf-8")
    with Page() as page:
        for name, width, height, dark in SHOTS:
            page.open(report, width=width, height=height, dark=dark)
            page.wait("document.getElementById('charts').dataset.drawn === 'true'")
            page.screenshot(folder / f"{name}.png", whole=False)
        page.open(index, width=1280, height=900)
        page.screenshot(folder / "index.png", whole=False)
    for written in (report, index):
        written.unlink()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
