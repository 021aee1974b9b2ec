"""Short logs → `Run`, and what a test asks of it."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest

from parsers import Run, read
from parsers.source import blocks


def run_of(folder: Path, text: str, name: str = "run.log") -> Run:
    """The run that a file with this text is; a reader that raises fails the test."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return read([path], strict=True)


def points(run: Run, metric: str) -> list[tuple[int, float]]:
    """(step, value) of the preferred series of a metric, [] where there is none."""
    series = run.series(metric)
    return list(zip(series.steps, series.values, strict=True)) if series else []


def lines(run: Run, metric: str) -> list[int]:
    """The lines of the preferred series of a metric."""
    series = run.series(metric)
    return list(series.lines) if series else []


def kinds(run: Run) -> list[str]:
    """The kinds of the run's events in order."""
    return [event.kind for event in run.events]


def assert_any_chunking_is_the_same(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    """Reads the text in pieces of several sizes: all give the same run."""
    whole = run_of(folder, text)
    for size in (1, 7, 64, 4096):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["parsers.read"], "blocks", partial(blocks, size=size))
            again = run_of(folder, text)
        assert _shown(again) == _shown(whole), size


def _shown(run: Run) -> object:
    return [repr(track) for track in run.tracks], run.events, list(run.environment), run.problems, run.readers
