"""What a text log says agrees with what the same run wrote elsewhere: the Trainer's state, or its event files.

Every step and value of the independent record is in the log's own reading, to the digits that were printed; the log is read
alone, so that its steps are the recovered ones.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest

from parsers import Run, read
from tests.samples import FOLDER

METRICS = ("loss", "eval_loss", "grad_norm", "lr")
DIGITS = 2e-3
"""Relative: transformers 5 prints four significant digits, half a unit of the last is at most 5e-4 of a value."""
SMALLEST = 6e-5
"""transformers 4 rounds the loss to four decimals."""


def independent(folder: Path, pattern: str) -> list[str]:
    """Records that the run itself wrote beside its log; of several states the one that covers the whole run."""
    found = sorted(map(str, folder.glob(f"**/{pattern}")), key=lambda path: (path.count("/"), path))
    return found[:1] if pattern.endswith(".json") else found


LOGS = sorted(FOLDER.glob("**/run.log"))
PAIRS = [
    pytest.param(log, pattern, id=f"{log.parent.relative_to(FOLDER)}-{pattern.strip('*')}")
    for log in LOGS
    for pattern in ("trainer_state.json", "*tfevents*")
    if independent(log.parent, pattern)
]


@cache
def text(log: Path) -> Run:
    """The log read alone."""
    return read([log], strict=True)


def points(run: Run, metric: str) -> dict[int, list[float]]:
    """step → the values that were logged at it: more than one where a run went back."""
    found: dict[int, list[float]] = {}
    series = run.series(metric)
    for track in [track for track in run.all_series(metric) if series and track.reader == series.reader]:
        for step, value in zip(track.steps, track.values, strict=True):
            found.setdefault(step, []).append(value)
    return found


def same(printed: float, held: float) -> bool:
    """Whether two figures are one, as far as they were printed."""
    if not (math.isfinite(printed) and math.isfinite(held)):
        return repr(printed) == repr(held) or (math.isnan(printed) and math.isnan(held))
    return abs(printed - held) <= max(DIGITS * abs(held), SMALLEST if abs(held) > 1e-3 else 0.0, 1e-12)


@pytest.mark.parametrize(("log", "pattern"), PAIRS)
def test_every_step_and_value_agrees(log: Path, pattern: str) -> None:
    other = read(independent(log.parent, pattern), strict=True)
    compared = 0
    for metric in METRICS:
        held, printed = points(other, metric), points(text(log), metric)
        if not printed:
            continue
        missing = sorted(held.keys() - printed.keys())
        assert not missing, f"{metric}: steps {missing[:5]} of the record are not in the log"
        for step, values in held.items():
            assert any(same(a, b) for a in printed[step] for b in values), (metric, step, printed[step], values)
        compared += len(held)
    assert compared or not text(log).tracks


def test_there_is_something_to_compare() -> None:
    assert len(PAIRS) >= 100
