"""How a run ended, and what happened on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.clock import in_year
from tests.failures import END, MORE, PEER, STEPS, child_failed, diagnosis_of, stack


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STEPS + END, "completed"),
        (STEPS, "unknown"),
        (STEPS + stack("KeyError: 'x'"), "crashed"),
        (STEPS + END + stack("OSError: [Errno 28] No space left on device"), "crashed"),
        (STEPS + stack("KeyError: 'x'") + MORE + END, "completed"),
        (STEPS + stack("KeyboardInterrupt"), "stopped"),
        (
            STEPS + stack("KeyboardInterrupt") + "next try\n" * 9 + stack("ImportError: cannot import name 'x' from 'y'"),
            "crashed",
        ),
        (STEPS + "Terminated\n", "killed"),
        (STEPS + "Segmentation fault (core dumped)\n", "crashed"),
        (STEPS + "slurmstepd: error: *** JOB 1 ON n1 CANCELLED AT 2024-05-01T12:00:00 DUE TO PREEMPTION ***\n", "killed"),
        (STEPS + child_failed((1, -9, 4)), "killed"),
        (STEPS + child_failed((1, 1, 4)), "crashed"),
        (STEPS + "[  1.0] Memory cgroup out of memory: Killed process 19 (python3) total-vm:78kB, anon-rss:41kB\n", "killed"),
    ],
)
def test_the_end_of_a_run(text: str, expected: str, tmp_path: Path) -> None:
    assert diagnosis_of(tmp_path, text).run.outcome == expected


def test_the_timeline_folds_equal_messages_and_shows_how_far_the_run_got(tmp_path: Path) -> None:
    text = STEPS + "".join(stack("KeyError: 'labels'", f"[rank{rank}]: ") for rank in range(8)) + stack(PEER, "[rank9]: ")
    entries = diagnosis_of(tmp_path, text).timeline
    (folded,) = [entry for entry in entries if entry.kind == "traceback" and entry.text == "KeyError: 'labels'"]
    assert folded.count == 8
    assert folded.ref.line == 7
    assert [entry.step for entry in entries if entry.kind == "last-record"] == [4]
    assert [entry.ref.line for entry in entries] == sorted(entry.ref.line for entry in entries)


def test_a_survived_exception_is_no_entry(tmp_path: Path) -> None:
    entries = diagnosis_of(tmp_path, STEPS + stack("KeyError: 'x'") + MORE + END).timeline
    assert not [entry for entry in entries if entry.kind == "traceback"]


def test_a_clock_without_a_year_is_put_into_one_that_has_a_leap_day() -> None:
    march = 59 * 86400.0 + 0.25  # 1 March of 1970, which had no leap day
    assert in_year(march, 2024) == 1709251200.25
