"""What Ray says of a worker that died; what it merely guesses is no evidence."""

from __future__ import annotations

import pytest

from parsers import kinds
from tests.parsers.logs import run_of

DIED = (
    "{} A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the problem, check the logs "
    "for the dead worker. Lease ID: 0100 Worker ID: 12a6 Node ID: 0b6a Worker IP address: 10.80.8.181 Worker port: 45555 Worker PID: "
    "26103 Worker exit type: SYSTEM_ERROR Worker exit detail: {}\n"
)
GUESSES = (
    "Worker unexpectedly exits with a connection error code 2. End of file. There are some potential root causes. (1) The process is "
    "killed by SIGKILL by OOM killer due to high memory usage. (2) ray stop --force is called."
)


@pytest.mark.parametrize("front", ["(raylet)", "(raylet, ip=10.80.8.181)", "2023-12-17 07:00:42,177\tWARNING worker.py:2074 --"])
def test_a_dead_worker_is_a_failed_child(front: str) -> None:
    (event,) = run_of(DIED.format(front, GUESSES)).events
    assert event.kind == kinds.CHILD_FAILED
    assert (event.data["launcher"], event.data["pid"], event.data["host"]) == ("ray", 26103, "10.80.8.181")


def test_a_memory_kill_is_told_where_ray_did_it() -> None:
    low = "Task was killed due to the node running low on memory."
    assert kinds.HOST_OOM in [event.kind for event in run_of(DIED.format("(raylet)", low)).events]
    maybe = "Worker exits with an exit code None. The worker may have exceeded K8s pod memory limits."
    assert [event.kind for event in run_of(DIED.format("(raylet)", maybe)).events] == [kinds.CHILD_FAILED]
