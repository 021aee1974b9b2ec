"""The calibration counts what it should, and says what went wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.calibrate import main

MASKED = "WARNING: tokenization mismatch: 55 vs. 54. (ignored)\n" * 6 + "{'loss': 0.0, 'grad_norm': 0.0, 'epoch': 0.01}\n" * 5


def test_prints_shares_and_misses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.log").write_text(MASKED, "utf-8")
    entries = [
        {"file": "a.log", "causes": ["all-labels-masked-template"]},
        {"file": "a.log", "causes": ["gpu-hardware-fault"]},
        {"file": "a.log", "causes": []},
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(map(json.dumps, entries)), "utf-8")
    assert main([str(tmp_path / "cases.jsonl")]) == 0
    out = capsys.readouterr().out
    assert "cases 2 · top-1 1/2 (0.500)" in out
    assert "gpu-hardware-fault behind all-labels-masked-template" in out


def test_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert main([str(tmp_path / "none.jsonl")]) == 2
    assert "cannot be read" in capsys.readouterr().err
