"""`analyze run -- CMD` changes nothing about the command: bytes, exit code, signals, terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.live.test_watch import TRAINER
from tests.samples import ROOT

ENV = {**os.environ, "PYTHONPATH": str(ROOT)}
RUN = [sys.executable, "-m", "analyzer", "run", "--log", "run.log", "--"]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*RUN, *command], capture_output=True, cwd=folder, env=ENV, timeout=240, check=False, stdin=subprocess.DEVNULL
    )


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_bytes_and_streams_are_unchanged(tmp_path: Path) -> None:
    code = "import os\nfor i in range(300):\n os.write(1, bytes([i % 256]) * 997)\n os.write(2, b'\\x1b[31merr\\r')"
    done = run(tmp_path, *python(code))
    assert done.returncode == 0
    assert done.stdout == b"".join(bytes([i % 256]) * 997 for i in range(300))
    assert done.stderr == b"\x1b[31merr\r" * 300
    log = (tmp_path / "run.log").read_bytes()
    assert len(log) == len(done.stdout) + len(done.stderr)
    assert not (tmp_path / "run.html").exists()


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_the_commands(tmp_path: Path, code: int) -> None:
    assert run(tmp_path, *python(f"raise SystemExit({code})")).returncode == code
    assert (tmp_path / "run.html").exists() == (code != 0)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGSEGV"])
def test_a_signal_ends_us_as_it_ended_the_command(tmp_path: Path, name: str) -> None:
    number = getattr(signal, name)
    assert run(tmp_path, *python(f"import os; os.kill(os.getpid(), {int(number)})")).returncode == -number


def test_what_cannot_be_started_is_what_a_shell_says(tmp_path: Path) -> None:
    assert run(tmp_path, "no-such-command").returncode == 127
    (tmp_path / "plain").write_text("")
    assert run(tmp_path, "./plain").returncode == 126


def test_a_failed_training_leaves_its_report(tmp_path: Path) -> None:
    done = run(tmp_path, *TRAINER, "--fault", "nan", "--records", "30", "--every", "0.01", "--code", "7")
    assert done.returncode == 7
    assert b"loss-zero" in (tmp_path / "run.html").read_bytes()
    assert b"the command ended with 7" in done.stderr


def started(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [*RUN, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder, env=ENV, stdin=subprocess.DEVNULL
    )


def test_signals_reach_the_command_once(tmp_path: Path) -> None:
    code = (
        "import signal, time\ngot = []\nsignal.signal(signal.SIGTERM, lambda *_: got.append(1))\nsignal.signal(signal.SIGUSR1, lambda *_: got.append(2))\n"
        "print('ready', flush=True)\nuntil = time.time() + 100\nwhile 1 not in got and time.time() < until: time.sleep(0.05)\ntime.sleep(0.3)\nprint(got, flush=True)"
    )
    process = started(tmp_path, *python(code))
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.send_signal(signal.SIGUSR1)
    time.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.stdout.readline() == b"[2, 1]\n"
    assert process.wait(120) == 0


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


SLOW = "import os, time\nprint('ready', flush=True)\nfor i in range(30):\n print('line', i, flush=True); time.sleep(0.1)\nopen('done', 'w').close()"


def test_training_goes_on_where_the_watcher_dies(tmp_path: Path) -> None:
    process = started(tmp_path, *python(SLOW))
    assert process.stdout is not None
    process.stdout.readline()
    watcher = [
        pid for pid in children(process.pid) if b"line" not in Path(f"/proc/{pid}/cmdline").read_bytes() or os.getsid(pid) == pid
    ]
    os.kill(watcher[-1], signal.SIGKILL)
    out = process.stdout.read()
    assert process.wait(120) == 0
    assert out.count(b"line") == 30
    assert (tmp_path / "done").exists()


def test_training_goes_on_where_we_are_killed(tmp_path: Path) -> None:
    process = started(tmp_path, *python(SLOW))
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    out = process.stdout.read()  # the watcher has taken over the copying
    assert out.count(b"line") == 30
    assert (tmp_path / "done").exists()
    assert (tmp_path / "run.log").read_bytes().count(b"line") == 30


def at_terminal(folder: Path, *command: str, keys: bytes = b"") -> tuple[bytes, int]:
    """Runs a command on a terminal of its own; `keys` are typed when it has said `ready`."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(command[0], list(command), ENV)
    out = b""
    until = time.monotonic() + 200
    while time.monotonic() < until:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        out += data
        if keys and b"ready" in out:
            os.write(master, keys)
            keys = b""
    _, status = os.waitpid(pid, 0)
    os.close(master)
    return out, status


def test_a_terminal_stays_a_terminal(tmp_path: Path) -> None:
    code = "import sys, os\nprint([os.isatty(i) for i in range(3)], os.get_terminal_size())\nprint('\\x1b[32mgreen\\x1b[0m')"
    plain, _ = at_terminal(tmp_path, *python(code))
    wrapped, status = at_terminal(tmp_path, *RUN, *python(code))
    assert wrapped == plain
    assert os.waitstatus_to_exitcode(status) == 0
    assert (tmp_path / "run.log").read_bytes() == plain.replace(b"\r\n", b"\n")


def test_ctrl_c_interrupts_the_command_once(tmp_path: Path) -> None:
    code = "import time\ntry:\n print('ready', flush=True)\n time.sleep(100)\nexcept KeyboardInterrupt:\n time.sleep(0.3)\n print('saved')\n raise SystemExit(9)"
    out, status = at_terminal(tmp_path, *RUN, *python(code), keys=b"\x03")
    assert b"saved" in out
    assert os.waitstatus_to_exitcode(status) == 9


def test_an_answer_can_be_typed(tmp_path: Path) -> None:
    out, status = at_terminal(tmp_path, *RUN, *python("print('ready', flush=True); print('got', input())"), keys=b"yes\n")
    assert b"got yes" in out
    assert os.waitstatus_to_exitcode(status) == 0


def said(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def until(holds: Callable[[], bool]) -> bool:
    end = time.monotonic() + 60
    while not holds() and time.monotonic() < end:
        time.sleep(0.02)
    return holds()


COUNTS = "import os, time\nprint('ready', os.getpid(), flush=True)\nfor i in range(40):\n time.sleep(0.05); print('line', i, flush=True)"


def test_stopped_and_continued_like_the_command_alone(tmp_path: Path) -> None:
    process = started(tmp_path, *python(COUNTS))
    command = int(said(process).split()[1])
    process.send_signal(signal.SIGTSTP)
    assert until(lambda: is_stopped(command))
    time.sleep(0.5)  # the wrapper stops a moment after
    process.send_signal(signal.SIGCONT)
    assert until(lambda: not is_stopped(command))
    assert process.stdout is not None
    assert process.stdout.read().count(b"line") == 40
    assert process.wait(120) == 0


ASKS = """import json, os, signal, sys, time
got = []
for number in (signal.SIGWINCH, signal.SIGHUP):
    signal.signal(number, lambda number, _: got.append((signal.Signals(number).name, *os.get_terminal_size(1))))
print('ready', os.getpid(), flush=True)
until = time.time() + 60
while not got and time.time() < until: time.sleep(0.02)
time.sleep(0.7)
open('got', 'w').write(json.dumps(got))
"""


def opened(folder: Path, code: str) -> tuple[int, int, int]:
    """The wrapper on a terminal, the terminal's other end, the command."""
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execve(RUN[0], [*RUN, *python(code)], ENV)
    out = b""
    while b"ready" not in out or not out.endswith(b"\n"):
        out += os.read(master, 65536)
    return pid, master, int(out.split()[1])


def test_the_command_learns_of_the_terminals_new_size(tmp_path: Path) -> None:
    pid, master, _ = opened(tmp_path, ASKS)
    fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("4H", 33, 117, 0, 0))
    _, status = os.waitpid(pid, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 0
    assert json.loads((tmp_path / "got").read_text())[-1] == [
        "SIGWINCH",
        117,
        33,
    ]  # the kernel's own may come before the size does


def test_a_terminal_that_closes_hangs_up_the_command_once(tmp_path: Path) -> None:
    pid, master, command = opened(tmp_path, ASKS.replace("*os.get_terminal_size(1)", "0"))
    os.close(master)
    os.waitpid(pid, 0)
    assert until((tmp_path / "got").exists)
    assert (tmp_path / "got").read_text() == '[["SIGHUP", 0]]'
    assert until(lambda: not Path(f"/proc/{command}").exists())


SHELL = """import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    _, status = os.waitpid(job, os.WUNTRACED)
    if not os.WIFSTOPPED(status):
        sys.exit(os.waitstatus_to_exitcode(status))
    os.write(1, b'job stopped\\n')
    os.kill(-job, signal.SIGCONT)
"""


def test_ctrl_z_stops_the_job_and_fg_goes_on(tmp_path: Path) -> None:
    out, status = at_terminal(tmp_path, sys.executable, "-c", SHELL, *RUN, *python(COUNTS), keys=b"\x1a")
    assert os.waitstatus_to_exitcode(status) == 0
    assert out.count(b"job stopped") == 1
    assert out.count(b"line") == 40


def test_ctrl_z_without_a_shell_stops_nothing(tmp_path: Path) -> None:
    out, status = at_terminal(tmp_path, *RUN, *python(COUNTS), keys=b"\x1a")  # as in a container: nobody could continue it
    assert os.waitstatus_to_exitcode(status) == 0
    assert out.count(b"line") == 40


def test_a_program_left_behind_keeps_its_reader(tmp_path: Path) -> None:
    code = "import os, time\nif os.fork() == 0:\n time.sleep(1.5)\n print('late', flush=True)"
    done = run(tmp_path, *python(code))
    assert done.returncode == 0
    assert b"late" in done.stdout


def test_wrong_usage_is_one_sentence(tmp_path: Path) -> None:
    bare = subprocess.run(RUN, capture_output=True, cwd=tmp_path, env=ENV, check=False)
    assert bare.returncode == 2
    assert b"name the command" in bare.stderr
