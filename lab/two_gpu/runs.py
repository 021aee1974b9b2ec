"""Starts the cases, several at a time, until a deadline, and keeps every log with its provenance.

What is kept is what `2>&1 | tee run.log` would hold, with the machine's paths and its name replaced. A case that the deadline cut
off leaves nothing: what is in the table has a log.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final

from lab.two_gpu.cases import Case, Machine
from lab.two_gpu.outcome import ROW, outcome

HERE: Final = Path(__file__).parent
SHIM: Final = HERE.parent / "programs" / "old_deepspeed"
"""What DeepSpeed up to 0.12 needs under a newer torch and numpy."""
PROGRAMS: Final = (HERE / "llava.py", HERE.parent / "torchrun_faults.py")
DEEPSPEED: Final = "import sys; sys.argv[0] = 'deepspeed'; from deepspeed.launcher.runner import main; main()"
PORT: Final = 29700


def unpack(wheels: Path, into: Path) -> None:
    """Every wheel below `into`: DeepSpeed's a folder each, the others in `base`."""
    for wheel in sorted(wheels.glob("*.whl")):
        name, version = wheel.name.split("-")[:2]
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(into / (f"deepspeed-{version}" if name == "deepspeed" else "base"))


def run_all(
    cases: Sequence[Case], wheels: Path, into: Path, jobs: int, deadline: float, machine: Machine
) -> list[dict[str, Any]]:
    """Runs as many cases as the deadline (seconds from now) allows; the rows of those that ended, also in `results.jsonl`."""
    until, lock, rows = time.monotonic() + deadline, Lock(), []
    with tempfile.TemporaryDirectory() as folder:
        unpack(wheels, Path(folder) / "packages")
        into.mkdir(parents=True, exist_ok=True)

        def one(numbered: tuple[int, Case]) -> None:
            number, case = numbered
            left = until - time.monotonic()
            if left < min(case.limit, 60) / 2:
                return
            row = _run(case, PORT + number, Path(folder), into, min(left, case.limit), machine)
            if row is None:
                return
            with lock:
                rows.append(row)
                with (into / "results.jsonl").open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
                print(json.dumps({key: row[key] for key in ("name", "seconds", "exit_code", "outcome")}), flush=True)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(one, enumerate(cases)))
    return rows


def _run(case: Case, port: int, folder: Path, into: Path, limit: float, machine: Machine) -> dict[str, Any] | None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        for program in PROGRAMS:
            shutil.copy(program, place)
        (Path(place) / "ds_config.json").write_text(json.dumps(case.config, indent=1), "utf-8")
        command = _command(case, port, machine)
        start = time.monotonic()
        text, code, is_cut = _capture(command, Path(place), _environment(case, folder / "packages", machine), limit)
        if is_cut and limit < case.limit:
            return None
        log = _neutral(text, Path(place), folder / "packages")
        row = {
            "name": case.name, "fault": case.fault, "launcher": case.launcher, "deepspeed": case.deepspeed, "rank": case.rank,
            "command": " ".join(["python", *command[1:]]), "exit_code": code, "is_cut": is_cut,
            "seconds": round(time.monotonic() - start, 1), **outcome(log),
        }  # fmt: skip
        kept = into / case.name
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "run.log").write_text(log, "utf-8")
        (kept / "provenance.toml").write_text(provenance(case, row, log, machine, _facts(machine)), "utf-8")
        for dump in sorted(Path(place).glob("nccl_trace_rank_*")):
            (kept / dump.name).write_bytes(_neutral_dump(dump.read_bytes(), Path(place)))
        if case.config:
            shutil.copy(Path(place) / "ds_config.json", kept)
        return row


def _command(case: Case, port: int, machine: Machine) -> list[str]:
    ranks = str(machine.ranks)
    launchers: dict[str, Callable[[], list[str]]] = {
        "torchrun": lambda: ["-m", "torch.distributed.run", "--nproc-per-node", ranks, "--master-port", str(port)],
        "deepspeed": lambda: ["-c", DEEPSPEED, "--num_gpus", ranks, "--master_port", str(port)],
        "accelerate": lambda: [
            "-m", "accelerate.commands.launch", "--num_processes", ranks, "--num_machines", "1", "--mixed_precision", "no",
            "--dynamo_backend", "no", "--main_process_port", str(port), "--multi_gpu",
        ],
    }  # fmt: skip
    return [sys.executable, *launchers[case.launcher](), case.program, *case.options]


def _environment(case: Case, packages: Path, machine: Machine) -> dict[str, str]:
    places = [SHIM, packages / "base", *([packages / f"deepspeed-{case.deepspeed}"] if case.deepspeed else [])]
    forced = {} if machine.gpus else {"DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    forced["TORCH_EXTENSIONS_DIR"] = str(packages / f"built-{case.deepspeed}")  # a build that was killed leaves a lock behind
    path = os.pathsep.join([*map(str, places), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", **forced, **case.environment}


def _capture(command: Sequence[str], place: Path, environment: dict[str, str], limit: float) -> tuple[str, int, bool]:
    """(log, exit code, whether it was stopped at the limit); the whole family of processes is ended then."""
    process = subprocess.Popen(  # noqa: S603
        command, cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.communicate(timeout=limit)[0].decode("utf-8", "replace"), process.returncode, False
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGTERM)
    try:
        text = process.communicate(timeout=15)[0]
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        text = process.communicate()[0]
    return text.decode("utf-8", "replace"), process.returncode, True


def _neutral(text: str, place: Path, packages: Path) -> str:
    """The log without the machine's paths and name."""
    home = str(Path(sys.executable).parent.parent)
    for mine, neutral in (
        (str(place), "/home/user/exp"),
        (str(packages), "/opt/packages"),
        (home, "/opt/venv"),
        (sys.base_prefix, "/usr"),
    ):
        text = text.replace(mine, neutral) if len(mine) > 4 else text
    for name in {socket.gethostname(), socket.getfqdn()} - {"localhost"}:
        text = re.sub(rf"\b{re.escape(name)}\b", "node-1", text)
    return text


def _neutral_dump(dump: bytes, place: Path) -> bytes:
    """A pickle without the machine's paths, as long as it was: strings in it are counted, and slashes more are the same path."""
    for mine, neutral in ((str(place), "/home/user/exp"), (str(Path(sys.executable).parent.parent), "/opt/venv")):
        if len(mine) >= len(neutral):
            dump = dump.replace(mine.encode(), neutral.ljust(len(mine), "/").encode())
    return dump


def _facts(machine: Machine) -> dict[str, str]:
    """What is the same for all runs on a machine."""
    import platform

    import torch

    device = f"{machine.gpus}x {torch.cuda.get_device_name(0)}" if machine.gpus else "CPU"
    facts = {"torch": torch.__version__.partition("+")[0], "python": platform.python_version(), "device": device}
    if machine.gpus:
        facts["cuda"] = str(torch.version.cuda)
    return facts


def _expected(outcome: str, log: str) -> list[str]:
    """The rules that must find what became of a run. A norm that is not finite prints √k up to 0.13.1 and from 0.16.6 on."""
    if outcome != "nan":
        return ["grad-constant"] if outcome == "norm stuck" else []
    last = ROW.findall(log)[-1][2]
    return ["loss-nan", "grad-constant" if math.isfinite(float(last or "nan")) else "grad-nan"]


def provenance(case: Case, row: dict[str, Any], log: str, machine: Machine, facts: dict[str, str]) -> str:
    """The run as `provenance.toml`; `facts` are versions and the device."""
    line = next((number for number, text in enumerate(log.splitlines(), 1) if any(mark in text for mark in case.marks)), 0)
    found = json.dumps(_expected(row["outcome"], log))
    settings = "".join(f"{name}={value} " for name, value in case.environment.items())
    sharing = f", shared by {machine.ranks} ranks" if machine.is_shared else ""
    rows = [
        f'program = "torch {facts["torch"]} ({"NCCL" if machine.gpus else "gloo"})"',
        f"command = '''{settings}{row['command']}'''",
        f'hardware = "{facts["device"]}{sharing}"',
        f'fault = "{case.fault}"',
        f'root_cause = "{case.cause}"',
        *([] if case.rank is None else ["injected_at_step = 20", f"first_cause_line = {line}"]),
        *([] if case.rank is None else [f"first_cause_rank = {case.rank}" if case.is_told else 'ranks_apart = "0-1"']),
        f"healthy = {str(row['outcome'] == 'healthy' and case.rank is None).lower()}",
        *(["expected = []", f"expected_any = {json.dumps(case.expected)}"] if case.expected else [f"expected = {found}"]),
        *([f'notes = ["ended with SIGTERM after {case.limit:.0f} s"]'] if row["is_cut"] else []),
        f"exit_code = {row['exit_code']}",
        f'outcome = "{row["outcome"]}"',
        'origin = "made for this project by lab/two_gpu"',
        'changes = "paths and the name of the machine neutralised"',
        "",
        "[versions]",
        *([f'deepspeed = "{case.deepspeed}"'] if case.deepspeed else []),
        *(f'{name} = "{value}"' for name, value in facts.items()),
    ]
    return "\n".join(rows) + "\n"
