"""Of lines that are read one by one without end a part is read, and everything that says something new."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.diagnosis import known_signatures
from parsers import kinds, read
from parsers.line import make_line

OVERFLOW = "Gradient overflow.  Skipping step, loss scaler {0} reducing loss scale to {0}.0\n"
"""Lines of different scalers are not read as columns, but those of the one whose form was learned (the extension does)."""

CRASH = (
    "Traceback (most recent call last):\n"
    '  File "/opt/train.py", line 12, in main\n'
    "    loss.backward()\n"
    "RuntimeError: the weather is bad\n"
)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the lines that become `Line`s, with a budget of 2,000 such lines."""
    numbers: list[int] = []
    monkeypatch.setattr("parsers.thrift.BUDGET", 200_000)
    monkeypatch.setattr("parsers.scanner.make_line", lambda *args: numbers.append(args[1]) or make_line(*args))
    return numbers


def run_of(tmp_path: Path, *parts: str):
    path = tmp_path / "run.log"
    path.write_text("".join(parts))
    return read([path], known_signatures())


def test_a_part_is_read_and_a_problem_says_so(tmp_path: Path, made: list[int]) -> None:
    lines = 120_000
    run = run_of(tmp_path, *(OVERFLOW.format(number) for number in range(lines)))
    assert len(made) < 40_000  # the first block is read whole
    assert made[0] <= 2 and made[-1] == lines
    note = next(problem for problem in run.problems if problem.reader == "source")
    assert "differ from those before in numbers alone and were passed over" in note.reason
    assert any(f"{lines - len(made) - columns:,} of" in note.reason for columns in (0, 1))


def test_what_says_something_new_is_read_wherever_it_stands(tmp_path: Path, made: list[int]) -> None:
    much = [OVERFLOW.format(number) for number in range(100_000)]
    run = run_of(tmp_path, *much[:70_000], CRASH, *much[70_000:])
    found = [event for event in run.events if event.kind == kinds.TRACEBACK]
    assert [(event.ref.line, event.data["exception"]) for event in found] == [(70_004, "RuntimeError")]
    assert found[0].data["frame"]
    assert len(made) < 40_000


def test_the_end_is_read_whole(tmp_path: Path, made: list[int]) -> None:
    run = run_of(tmp_path, *(CRASH.replace("bad", f"bad {number}") for number in range(60_000)))
    last = [event for event in run.events if event.kind == kinds.TRACEBACK][-1]
    assert last.ref.line == 240_000 and "weather is bad 59999" in str(last.data["message"])


def test_a_log_within_the_budget_is_read_whole(tmp_path: Path, made: list[int]) -> None:
    run = run_of(tmp_path, *(OVERFLOW.format(number) for number in range(1_000)))
    assert len(made) >= 999 and not run.problems
