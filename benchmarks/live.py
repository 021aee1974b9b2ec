"""Real training on a CPU with a fault at a known step, watched from outside: how late the warning comes; healthy runs beside.

python -m benchmarks.live --python /opt/lab/bin/python trainer --runs 20      # a transformers Trainer
python -m benchmarks.live --python /opt/lab/bin/python deepspeed --runs 20    # a DeepSpeed engine's loop

The programs and the faults are those of `lab/programs`; the interpreter is one that has torch and the framework. After each
faulty run comes a healthy one of another seed. A warning is in time when it comes within one logging interval, measured by that
run's own steps, plus two seconds, counted from the beginning of the faulty step. `--jobs` runs so many at once.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

PROGRAMS = Path(__file__).parents[1] / "lab" / "programs"
FAULTS = ("nan_from", "weight_lost", "log_of_zero", "loss_zeroed", "raises", "token_oob")
STEPS = 150
GRACE = 2.0
"""Seconds that a warning may come after one logging interval."""
CONFIG = {
    "train_micro_batch_size_per_gpu": 8,
    "gradient_clipping": 1.0,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
    "zero_optimization": {"stage": 1},
    "steps_per_print": 5,
}
NO_COMPILER = (
    "import sys, runpy, deepspeed.comm.torch as t; t.build_shm_op = lambda: None; "
    "sys.argv = sys.argv[1:]; sys.path.insert(0, '.'); runpy.run_path(sys.argv[0], run_name='__main__')"
)
"""Starts a program without compiling DeepSpeed's kernel for shared memory, which several ranks on one host would use."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A framework: its command, what it logs every so many steps."""

    command: tuple[str, ...]
    every: int


KINDS = {
    "trainer": Kind(
        ("train_hf.py", "--ta", f"max_steps={STEPS}", "--ta", "logging_steps=5", "--ta", "use_cpu=true", "--ta", "report_to=[]"),
        5,
    ),
    "deepspeed": Kind(("-c", NO_COMPILER, "train_ds.py", "--steps", str(STEPS)), 1),
}


@dataclass(frozen=True, slots=True)
class Told:
    """A run and what its watcher said."""

    seed: int
    fault: str
    at: int
    lag: float | None
    allowed: float
    said: tuple[str, ...]
    watch_code: int
    code: int
    left: float
    """Seconds from the warning to the end of the program."""

    @property
    def is_good(self) -> bool:
        """Warned in time and stopped (a crash stops by itself), or silent on a healthy run that ended well."""
        if self.fault == "none":
            return not self.said and self.watch_code == self.code == 0
        return self.lag is not None and self.lag <= self.allowed and self.code != 0 and self.watch_code in (0, 5)

    def __str__(self) -> str:
        lag = "never" if self.lag is None else f"{self.lag:.2f}"
        verdict = "ok  " if self.is_good else "MISS"
        text = f"{verdict} {self.seed:3d} {self.fault:12}"
        if self.fault != "none":
            text += f" at {self.at:3d} warned after {lag} s of {self.allowed:.2f}, gone {self.left:.2f} s later"
        return f"{text}; watch {self.watch_code}, program {self.code}: {', '.join(self.said) or 'nothing said'}"


def environment() -> dict[str, str]:
    """One thread, no GPU, and what an engine of one rank needs."""
    port = str(20000 + int.from_bytes(os.urandom(2), "big") % 20000)
    ranks = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return {**os.environ, **ranks, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}


def prepare(folder: Path) -> None:
    """Copies the programs and writes DeepSpeed's configuration."""
    for program in PROGRAMS.glob("*.py"):
        shutil.copy(program, folder)
    (folder / "ds_config.json").write_text(json.dumps(CONFIG))


def steps(diary: Path) -> dict[int, float]:
    """When each step began."""
    rows = (line.split() for line in diary.read_text().splitlines()) if diary.exists() else ()
    return {int(step): float(moment) for step, moment in rows}


def one(python: str, kind: Kind, seed: int, fault: str, at: int) -> Told:
    """Runs a program and its watcher to their ends."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder)
        command = [python, *kind.command, "--seed", str(seed), "--fault", fault, "--at", str(at)]
        command += ["--pace", "0.03", "--diary", "diary"]
        with (folder / "run.log").open("wb") as log:
            program = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=environment())
        with ThreadPoolExecutor(1) as waiter:
            gone = waiter.submit(lambda: (program.wait(), time.time())[1])
            watch_code, said = watched(folder / "run.log", program.pid)
            if program.poll() is None and watch_code not in (0, 1, 5):
                program.send_signal(signal.SIGKILL)
        return judged(seed, fault, at, kind.every, steps(folder / "diary"), said, (watch_code, program.returncode), gone.result())


def watched(log: Path, process: int) -> tuple[int, list[tuple[float, str]]]:
    """The exit code of `analyze watch`, and when it said what."""
    command = [sys.executable, "-m", "analyzer", "watch", str(log), "--stop-pid", str(process), "--yes", "--grace", "5"]
    watcher = subprocess.Popen([*command, "--format", "jsonl"], stdout=subprocess.PIPE, text=True)
    assert watcher.stdout is not None
    said = [(time.time(), json.loads(line)) for line in watcher.stdout]
    events = [(moment, event["finding"]) for moment, event in said if event["event"] == "found"]
    return watcher.wait(), [(moment, f"{f['severity']} {f['rule']} at {f['first_step']}") for moment, f in events]


def judged(
    seed: int, fault: str, at: int, every: int, begun: dict[int, float], said: list[tuple[float, str]],
    codes: tuple[int, int], ended: float,
) -> Told:  # fmt: skip
    """The run, held against when its faulty step began."""
    moment = begun.get(at, 0.0)
    paces = [b - a for (step, a), (_, b) in pairwise(sorted(begun.items())) if step < at or not moment]
    allowed = every * (median(paces) if paces else 0.0) + GRACE
    first = next((when for when, _ in said), None)
    lag = first - moment if first is not None and moment else None
    words = tuple(("" if fault == "none" or when >= moment else "BEFORE ") + word for when, word in said)
    if lag is not None and lag < 0:
        lag = None  # said before there was anything to say: a false alarm is no warning
    return Told(seed, fault, at, lag, allowed, words, *codes, ended - first if first is not None else 0.0)


def plan(runs: int) -> Iterator[tuple[int, str, int]]:
    """Seed, fault and step of faulty runs and healthy ones in turn."""
    for k in range(runs):
        yield 2 * k, FAULTS[k % len(FAULTS)], 60 + 7 * k % 61
        yield 2 * k + 1, "none", 0


def main() -> int:
    """Prints a line for each run and a summary; 1 when one of them missed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("--python", default=os.environ.get("LAB_PYTHON", sys.executable))
    parser.add_argument("--runs", type=int, default=20, help="faulty runs, and as many healthy ones")
    parser.add_argument("--jobs", type=int, default=1)
    wish = parser.parse_args()
    with ThreadPoolExecutor(wish.jobs) as pool:
        told = []
        for result in pool.map(lambda row: one(wish.python, KINDS[wish.kind], *row), plan(wish.runs)):
            print(result, flush=True)
            told.append(result)
    for is_healthy in (False, True):
        some = [run for run in told if (run.fault == "none") == is_healthy]
        lags = sorted(run.lag for run in some if run.lag is not None)
        slow = f"; warned after {median(lags):.2f} s (median), {lags[-1]:.2f} s (longest)" if lags else ""
        print(f"{wish.kind}, {'healthy' if is_healthy else 'faulty'}: {sum(run.is_good for run in some)} of {len(some)}{slow}")
    return 0 if all(run.is_good for run in told) else 1


if __name__ == "__main__":
    raise SystemExit(main())
