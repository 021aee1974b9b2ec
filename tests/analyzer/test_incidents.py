"""What becomes of a failure message: it ended the run, an earlier attempt, or nothing."""

from __future__ import annotations

from pathlib import Path

from analyzer.incidents import Incidents, ranges
from parsers import kinds
from tests.failures import END, MORE, PEER, STEPS, child_failed, diagnosis_of, rules_of, run_of, stack


def fates(folder: Path, text: str, kind: str = kinds.TRACEBACK) -> list[str]:
    return [one.fate for one in Incidents(run_of(folder, text)).all if one.event.kind == kind]


def test_a_stack_at_the_end_is_fatal(tmp_path: Path) -> None:
    assert fates(tmp_path, STEPS + stack("KeyError: 'x'")) == ["fatal"]


def test_a_stack_after_which_training_ends_well_was_handled(tmp_path: Path) -> None:
    assert fates(tmp_path, STEPS + stack("KeyError: 'x'") + MORE + END) == ["handled"]


def test_a_stack_after_the_end_was_told_is_fatal_and_one_before_it_is_not(tmp_path: Path) -> None:
    assert fates(tmp_path, STEPS + END + stack("KeyError: 'x'")) == ["fatal"]
    assert fates(tmp_path, STEPS + stack("KeyError: 'x'") + END) == ["handled"]


def test_records_that_a_buffer_still_held_do_not_excuse_a_crash(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, STEPS + stack("KeyError: 'x'") + MORE)
    (finding,) = [f for f in found.findings if f.rule == "traceback"]
    assert (finding.severity, finding.confidence) == ("critical", "low")


def test_many_records_after_a_stack_prove_that_it_was_handled(tmp_path: Path) -> None:
    rows = "".join(
        f"{{'loss': 3.1, 'grad_norm': 0.74, 'learning_rate': 0.0004, 'epoch': {0.5 + i / 1000}}}\n" for i in range(5, 400)
    )
    assert fates(tmp_path, STEPS + stack("KeyError: 'x'") + rows) == ["handled"]


def test_a_launcher_s_report_between_two_attempts_makes_the_first_one_history(tmp_path: Path) -> None:
    text = STEPS + stack("KeyError: 'x'") + child_failed((1, 1, 77)) + STEPS + MORE + END
    assert fates(tmp_path, text) == ["past"]
    found = diagnosis_of(tmp_path, text)
    assert rules_of(found)["traceback"] == "warning"
    assert found.run.outcome == "completed"
    assert found.verdict == "suspicious"


def test_after_ctrl_c_everything_else_is_clearing_up(tmp_path: Path) -> None:
    text = (
        STEPS + stack("KeyboardInterrupt", "[rank0]: ") + stack(PEER, "[rank1]: ")
        + "[2026-11-24 02:44:19,411] [ERROR] [launch.py:321:sigkill_handler] ['python3'] exits with return code = 1\n"
    )  # fmt: skip
    found = diagnosis_of(tmp_path, text)
    assert [f.rule for f in found.loud()] == []
    assert rules_of(found) == {"interrupted": "info"}
    assert found.run.outcome == "stopped"


def test_ctrl_c_after_a_failure_excuses_nothing(tmp_path: Path) -> None:
    found = diagnosis_of(tmp_path, STEPS + stack("KeyError: 'x'", "[rank1]: ") + stack("KeyboardInterrupt", "[rank0]: "))
    assert rules_of(found)["traceback"] == "critical"


def test_a_lost_peer_after_a_good_end_is_nothing(tmp_path: Path) -> None:
    text = STEPS + "[2026-03-25 19:11:29,909] [INFO] [launch.py:367:main] Process 40 exits successfully.\n"
    text += (
        "[rank27]:[W325 19:11:30.2 TCPStore.cpp:125] [c10d] recvValue failed on SocketImpl(fd=138): Connection reset by peer\n"
    )
    assert diagnosis_of(tmp_path, text).loud() == ()


def test_ranges_are_short() -> None:
    assert ranges([0, 1, 2, 5]) == "0-2,5"
    assert ranges([7]) == "7"


def test_a_signal_that_a_program_was_told_of_and_survived_is_nothing(tmp_path: Path) -> None:
    assert diagnosis_of(tmp_path, STEPS + "Received SIGUSR1, saving a checkpoint\n" + MORE).loud() == ()


def test_a_boxed_stack_of_rich_is_a_stack(tmp_path: Path) -> None:
    box = (
        "╭───────────── Traceback (most recent call last) ─────────────╮\n"
        "│ /home/user/train.py:111 in main                             │\n"
        "│                                                             │\n"
        "│ ❱ 111     raise KeyError('x')                               │\n"
        "╰─────────────────────────────────────────────────────────────╯\n"
        "KeyError: 'x'\n"
    )
    (finding,) = diagnosis_of(tmp_path, STEPS + box).findings
    assert finding.rule == "traceback"
    assert finding.evidence[0].ref.line == 10
    assert finding.facts["frame_line"] == 111
