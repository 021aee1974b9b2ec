"""Runs the programs of `torchrun_faults.py` and keeps each log as a sample: `python -m lab.torchrun_runs [CASE …]`.

Needs a Python with torch: `LAB_PYTHON=/path/to/python`. What is kept is what `2>&1 | tee run.log` would hold, with the
machine's paths and its name replaced. `disk-full` wants a small file system: `mount -t tmpfs -o size=1m tmpfs /mnt/small`
(or `LAB_SMALL=/path`).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
SAMPLES: Final = HERE.parent / "sample_logs" / "torch-distributed"
PYTHON: Final = os.environ.get("LAB_PYTHON", sys.executable)
PLACE: Final = os.environ.get("LAB_PLACE")
"""Where to run, for cases that keep binary files: paths in them cannot be replaced, so they must be neutral already."""
SMALL: Final = os.environ.get("LAB_SMALL", "/mnt/small")


@dataclass(frozen=True)
class Case:
    """One run: the fault, where and when, and what must be found. `rank` None: nobody fails."""

    fault: str
    cause: str
    rank: int | None
    mark: str = ""
    """What the line of the first cause holds; for a rank that prints nothing, the first line that tells of it."""
    at: int = 20
    ranks: int = 4
    options: tuple[str, ...] = ()
    launcher: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    expected: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()


CASES: Final = {
    "healthy-gloo4": Case("healthy", "none", None),
    "raises-gloo4": Case(
        "rank_raises",
        "rank 2's data file was missing",
        2,
        "FileNotFoundError: ",
        expected=("traceback",),
        tolerated=("rank-failure",),
    ),
    "raises-gloo8-tee": Case(
        "rank_raises",
        "rank 5's data file was missing; --tee prefixes every line with its rank",
        5,
        "FileNotFoundError: ",
        ranks=8,
        launcher=("--tee", "3"),
        expected=("traceback",),
        tolerated=("rank-failure",),
    ),
    "sigkill-gloo8": Case(
        "rank_killed",
        "rank 6 was killed with SIGKILL",
        6,
        "exitcode  : -9",
        ranks=8,
        expected=("killed-by-signal",),
        tolerated=("rank-failure",),
    ),
    "sleeps-gloo4": Case(
        "rank_sleeps",
        "rank 1 stopped taking part for longer than the time-out",
        1,
        "Timed out waiting",
        expected=("collective-timeout",),
        tolerated=("rank-failure",),
    ),
    "disagree-gloo4": Case(
        "ranks_disagree",
        "rank 3 gathered where the others summed: nobody was answered",
        3,
        "Timed out waiting",
        expected=("collective-timeout",),
        tolerated=("rank-failure",),
    ),
    "disagree-recorder-gloo4": Case(
        "ranks_disagree",
        "rank 2 gathered where the others summed; every rank wrote its flight recorder's dump",
        2,
        "Timed out waiting",
        options=("--recorder", "nccl_trace_rank_"),
        environment={"TORCH_FR_BUFFER_SIZE": "64"},
        expected=("collective-timeout",),
        tolerated=("rank-failure",),
    ),
    "disagree-detail-gloo4": Case(
        "ranks_disagree",
        "rank 3 gathered where the others summed; torch compared the collectives (TORCH_DISTRIBUTED_DEBUG=DETAIL)",
        3,
        "Rank 3 is running collective",
        environment={"TORCH_DISTRIBUTED_DEBUG": "DETAIL"},
        expected=("communication-error",),
        tolerated=("rank-failure",),
    ),
    "sizes-gloo4": Case(
        "sizes_disagree",
        "rank 1's tensor was shorter than the others'",
        1,
        "op.preamble.length",
        expected=("communication-error",),
        tolerated=("rank-failure",),
    ),
    "lateoutput-gloo4": Case(
        "late_output",
        "rank 2 raised into a buffered standard output",
        2,
        "ValueError: ",
        launcher=("--monitor-interval", "5"),
        expected=("traceback",),
        tolerated=("rank-failure",),
    ),
    "diskfull-gloo4": Case(
        "disk_full",
        "rank 0 saved onto a full file system",
        0,
        "enforce fail at inline_container",
        options=("--save-to", f"{SMALL}/checkpoint.pt"),
        expected=("disk-full",),
        tolerated=("rank-failure",),
    ),
}


def main(names: list[str]) -> None:
    """Runs the named cases, or all."""
    for name in names or CASES:
        folder = SAMPLES / name
        folder.mkdir(parents=True, exist_ok=True)
        text, code = run(CASES[name], folder)
        (folder / "run.log").write_text(text, "utf-8")
        (folder / "provenance.toml").write_text(provenance(CASES[name], text, code), "utf-8")
        print(f"{name}: exit {code}, {text.count(chr(10))} lines")


def arguments(case: Case) -> list[str]:
    """What stands behind `python`."""
    program = ["torchrun_faults.py", case.fault, "--at", str(case.at), "--rank", str(-1 if case.rank is None else case.rank)]
    launcher = ["-m", "torch.distributed.run", "--nproc-per-node", str(case.ranks), "--master-port", "29611", *case.launcher]
    return [*launcher, *program, *case.options]


def run(case: Case, kept: Path) -> tuple[str, int]:
    """(log, exit code) of a case; dumps of the flight recorder are copied to `kept`."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(PLACE or folder)
        place.mkdir(parents=True, exist_ok=True)
        (place / "torchrun_faults.py").write_bytes((HERE / "torchrun_faults.py").read_bytes())
        done = subprocess.run(  # noqa: S603
            [PYTHON, *arguments(case)], cwd=place, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=300,
            env={**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": folder, **case.environment},
        )  # fmt: skip
        for dump in sorted(place.glob("nccl_trace_rank_*")):
            shutil.move(dump, kept / dump.name)
        return neutral(done.stdout.decode("utf-8", "replace"), folder), done.returncode


def neutral(text: str, folder: str) -> str:
    """The log without the machine's paths and name."""
    prefix = str(Path(PYTHON).parent.parent)
    home = subprocess.run([PYTHON, "-c", "import sys; print(sys.base_prefix)"], stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
    places = ((folder, "/home/user/exp"), (prefix, "/opt/venv"), (home.stdout.strip(), "/usr"), (SMALL, "/mnt/checkpoints"))
    for mine, neutral_ in places:
        text = text.replace(mine, neutral_)
    text = re.sub(rf"\b{re.escape(socket.gethostname())}\b", "node-1", text)
    return re.sub(rf"\b{re.escape(socket.getfqdn())}\b", "node-1", text)


def provenance(case: Case, text: str, code: int) -> str:
    """The sample's provenance."""
    version = subprocess.run(  # noqa: S603
        [PYTHON, "-c", "import platform, torch; print(torch.__version__, platform.python_version())"],
        stdout=subprocess.PIPE, text=True, check=True,
    ).stdout.split()  # fmt: skip
    torch, python = version[0].partition("+")[0], version[1]
    line = next((i for i, row in enumerate(text.splitlines(), 1) if case.mark and case.mark in row), 0)
    settings = "".join(f"{name}={value} " for name, value in case.environment.items())
    rows = [
        f'program = "torch {torch} (gloo)"',
        f'command = "{settings}python {" ".join(arguments(case))}"'.replace(SMALL, "/mnt/checkpoints"),
        'hardware = "CPU"',
        f'fault = "{case.fault}"',
        f'root_cause = "{case.cause}"',
        *(
            [f"injected_at_step = {case.at}", f"first_cause_rank = {case.rank}", f"first_cause_line = {line}"]
            if case.rank is not None
            else []
        ),
        f"healthy = {str(case.rank is None).lower()}",
        f"expected = {list(case.expected)}".replace("'", '"'),
        f"tolerated = {list(case.tolerated)}   # true, but secondary".replace("'", '"'),
        f"exit_code = {code}",
        'origin = "made for this project by lab/torchrun_runs.py, 2026-11-24"',
        'changes = "paths and the name of the machine neutralised"',
        "",
        "[versions]",
        f'torch = "{torch}"',
        f'python = "{python}"',
        'device = "CPU"',
    ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    main(sys.argv[1:])
