"""`python -m lab.two_gpu prepare WHEELS | run WHEELS --into FOLDER | table FOLDER`."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

from lab.two_gpu.cases import SUPPORT, VERSIONS, Machine, failures, race
from lab.two_gpu.outcome import table
from lab.two_gpu.runs import run_all


def main(words: list[str] | None = None) -> int:
    """Runs a command."""
    parser = argparse.ArgumentParser(prog="python -m lab.two_gpu", description="Runs that need two GPUs.")
    commands = parser.add_subparsers(dest="command", required=True)
    preparing = commands.add_parser("prepare", help="build DeepSpeed's wheels and fetch what it imports")
    preparing.add_argument("wheels", type=Path)
    preparing.add_argument("--python", default="3.12", help="version of the Python that will run them")
    running = commands.add_parser("run", help="failures, then the race; keeps logs, results.jsonl and two_gpu.tar.xz")
    running.add_argument("wheels", type=Path)
    running.add_argument("--into", type=Path, required=True)
    running.add_argument("--only", nargs="+", default=["*"], help="patterns of the cases' names, the first one's first")
    running.add_argument("--jobs", type=int, default=4, help="runs at a time: both GPUs are shared")
    running.add_argument("--deadline", type=float, default=570.0, help="seconds after which no run is waited for")
    running.add_argument("--gpus", type=int, default=2, help="how many there are")
    running.add_argument("--ranks", type=int, help="how many take part (as many as GPUs); two share one GPU")
    running.add_argument("--steps", type=int, default=300, help="steps of the race")
    running.add_argument("--cpu", action="store_true", help="a dry run: gloo and CPUs, a smaller model, four steps")
    drawing = commands.add_parser("table", help="results.jsonl as Markdown")
    drawing.add_argument("folder", type=Path)
    given = parser.parse_args(words)
    return {"prepare": prepare, "run": run, "table": draw}[given.command](given)


def prepare(given: argparse.Namespace) -> int:
    """Wheels of every DeepSpeed version (pure Python: nothing is compiled before it is used) and of its needs."""
    given.wheels.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip"]
    for version in VERSIONS:
        command = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(given.wheels), f"deepspeed=={version}"]
        subprocess.run(command, check=True, env={**os.environ, "DS_BUILD_OPS": "0"})  # noqa: S603
    kinds = ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
    wanted = ["--only-binary=:all:", "--python-version", given.python, *(word for kind in kinds for word in ("--platform", kind))]
    subprocess.run([*pip, "download", "-q", "--no-deps", *wanted, "-d", str(given.wheels), *SUPPORT], check=True)  # noqa: S603
    return 0


def run(given: argparse.Namespace) -> int:
    """Runs the cases; 1 when none ended."""
    machine = Machine(0, given.ranks or 2) if given.cpu else Machine(given.gpus, given.ranks or given.gpus)
    known = (*failures(machine), *race(machine, given.steps))
    named = dict.fromkeys(case.name for pattern in given.only for case in known if fnmatch.fnmatch(case.name, pattern))
    cases = [case for name in named for case in known if case.name == name]
    rows = run_all(cases, given.wheels, given.into, given.jobs, given.deadline, machine)
    with tarfile.open(given.into / "two_gpu.tar.xz", "w:xz") as archive:
        for place in sorted(given.into.iterdir()):
            if place.is_dir() or place.name == "results.jsonl":
                archive.add(place, place.name)
    print(table(rows))
    return 0 if rows else 1


def draw(given: argparse.Namespace) -> int:
    """Prints the table."""
    text = (given.folder / "results.jsonl").read_text("utf-8")
    print(table([json.loads(line) for line in text.splitlines()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
