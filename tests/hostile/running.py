"""The command as its user runs it, with what it cost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_logs" / "hf-deepspeed" / "nanfrom-ds0.14.5-z2-bf16-hf444-s12" / "run.log"


class Outcome(NamedTuple):
    code: int
    out: str
    err: str
    seconds: float
    """CPU, the processes it started included."""
    megabytes: float
    """The most memory that it held."""


_MEASURED = """
import os, resource, signal, sys
out = int(sys.argv[1]); os.set_inheritable(out, False)
child = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
status = os.waitpid(child, 0)[1]
os.write(out, str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss).encode())
code = os.waitstatus_to_exitcode(status)
if code < 0:
    signal.signal(-code, signal.SIG_DFL) if -code != signal.SIGKILL else None
    os.kill(os.getpid(), -code)
os._exit(code)
"""
"""A small process between: a child of this one, which may be large, would be charged with what this one holds."""


def environment(**changes: str | None) -> dict[str, str]:
    """The surroundings of a command. It writes no bytecode: half of one, from a full disk, would stay in the clone."""
    changes = {"PYTHONDONTWRITEBYTECODE": "1", **changes}
    known = {**os.environ, "PYTHONPATH": str(ROOT), **{name: value for name, value in changes.items() if value is not None}}
    return {name: value for name, value in known.items() if changes.get(name, "") is not None}


def command(*arguments: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "analyzer", *arguments]


def run(
    *arguments: str | bytes, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None, env: Mapping[str, str] | None = None,
    cwd: Path | None = None, before: Callable[[], None] | None = None, prefix: Sequence[str] = (), limit: float = 120.0,
) -> Outcome:  # fmt: skip
    """Runs the command to its end; fails where it takes longer than `limit` seconds."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*prefix, sys.executable, "-S", "-c", _MEASURED, str(writing), *command(*arguments)], stdin=stdin or subprocess.DEVNULL,
            stdout=stdout or out, stderr=err, env=env or environment(), cwd=cwd, preexec_fn=before, pass_fds=(writing,), start_new_session=True,
        )  # fmt: skip
        os.close(writing)
        late = threading.Timer(limit, os.killpg, (process.pid, signal.SIGKILL))
        late.start()
        _, status, usage = os.wait4(process.pid, 0)
        late.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode == -9:
            pytest.fail(f"{arguments!r} did not end within {limit} s")
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    with os.fdopen(reading, "rb") as told:
        peak = int(told.read() or 0) / 1024
    return Outcome(process.returncode, *texts, usage.ru_utime + usage.ru_stime, peak)


def said(outcome: Outcome) -> str:
    """The one sentence on standard error; fails where it is more, or a traceback."""
    lines = outcome.err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("analyze: ") and lines[0].endswith((".", ").")), outcome.err
    return lines[0].removeprefix("analyze: ")


def inside(capsys: pytest.CaptureFixture[str], *arguments: str) -> Outcome:
    """The same in this process: no cost is measured."""
    from analyzer.cli import main

    with pytest.raises(SystemExit) as end:
        main(list(arguments))
    shown = capsys.readouterr()
    assert isinstance(end.value.code, int)
    return Outcome(end.value.code, shown.out, shown.err, 0.0, 0.0)
