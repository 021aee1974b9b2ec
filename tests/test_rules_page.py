"""The page of figures: made from any manifest, with misses and false alarms by name and nothing of the machine it was made on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

from tests.analyzer.shapes_of_runs import FAULTY, HEALTHY
from tests.samples import ROOT


def made(folder: Path, *words: str) -> str:
    command = [sys.executable, "-m", "benchmarks.rules", "--no-samples", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_page_counts_what_was_found_missed_and_falsely_alarmed(tmp_path: Path) -> None:
    logs = {
        "well": (HEALTHY["plain"], {"healthy": True}),
        "hit": (FAULTY["nan_from_here"][0], {"healthy": False, "expected_findings": ["loss-nan"], "injected_at_step": 779}),
        "late": (FAULTY["nan_from_here"][0], {"healthy": False, "expected_findings": ["loss-nan"], "injected_at_step": 100}),
        "missed": (HEALTHY["plain"], {"healthy": False, "expected_any": ["oom-cuda", "oom-host"]}),
        "false": (FAULTY["one_spike"][0], {"healthy": True, "expected_findings": []}),
        "odd": (FAULTY["one_spike"][0], {"healthy": "unclear", "tolerated": ["loss-spike"]}),
    }
    lines = []
    for name, (make, label) in logs.items():
        (tmp_path / f"{name}.log").write_text(make(Random(0)), "utf-8")
        lines.append(json.dumps({"id": name, "file": f"{name}.log", **label}))
    lines.append(json.dumps({"id": "gone", "file": "gone.log", "healthy": False}))
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("\n".join(lines) + "\n", "utf-8")
    page = made(tmp_path, f"a few logs={manifest}")
    assert "## a few logs" in page
    assert "7 runs, 2 of them healthy. Recall 2/3 (66.7%), false alarms 1/2 (50.0%), onset within 11 steps 1/2 (50.0%)" in page
    assert "| loss-nan | 2 | 2 |  |  |" in page
    assert "- `missed`: oom-cuda or oom-host" in page
    assert "- `late`: onset 680 steps off" in page
    assert "- `false`: loss-spike" in page
    assert "- `gone`: UnreadableError" in page
    assert str(tmp_path) not in page


def test_the_published_page_names_no_place_and_says_when_and_with_what() -> None:
    text = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert "Written by `python -m benchmarks.rules` on 20" in text
    assert "nanalyze 0." in text
    assert "Recall" in text
    assert "/home/" not in text
    assert "/tmp" not in text
