"""Stopping what really runs: a launcher with its ranks, one of which ignores SIGTERM."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from analyzer.errors import UsageError
from analyzer.live import stop
from tests.live.test_watch import watch

LAUNCHER = """
import subprocess, sys, time
rank = "import signal, sys, time\\nif sys.argv[1] == '1': signal.signal(signal.SIGTERM, signal.SIG_IGN)\\nprint('up', flush=True)\\ntime.sleep(200)"
ranks = [subprocess.Popen([sys.executable, '-c', rank, str(i)], stdout=subprocess.PIPE) for i in range(3)]
for one in ranks: one.stdout.readline()
print(*[one.pid for one in ranks], flush=True)
time.sleep(200)
"""
ROW = "{'loss': %s, 'grad_norm': %s, 'learning_rate': 1e-05, 'epoch': 0.1}\n"


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


@pytest.fixture
def launcher():
    process = subprocess.Popen([sys.executable, "-c", LAUNCHER], stdout=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stdout is not None
    ranks = [int(word) for word in process.stdout.readline().split()]
    threading.Thread(target=process.wait, daemon=True).start()
    yield process, ranks
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def test_a_whole_group_is_stopped_although_its_launcher_ends_first(launcher) -> None:
    process, ranks = launcher
    said: list[str] = []
    target = stop.target(process.pid, is_group=True)
    assert stop.stop(target, 1.0, said.append)
    assert not any(runs(pid) for pid in [process.pid, *ranks])
    assert [line.partition(" to ")[0] for line in said] == ["sent SIGTERM", "sent SIGKILL"]
    assert not target.is_alive()


def test_watching_stops_the_group_of_a_lost_run(launcher, tmp_path: Path) -> None:
    process, ranks = launcher
    log = tmp_path / "run.log"
    log.write_text(ROW % (2.5, 1.0) * 80 + ROW % (0.0, "nan") * 3)
    done = watch(log, "--stop-group", process.pid, "--yes", "--grace", "0.5", "--format", "plain")
    assert done.returncode == 5, done.stdout
    assert not any(runs(pid) for pid in [process.pid, *ranks])
    assert done.stdout.index("sent SIGTERM to process group") < done.stdout.index("sent SIGKILL to process group")


def test_the_group_is_left_alone_without_yes(launcher, tmp_path: Path) -> None:
    process, ranks = launcher
    log = tmp_path / "run.log"
    log.write_text(ROW % (2.5, 1.0) * 80 + ROW % (0.0, "nan") * 3)
    done = watch(log, "--stop-group", process.pid, "--max-wait", "2", "--format", "plain")
    assert done.returncode == 6
    assert "would send SIGTERM to process group" in done.stdout
    assert all(runs(pid) for pid in [process.pid, *ranks])


def test_the_watchers_own_group_is_refused() -> None:
    with pytest.raises(UsageError, match="the watcher itself"):
        stop.target(os.getppid() if os.getpgid(os.getppid()) == os.getpgid(0) else os.getpid(), is_group=True)


def test_the_end_of_a_process_can_be_waited_for() -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    descriptor = stop.target(process.pid, is_group=False).opened()
    if descriptor < 0:
        pytest.skip("no pidfd here")
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(0) == []
    begun = time.monotonic()
    process.communicate(b"\n")
    assert poll.poll(5000)
    assert time.monotonic() - begun < 5
    os.close(descriptor)
