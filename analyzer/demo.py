"""`analyze demo`: the first thing that a newcomer sees. Diagnoses a run that ships with the package, and keeps its report.

The run is real (its provenance: sample_logs/README.md): a bf16 model under ZeRO-2 whose gradients turn NaN at step 34.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from analyzer.errors import NOTHING, AnalyzerError

RUN: Final = "nanfrom-ds0.14.5-z2-bf16-hf444-s12"
_HERE: Final = Path(__file__).resolve().parent
_PLACES: Final = (_HERE / "sample", _HERE.parent / "sample_logs" / "hf-deepspeed" / RUN)
"""In an installed package, in a checkout."""


def folder() -> Path:
    """Where the shipped run lies."""
    for place in _PLACES:
        if (place / "run.log").is_file():
            return place
    raise AnalyzerError("the sample of the demo is missing: install nanalyze again.", NOTHING)


def run(html: Path, browser: bool, lang: str) -> int:
    """Prints the diagnosis, writes the report to `html` and, with `browser`, opens it."""
    from analyzer.job import Request
    from analyzer.job import run as work

    log = folder() / "run.log"
    print(f"$ analyze {log} --html {html}\n", flush=True)
    code = work(Request((str(log),), html=html, lang=lang))
    if browser:
        import webbrowser

        if not webbrowser.open(html.resolve().as_uri()):
            print(f"no browser was found: open {html} yourself.", file=sys.stderr)
    print(f"\nNow with a log of yours: analyze run.log   (the report: {html})")
    return code
