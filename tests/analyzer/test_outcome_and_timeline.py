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
    (folded,) = [entry for entry in entries if entry.kind == "traceback" and entry.rank != 9]
    assert folded.text.startswith("KeyError: 'labels' ended the run")  # the message and the finding about it are one
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


def test_what_a_launcher_and_a_finding_say_of_one_end_is_one_entry(tmp_path: Path) -> None:
    entries = diagnosis_of(tmp_path, STEPS + child_failed((1, -9, 4), ((0, -15, 3),))).timeline
    assert [(entry.kind, entry.rank) for entry in entries] == [
        ("last-record", None),
        ("child-failed", 0),
        ("killed-by-signal", 1),
    ]


def test_ranks_files_are_one_story_by_the_clock(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    for rank, minute in enumerate((5, 3, 4)):
        row = f"2026-11-24 02:0{minute}:00,000 ERROR train: no\n"
        (tmp_path / f"rank_{rank}.log").write_text(row + stack(f"KeyError: 'a{'bcd'[rank]}'", f"2026-11-24T02:0{minute}:01Z "))
    entries = diagnose(tmp_path).timeline
    assert [entry.rank for entry in entries if entry.kind == "traceback"] == [1, 2, 0]


def test_files_without_a_clock_are_told_one_after_the_other(tmp_path: Path) -> None:
    from analyzer.diagnosis import diagnose

    for rank in range(3):
        stamp = "" if rank == 1 else f"2026-11-24T02:0{5 - rank}:01Z "
        (tmp_path / f"rank_{rank}.log").write_text(stack(f"KeyError: 'a{'bcd'[rank]}'", stamp))
    assert [entry.rank for entry in diagnose(tmp_path).timeline if entry.kind == "traceback"] == [0, 1, 2]
