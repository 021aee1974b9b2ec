"""Ranks of files, from their paths and into their lines; thousands of files in bounded memory, in one process or several."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from parsers import kinds, read, spread
from parsers.collect import SLIM_FIRST, SLIM_LAST, WHOLE_FILES
from parsers.discover import find_runs
from parsers.ranks import attempt_of, natural, ranks_of
from tests.failures import stack


@pytest.mark.parametrize(
    ("path", "rank"),
    [
        ("logs/none_k2x9/attempt_0/17/stderr.log", 17),
        ("rank_17.log", 17),
        ("log_rank_00017.txt.gz", 17),
        ("1/rank.07/stdout", 7),
        ("workerlog.7", 7),
        ("slurm-8123456_17.out", None),
        ("run.log.1", None),
        ("frank3.log", None),
        ("/data/rank_5/a/b/run.log", None),
        ("sigkill_rank1_cpu2/run.log", None),
        ("train-20261124-153000.log", None),
    ],
)
def test_a_path_names_its_rank(path: str, rank: int | None) -> None:
    assert ranks_of([path]).get(path) == rank


def test_numbers_behind_a_job_are_ranks_where_none_is_missing() -> None:
    assert ranks_of(["8123456/0.out", "8123456/1.out"]) == {"8123456/0.out": 0, "8123456/1.out": 1}
    assert ranks_of(["train-8123456-0.err", "train-8123456-0.out", "train-8123456-1.err", "train-8123456-1.out"])
    assert not ranks_of(["train-20261124-153000.log", "train-20261124-160000.log"])


def test_local_ranks_of_several_nodes_name_nobody() -> None:
    assert not ranks_of([f"node-{n}/none_a/attempt_0/{r}/stderr.log" for n in (0, 1) for r in (0, 1)])
    assert ranks_of([f"none_a/attempt_{a}/{r}/stderr.log" for a in (0, 1) for r in (0, 1)])


def test_a_restart_is_counted() -> None:
    assert [attempt_of(path) for path in ("a/attempt_2/0/stdout.log", "a/run.log")] == [2, 0]


def test_ranks_sort_as_numbers() -> None:
    assert sorted(["rank_10", "rank_2", "rank_1"], key=natural) == ["rank_1", "rank_2", "rank_10"]


TREES = {
    "torchrun": [f"none_k2x9/attempt_0/{r}/{s}.log" for r in range(12) for s in ("stdout", "stderr")],
    "torchrun on three nodes": [f"node-{n}/job_{n}/attempt_0/{r}/stderr.log" for n in range(3) for r in range(8)],
    "torchrun restarted": [f"none_k2x9/attempt_{a}/{r}/stderr.log" for a in (0, 1) for r in range(4)],
    "srun, a folder a job": [f"8123456/{r}.out" for r in range(12)],
    "srun, a file a task": [f"train-8123456-{r}.{s}" for r in range(12) for s in ("out", "err")],
    "mpirun": [f"1/rank.{r:02d}/{s}" for r in range(12) for s in ("stdout", "stderr")],
    "paddle": [f"workerlog.{r}" for r in range(12)],
    "ray": [
        *(f"session_latest/logs/worker-{r:056x}-01000000-{r}.out" for r in range(12)),
        "session_latest/logs/raylet.out", "session_latest/logs/gcs_server.out", "session_latest/logs/monitor.log",
    ],
}  # fmt: skip


@pytest.mark.parametrize("files", TREES.values(), ids=TREES.keys())
def test_a_tree_of_rank_files_is_one_run(tmp_path: Path, files: Sequence[str]) -> None:
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("x")
    (run,) = find_runs([tmp_path])
    assert len(run.files) == len(files)


def test_tasks_of_a_job_array_are_runs_of_their_own(tmp_path: Path) -> None:
    for task in range(3):
        (tmp_path / f"slurm-8123456_{task}.out").write_text("x")
    assert len(list(find_runs([tmp_path]))) == 3


def rows(count: int, nan_at: int | None = None) -> str:
    return "".join(
        f"step {i} loss {'nan' if i == nan_at else f'{4 - i / 1000:.4f}'} grad_norm 0.5000\n" for i in range(count)
    )  # fmt: skip


def test_the_rank_of_a_file_is_that_of_its_lines_unless_they_name_another(tmp_path: Path) -> None:
    (tmp_path / "rank_0.log").write_text(rows(5))
    (tmp_path / "rank_1.log").write_text(rows(5) + stack("KeyError: 'labels'") + stack("ValueError: no", "[rank7]: "))
    run = read([tmp_path / "rank_0.log", tmp_path / "rank_1.log"], strict=True)
    assert [event.rank for event in run.events_of(kinds.TRACEBACK)] == [1, 7]
    assert {track.rank for track in run.tracks} == {0, 1}


def test_of_many_files_the_first_are_whole_and_the_others_keep_their_ends(tmp_path: Path) -> None:
    size = 400
    paths = [tmp_path / f"rank_{rank}.log" for rank in range(WHOLE_FILES + 1)]
    for path in paths:
        path.write_text(rows(size, nan_at=200))
    run = read(paths, strict=True)
    loss = {track.rank: track for track in run.tracks if track.metric == "loss"}
    assert len(loss[0]) == size
    last = loss[WHOLE_FILES]
    assert len(last) == SLIM_FIRST + 1 + SLIM_LAST
    assert (last.steps[0], last.steps[SLIM_FIRST], last.steps[-1], last.non_finite) == (0, 200, size - 1, 1)


def test_several_processes_read_what_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [tmp_path / f"rank_{rank}.log" for rank in range(40)]
    for rank, path in enumerate(paths):
        path.write_text(rows(20 + rank) + (stack("KeyError: 'labels'") if rank == 7 else ""))
    paths.append(tmp_path / "missing.log")
    alone = read(paths)
    monkeypatch.setattr(spread, "MIN_BYTES", 0)
    monkeypatch.setattr(spread, "_workers", lambda jobs: 2)
    together = read(paths)
    assert together.files == alone.files
    assert together.events == alone.events
    assert repr(together.tracks) == repr(alone.tracks)  # times are NaN
    assert together.problems == alone.problems


def test_the_middle_of_a_slim_file_is_passed_over_but_for_what_is_odd(tmp_path: Path) -> None:
    size = 6000
    paths = [tmp_path / f"rank_{rank}.log" for rank in range(WHOLE_FILES + 1)]
    for path in paths[:-1]:
        path.write_text(rows(5))
    text = rows(size, nan_at=3000).splitlines(keepends=True)
    text.insert(2000, stack("KeyError: 'labels'"))
    paths[-1].write_text("".join(text))
    run = read(paths, strict=True)
    (event,) = run.events_of(kinds.TRACEBACK)
    assert (event.rank, event.ref.line) == (WHOLE_FILES, 2003)
    loss = next(track for track in run.tracks if track.metric == "loss" and track.rank == WHOLE_FILES)
    assert (loss.steps[0], loss.steps[-1], loss.lines[-1], loss.non_finite) == (0, size - 1, size + 3, 1)
    assert list(loss.steps[-SLIM_LAST:]) == list(range(size - SLIM_LAST, size))
