"""Who does the work changes nothing: one process, several, a Ray cluster that loses a node; a bad run costs its row only."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from analyzer.batch import local
from analyzer.batch.task import Task, Work, allowed, perform
from analyzer.diagnosis import Options
from analyzer.scan import Extras, find
from parsers.discover import RunFiles
from tests.test_cli import analyze
from tests.test_scan_cache import RUNS, make

BAD_RULE = '''
"""A rule that a bad run takes down."""
import os
import signal
import time

from analyzer.rule import rule


@rule(title="takes its process down", severity="info")
def check(run):
    if "sweep-01" in run.source or any("sweep-01" in file.path for file in run.files):
        {deed}
    return
    yield
'''


def rules(folder: Path, deed: str) -> Path:
    folder.mkdir()
    (folder / "bad_run.py").write_text(BAD_RULE.format(deed=deed), "utf-8")
    (folder / "bad_run.md").write_text("# a rule of a test\n", "utf-8")
    return folder


def documents(*words: object) -> list[dict[str, object]]:
    done = analyze("scan", *words, "--format", "jsonl", "--cache", "off", "--no-redact")
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("deed", "jobs", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", 2, "its process ended (signal 9, out of memory?)"),
        ("os._exit(3)", 3, "its process ended (exit code 3)"),
        ("time.sleep(600)", 2, "took longer than 2 s"),
        ("time.sleep(600)", 1, "took longer than 2 s"),
    ],
)
def test_a_bad_run_is_a_row_with_its_reason(tmp_path: Path, deed: str, jobs: int, said: str) -> None:
    root = make(tmp_path / "tree", 3)
    got = documents(root, "--rules", rules(tmp_path / "rules", deed), "--jobs", jobs, "--timeout", 2)
    assert len(got) == 9
    bad = [one for one in got if "sweep-01" in one["run"]["source"]]  # type: ignore[index]
    assert all(said in one["problems"][0]["reason"] for one in bad)  # type: ignore[index]
    good = [one for one in got if one not in bad]
    assert sorted(one["run"]["verdict"] for one in good) == ["failed"] * 4 + ["healthy"] * 2  # type: ignore[index]


def test_more_workers_than_runs_and_one_worker_agree(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", 2)
    assert documents(root, "--jobs", 1) == documents(root, "--jobs", 5)


def test_a_worker_that_held_too_much_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path / "tree", 3)
    tasks = [Task(run) for run in find([str(root)], Extras())]
    work = Work(Options())
    alone = [perform(task, work) for task in tasks]
    monkeypatch.setattr(local, "FULL", 1)
    assert list(local.results(tasks, work, 2)) == alone


def test_a_run_that_takes_long_holds_nobody_elses_result_back(tmp_path: Path) -> None:
    slow = BAD_RULE.format(deed="time.sleep(3)").replace('"sweep-01" in', f'"sweep-00/{RUNS[1]}" in')
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "bad_run.py").write_text(slow, "utf-8")
    (tmp_path / "rules" / "bad_run.md").write_text("# a rule of a test\n", "utf-8")
    tasks = [Task(run) for run in find([str(make(tmp_path / "tree", 3))], Extras())]
    assert tasks[0].files.root.endswith(RUNS[1])
    work, told = Work(Options(rules=(tmp_path / "rules",))), list[str]()
    results = local.results(tasks, work, 2, lambda result: told.append(result.files.root))
    assert next(results).files.root == tasks[0].files.root
    assert told[-1] == tasks[0].files.root
    assert len(told) > 4
    assert [one.files.root for one in results] == [task.files.root for task in tasks[1:]]
    assert sorted(told) == sorted(task.files.root for task in tasks)


def test_a_large_run_may_take_longer() -> None:
    work = Work(Options(), limit=2.0)
    assert allowed(RunFiles("s3://x/run.log", ("s3://x/run.log",), ("600000000 etag",)), work) == 1802.0
    assert allowed(RunFiles("gone", ("gone",)), work) == 2.0
    assert allowed(RunFiles("gone", ("gone",)), Work(Options())) == 0.0


ray = pytest.importorskip("ray")


@pytest.mark.slow
def test_ray_gives_the_same_bytes_even_when_a_node_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    from analyzer.batch import cluster as engine

    root = make(tmp_path / "tree", 10)
    tasks = [Task(run) for run in find([str(root)], Extras())]
    work = Work(Options(), lines=True)
    expected = [perform(task, work) for task in tasks]
    monkeypatch.setattr(engine, "CHUNK", 2)
    monkeypatch.setattr(engine, "WINDOW", 8)
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    try:
        cluster.wait_for_nodes()
        ray.init(
            address=cluster.address,
            log_to_driver=False,
            logging_level="ERROR",
            runtime_env={"env_vars": {"PYTHONPATH": str(Path.cwd())}},
        )
        got = []
        for result in engine.results(tasks, work):
            got.append(result)
            if len(got) == 4 and len(nodes) == 2:
                cluster.remove_node(nodes.pop(), allow_graceful=False)
        assert got == expected
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.slow
def test_the_command_starts_ray_by_itself(tmp_path: Path) -> None:
    root = make(tmp_path / "tree", 2)
    begin = time.monotonic()
    assert documents(root, "--engine", "ray", "--jobs", 2) == documents(root)
    assert time.monotonic() - begin < 300
    assert RUNS
