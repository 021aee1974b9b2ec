"""The command as its user runs it, with what it cost."""

from __future__ import annotations

import os
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
    """The most memory that it held; 0 where that was less than this process holds itself, which hides it."""


def environment(**changes: str | None) -> dict[str, str]:
    known = {**os.environ, "PYTHONPATH": str(ROOT), **{name: value for name, value in changes.items() if value is not None}}
    return {name: value for name, value in known.items() if changes.get(name, "") is not None}


def command(*arguments: str | bytes) -> list[str | bytes]:
    return [sys.executable, "-m", "analyzer", *arguments]


def run(
    *arguments: str | bytes, stdin: IO[bytes] | None = None, stdout: IO[bytes] | None = None, env: Mapping[str, str] | None = None,
    cwd: Path | None = None, before: Callable[[], None] | None = None, prefix: Sequence[str] = (), limit: float = 120.0,
) -> Outcome:  # fmt: skip
    """Runs the command to its end; fails where it takes longer than `limit` seconds."""
    ours = _held()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            [*prefix, *command(*arguments)], stdin=stdin or subprocess.DEVNULL, stdout=stdout or out, stderr=err, env=env or environment(),
            cwd=cwd, preexec_fn=before,
        )  # fmt: skip
        late = threading.Timer(limit, process.kill)
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
    return Outcome(process.returncode, *texts, usage.ru_utime + usage.ru_stime, _peak(usage.ru_maxrss / 1024, ours))


def _held() -> float:
    """Megabytes that this process holds: a child begins with them, and the system counts them as its own."""
    if not os.path.exists("/proc/self/statm"):
        return 0.0
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def _peak(counted: float, ours: float) -> float:
    return 0.0 if counted < ours + 8 else counted


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
