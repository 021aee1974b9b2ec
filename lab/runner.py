"""Starts a row's program and keeps what `2>&1 | tee run.log` would hold, with its provenance.

The program runs in an empty folder with copies of `programs/`, its standard output and error in one pipe, its input empty.
Nothing is taken out of the log; the paths and the name of the machine are replaced, and the provenance says so.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Final

from lab.rows import HERE, Row, table_of, versions

PROGRAMS: Final = HERE / "programs"
LONG: Final = 200_000
"""Bytes above which a log is stored compressed."""
LIMIT: Final = 300.0
"""Seconds after which a run that should have ended is killed."""
PACKAGES: Final = (
    "torch",
    "transformers",
    "accelerate",
    "deepspeed",
    "peft",
    "trl",
    "lightning",
    "datasets",
    "tokenizers",
    "numpy",
)

FRAMEWORKS: Final = {
    "train_lightning.py": "lightning", "train_trl.py": "trl", "train_accelerate.py": "accelerate", "train_hf.py": "transformers",
    "train_ds.py": "deepspeed",
}  # fmt: skip
LABELS: Final = (
    "fault", "root_cause", "injected_at_step", "healthy", "expected", "expected_any", "causes", "cause_is_first", "tolerated",
    "misses", "why_missed",
)  # fmt: skip

ASK: Final = """
import importlib.metadata as m, json, os, platform, sys
found = {}
for name in %r:
    try: found[name] = m.version(name).partition('+')[0]
    except m.PackageNotFoundError: pass
found['python'] = platform.python_version()
device = 'CPU'
try:
    import torch
    if torch.cuda.is_available():
        device = '1x ' + torch.cuda.get_device_name(0); found['cuda'] = torch.version.cuda
except ImportError: pass
sites = [p for p in sys.path if p.endswith("site-packages")]
sites += [p for p in os.environ.get("PYTHONPATH", "").split(":") if os.path.isabs(p)]
print(json.dumps({'versions': found, 'device': device, 'sites': sites, 'prefix': [sys.prefix, sys.base_prefix]}))
"""


def run(row: Row, into: Path, programs: Path = PROGRAMS) -> tuple[int, int]:
    """Runs `row` and writes its sample below `into`. Returns its exit code and the number of bytes logged."""
    environment = surroundings(row.environment)
    facts = ask(environment)
    with tempfile.TemporaryDirectory(prefix="lab") as folder:
        place = Path(folder)
        for program in programs.glob("*.py"):
            shutil.copy(program, place)
        sample = into / row.name
        for name in row.inputs:
            shutil.copy(sample / name, place)
        log, code = capture(row.command, place, {**environment, **row.variables}, row.cut or LIMIT)
        shutil.rmtree(sample, ignore_errors=True)
        sample.mkdir(parents=True)
        text = neutral(log, place, facts)
        name = write_log(sample, text)
        for pattern in (*row.inputs, *row.keep):
            for path in sorted(place.glob(pattern)):
                target = sample / path.relative_to(place)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
        (sample / "provenance.toml").write_text(provenance(row, facts, code, name), "utf-8")
    return code, len(log)


def surroundings(name: str) -> dict[str, str]:
    """The variables of the process: the Python of environment `name` comes first in PATH."""
    python = os.environ.get(f"LAB_PYTHON_{name.upper().replace('-', '_')}") or os.environ.get("LAB_PYTHON") or sys.executable
    paths = [os.environ.get(f"LAB_PATH_{name.upper().replace('-', '_')}", ""), os.environ.get("PYTHONPATH", "")]
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if versions().get(name, {}).get("device") == "CPU" else {}
    return {
        **os.environ, **hidden, "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
        "PYTHONPATH": ":".join(path for path in paths if path),
        "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def ask(environment: dict[str, str]) -> dict[str, object]:
    """Versions, device and paths of an environment, as its own Python says."""
    asked = subprocess.run(  # noqa: S603
        ["python", "-c", ASK % (PACKAGES,)],  # noqa: S607
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return dict(json.loads(asked.stdout.splitlines()[-1]))


def capture(command: str, place: Path, environment: dict[str, str], limit: float) -> tuple[bytes, int]:
    """(what `bash run.sh 2>&1 | tee run.log` writes, exit code) of `command`, started in `place`; 124 when it was cut."""
    (place / "run.sh").write_text(command + "\n")
    started = subprocess.Popen(
        ["bash", "run.sh"], cwd=place, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,  # noqa: S607
        stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=_heed_interrupts,
    )  # fmt: skip
    try:
        return started.communicate(timeout=limit)[0], started.returncode
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGKILL)
        return started.communicate()[0], 124


def _heed_interrupts() -> None:
    """Ctrl-C works in the program also where the lab itself was started in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def neutral(log: bytes, place: Path, facts: dict[str, object]) -> bytes:
    """The log without the machine's paths and name."""
    prefix = [str(path) for path in facts["prefix"]]  # type: ignore[attr-defined]
    sites = [str(path) for path in facts["sites"]]  # type: ignore[attr-defined]
    swaps = [(str(place), "/home/user/exp"), (str(place.resolve()), "/home/user/exp")]
    swaps += [(path, "/opt/venv/lib/python3/site-packages") for path in sorted(set(sites), key=len, reverse=True)]
    swaps += [(prefix[0], "/opt/venv"), (prefix[1], "/usr")]
    for mine, theirs in swaps:
        log = log.replace(mine.encode(), theirs.encode())
    for name in {socket.gethostname(), socket.getfqdn()}:
        log = re.sub(rb"(?<![\w.-])" + re.escape(name.encode()) + rb"(?![\w-])", b"node-1", log)
    return log


def write_log(sample: Path, log: bytes) -> str:
    """Writes the log, compressed when it is long; its name."""
    if len(log) <= LONG:
        (sample / "run.log").write_bytes(log)
        return "run.log"
    (sample / "run.log.gz").write_bytes(gzip.compress(log, 9, mtime=0))
    return "run.log.gz"


def provenance(row: Row, facts: dict[str, object], code: int, log: str) -> str:
    """The sample's `provenance.toml`."""
    installed: dict[str, str] = facts["versions"]  # type: ignore[assignment]
    main = FRAMEWORKS.get(row.program)
    program = (f"{main} {installed.get(main, '?')}, " if main else "") + f"torch {installed.get('torch', 'not installed')}"
    cut = f"; killed after {row.cut:g} s" if code == 124 else ""
    fields: dict[str, object] = {
        "program": program, "command": row.command, "hardware": facts["device"], **label(row),
        **({"log": log} if log != "run.log" else {}), "exit_code": code,
        "origin": f"made for this project by lab/, {date.today().isoformat()}",
        "changes": f"paths and the name of the machine neutralised{cut}",
    }  # fmt: skip
    return written(fields, installed)


def label(row: Row) -> dict[str, object]:
    """What a row says of its sample: the fault and what must be found."""
    given: dict[str, object] = {
        "fault": row.fault, "root_cause": row.root_cause, "injected_at_step": row.at, "healthy": row.healthy,
        "expected": list(row.expected), "expected_any": list(row.expected_any), "causes": list(row.causes),
        "cause_is_first": row.first or None, "tolerated": list(row.tolerated), "misses": list(row.misses),
        "why_missed": row.why_missed,
    }  # fmt: skip
    return {key: value for key, value in given.items() if key == "expected" or value not in (None, "", [])}


def says(row: Row, provenance: dict[str, object]) -> bool:
    """Whether a sample's provenance says what its row says."""
    return {key: provenance[key] for key in LABELS if key in provenance} == label(row)


def relabel(row: Row, sample: Path) -> None:
    """Writes what the row says now into the provenance of a sample that was run before; what was run stays."""
    path = sample / "provenance.toml"
    old = table_of(path)
    installed = old.pop("versions")
    kept = {key: value for key, value in old.items() if key not in LABELS}
    first = {key: kept.pop(key) for key in ("program", "command", "hardware")}
    path.write_text(written({**first, **label(row), **kept}, installed), "utf-8")


def written(fields: dict[str, object], installed: dict[str, str]) -> str:
    """Provenance as TOML."""
    lines = [f"{key} = {toml(value)}" for key, value in fields.items()]
    return "\n".join([*lines, "", "[versions]", *(f"{key} = {toml(value)}" for key, value in installed.items())]) + "\n"


def toml(value: object) -> str:
    """A string, number, truth value or list of strings as TOML."""
    if isinstance(value, tuple | list):
        return "[" + ", ".join(json.dumps(part) for part in value) + "]"
    return json.dumps(value, ensure_ascii=False)
