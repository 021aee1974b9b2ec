"""Files whose names leave open whose they are: the lines say which rank wrote them, and whether one job did."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import read
from parsers.discover import find_runs
from parsers.read import jobs_of
from tests.failures import stack

ROWS = "".join(f"step {i} loss {4 - i / 100:.4f} grad_norm 0.5000\n" for i in range(6))
JOB = "slurm-8123456"


def tree(folder: Path, files: dict[str, str]) -> list[list[str]]:
    """The runs of a tree, each as the names of its files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return [[Path(file).relative_to(folder).as_posix() for file in run.files] for run in find_runs([folder])]


def ranks(folder: Path) -> dict[str, int | None]:
    (run,) = find_runs([folder])
    return {Path(job.path).relative_to(folder).as_posix(): job.rank for job in jobs_of(run.files)}


ONE_JOB = {
    "each speaks of its own rank": [f"[rank{r}]:[W1124 02:00:00.1 x.cpp:1] hello\n" for r in range(4)],
    "two of four do": ["", stack("KeyError: 'a'", "[rank1]: "), "", stack("KeyError: 'a'", "[rank3]: ")],
    "the environment was printed": [f"SLURM_PROCID={r}\nWORLD_SIZE=4\n{ROWS}" for r in range(4)],
    "a file a node": [f"world size: 32\n[rank{8 * n + 3}]: a\n[rank{8 * n}]: b\n" for n in range(4)],
    "the step of one job": [f"slurmstepd: error: *** STEP 8123456.0 ON n{r} CANCELLED AT 2024-05-01T12:00:00 ***\n" for r in range(4)],
    "only the first trains, the world is as large": ["world_size=4\n" + ROWS, "loading\n", "", stack("ValueError: no")],
}  # fmt: skip
SEVERAL = {
    "nothing is known": [ROWS] * 4,
    "each says that it is the first": [f"[Rank 0] seed {s}\n{ROWS}" for s in range(4)],
    "one rank of each speaks, and not that of the file": ["[rank3]: a\n", "[rank5]: b\n", "", "[rank2]: c\n"],
    "each is a job of its own": [f"slurmstepd: error: *** JOB {8123456 + n} ON n1 CANCELLED AT 2024-05-01T12:00:00 ***\n" for n in range(4)],
    "an array's": [f"SLURM_ARRAY_TASK_ID={n}\nSLURM_JOB_ID=8123456\n[rank{n}]: a\n" for n in range(4)],
    "a step of an array": [f"slurmstepd: error: Detected 1 oom_kill event in StepId=8123456_{n}.0. Some\n" for n in range(4)],
    "every one trains, four ranks each": ["world_size=4\n" + ROWS] * 4,
    "two ranks in each": [f"[rank0]: a{n}\n[rank1]: b\n" for n in range(4)],
}  # fmt: skip


@pytest.mark.parametrize("texts", ONE_JOB.values(), ids=ONE_JOB.keys())
def test_files_of_tasks_are_one_run_where_the_lines_say_so(tmp_path: Path, texts: list[str]) -> None:
    (files,) = tree(tmp_path, {f"{JOB}_{n}.out": text for n, text in enumerate(texts)})
    assert files == [f"{JOB}_{n}.out" for n in range(4)]


@pytest.mark.parametrize("texts", SEVERAL.values(), ids=SEVERAL.keys())
def test_files_of_tasks_are_runs_of_their_own_otherwise(tmp_path: Path, texts: list[str]) -> None:
    assert len(tree(tmp_path, {f"{JOB}_{n}.out": text for n, text in enumerate(texts)})) == 4


def test_both_streams_of_a_task_are_one_writer_s(tmp_path: Path) -> None:
    files = {f"train_8123456_{n}.{s}": f"[rank{n}]: {s}\n" for n in range(2) for s in ("out", "err")}
    assert len(tree(tmp_path, files)) == 1
    assert ranks(tmp_path) == {f"train_8123456_{n}.{s}": n for n in range(2) for s in ("out", "err")}


def test_two_jobs_in_one_folder_are_two_runs(tmp_path: Path) -> None:
    files = {f"slurm-{job}_{n}.out": f"[rank{n}]: a\n" for job in (8123456, 8123999) for n in range(3)}
    runs = tree(tmp_path, files)
    assert [len(run) for run in runs] == [3, 3]
    assert len({run.root for run in find_runs([tmp_path])}) == 2


def test_logs_that_are_named_by_date_are_no_ranks(tmp_path: Path) -> None:
    files = {f"train-20261124_{at}.log": f"SLURM_JOB_ID=77777\n[rank0]: a\n{ROWS}" for at in ("100000", "153000")}
    assert len(tree(tmp_path, files)) == 2


def test_the_rank_of_a_task_file_is_that_of_its_lines(tmp_path: Path) -> None:
    tree(tmp_path, {f"{JOB}_{n}.out": (f"RANK={n}\n" if n != 2 else "") + "WORLD_SIZE=4\n" + ROWS for n in range(4)})
    (run,) = find_runs([tmp_path])
    assert {track.rank for track in read(run.files).tracks} == {0, 1, 3, None}


def torchrun(folder: str, rank: int, local: int, attempt: int = 0, text: str = "") -> dict[str, str]:
    return {f"{folder}/attempt_{attempt}/{local}/stderr.log": text or f"[rank{rank}]: a\n{ROWS}"}


def test_torchrun_s_folders_of_nodes_are_one_job_and_local_ranks_become_ranks(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for node in range(3):
        for local in range(2):
            files |= torchrun(f"none_{node}x", 2 * node + local, local)
    assert len(tree(tmp_path, files)) == 1
    assert list(ranks(tmp_path).values()) == [0, 1, 2, 3, 4, 5]


def test_torchrun_s_folders_of_two_jobs_are_two_runs(tmp_path: Path) -> None:
    runs = tree(
        tmp_path, torchrun("none_a", 0, 0) | torchrun("none_a", 1, 1) | torchrun("none_b", 0, 0) | torchrun("none_b", 1, 1)
    )
    assert [len(run) for run in runs] == [2, 2]


def test_a_restart_keeps_the_ranks_of_its_node(tmp_path: Path) -> None:
    files: dict[str, str] = {}
    for node in range(2):
        for attempt in range(2):
            files |= torchrun(f"none_{node}x", node, 0, attempt)
    assert len(tree(tmp_path, files)) == 1
    assert list(ranks(tmp_path).values()) == [0, 0, 1, 1]


def ray(pid: int, stream: str = "err", job: str = "01000000") -> str:
    return f"session_latest/logs/worker-{pid:056x}-{job}-{pid}.{stream}"


def test_ray_s_processes_have_the_rank_that_they_print(tmp_path: Path) -> None:
    files = {}
    for rank in range(3):
        files[ray(700 + rank)] = f":actor_name:RayTrainWorker\nSetting up process group for: env:// [rank={rank}, world_size=4]\n"
        files[ray(700 + rank, "out")] = ":actor_name:RayTrainWorker\n" + ROWS
    files[ray(703)] = ":actor_name:TorchTrainer\n"
    assert len(tree(tmp_path, files)) == 1
    assert ranks(tmp_path) == {ray(700 + r, s): r for r in range(3) for s in ("out", "err")} | {ray(703): None}


def test_ray_s_processes_have_the_rank_that_their_controller_lists(tmp_path: Path) -> None:
    listed = "Started distributed worker processes: \n" + "".join(
        f"- (node_id=ab, ip=10.0.0.{r}, pid={700 + r}) world_rank={3 - r}, local_rank=0, node_rank={r}\n" for r in range(4)
    )
    files = {ray(700 + r, "out"): ROWS for r in range(4)} | {ray(699): listed}
    assert len(tree(tmp_path, files)) == 1
    assert [ranks(tmp_path)[ray(700 + r, "out")] for r in range(4)] == [3, 2, 1, 0]


def test_two_jobs_of_a_ray_session_are_two_runs_with_the_session_s_own_logs(tmp_path: Path) -> None:
    files = {ray(700 + n, "out", job): ROWS for n in range(2) for job in ("01000000", "02000000")}
    files |= {ray(9, "out", "ffffffff"): "", "session_latest/logs/raylet.out": "started\n"}
    runs = tree(tmp_path, files)
    assert [len(run) for run in runs] == [4, 4]
    assert all("session_latest/logs/raylet.out" in run for run in runs)


def test_a_driver_s_lines_of_ray_s_processes_have_their_ranks(tmp_path: Path) -> None:
    listed = "".join(
        f"(TorchTrainer pid=690) - (node_id=ab, ip=10.0.0.{node}, pid={pid}) world_rank={rank}, local_rank=0, node_rank={node}\n"
        for rank, (node, pid) in enumerate([(1, 701), (1, 702), (2, 701), (2, 709)])
    )
    writers = ["702", "701", "701, ip=10.0.0.2", "709, ip=10.0.0.2", "999"]
    (tmp_path / "driver.log").write_text(
        listed + "".join(stack(f"KeyError: '{n}'", f"(RayTrainWorker pid={n}) ") for n in writers)
    )
    run = read([tmp_path / "driver.log"], strict=True)
    assert [event.rank for event in run.events_of("traceback")] == [1, None, 2, 3, None]
    assert [event.ref.rank for event in run.events_of("traceback")] == [1, None, 2, 3, None]


def test_a_worker_that_joins_says_its_rank_and_the_world_s_size(tmp_path: Path) -> None:
    joined = "(RayTrainWorker pid=7411) 2026-11-24 02:00:00,000\tINFO config.py:83 -- Setting up process group for: env:// [rank=1, world_size=8]\n"
    (tmp_path / "driver.log").write_text(joined + stack("KeyError: 'a'", "(RayTrainWorker pid=7411) "))
    run = read([tmp_path / "driver.log"], strict=True)
    assert [event.rank for event in run.events_of("traceback")] == [1]
    assert run.environment.number("run:world_size") == 8
