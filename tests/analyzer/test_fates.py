"""How each rank fared, and that ranks which fared alike are one entry, in the document and in every output."""

from __future__ import annotations

from pathlib import Path

from analyzer.diagnosis import diagnose
from analyzer.output import document, html, markdown, terminal
from tests.failures import END, PEER, STEPS, child_failed, diagnosis_of, stack
from tests.samples import FOLDER

SAMPLE = FOLDER / "torch-distributed" / "sigkill-gloo8" / "run.log"


def test_the_killed_rank_comes_first_and_its_victims_are_folded() -> None:
    told = [(fate.ranks, fate.count, fate.end) for fate in diagnose(SAMPLE).ranks]
    assert told[0] == ("6", 1, "exit code -9 (SIGKILL)")
    assert sum(count for _, count, _ in told) == 8
    assert all(end == "exit code -15 (SIGTERM)" or not end for _, _, end in told[1:])


def test_ranks_that_lost_their_peer_alike_are_one_entry_with_an_example(tmp_path: Path) -> None:
    text = STEPS + stack("KeyError: 'labels'", "[rank3]: ") + "".join(stack(PEER, f"[rank{rank}]: ") for rank in (0, 1, 2, 4, 5))
    fates = diagnosis_of(tmp_path, text + child_failed((3, 1, 9))).ranks
    assert [(fate.ranks, fate.error.partition(":")[0], fate.end) for fate in fates] == [
        ("3", "KeyError", "exit code 1"), ("0-2,4-5", "RuntimeError", ""),
    ]  # fmt: skip
    assert fates[1].ref is not None
    assert fates[1].ref.line == 10


def test_the_last_step_of_each_rank_is_told_where_each_has_a_file(tmp_path: Path) -> None:
    rows = [f"step {step} loss {4 - step / 10:.2f}\n" for step in range(10)]
    for rank, count in ((0, 10), (1, 10), (2, 7)):
        (tmp_path / f"rank_{rank}.log").write_text(
            "".join(rows[:count]) + (stack("KeyError: 'labels'") if rank == 2 else stack(PEER))
        )
    fates = diagnose(tmp_path).ranks
    assert [(fate.ranks, fate.last_step) for fate in fates] == [("2", 6), ("0-1", 9)]


def test_a_run_of_one_rank_and_a_healthy_run_have_none(tmp_path: Path) -> None:
    assert not diagnosis_of(tmp_path, STEPS + stack("KeyError: 'labels'")).ranks
    assert not diagnosis_of(tmp_path, STEPS + END).ranks


def test_every_output_shows_them() -> None:
    diagnosis = diagnose(SAMPLE)
    again = document.loads(document.dumps(diagnosis))
    assert again.ranks == diagnosis.ranks
    assert "| 6 |" in markdown.render(diagnosis)
    assert "rank 6  exit code -9 (SIGKILL)" in terminal.render(diagnosis, width=100, color=False)
    assert "<td>exit code -9 (SIGKILL)</td>" in html.render(diagnosis)
