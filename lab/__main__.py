"""`python -m lab list | run NAME… | label | check | install ENVIRONMENT FOLDER`."""

from __future__ import annotations

import argparse
import concurrent.futures
import fnmatch
import subprocess
import sys
from pathlib import Path

from lab.rows import HERE, ROWS, Row, rows, table_of, versions
from lab.runner import PROGRAMS, relabel, run, says

SAMPLES = HERE.parent / "sample_logs"


def main(words: list[str] | None = None) -> int:
    """Runs a command."""
    parser = argparse.ArgumentParser(prog="python -m lab", description="Programs that fail on purpose.")
    parser.add_argument("--rows", type=Path, default=ROWS, help="folder of the rows")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="every row: name, environment, fault, command")
    running = commands.add_parser("run", help="run rows and keep their logs as samples")
    running.add_argument("names", nargs="*", help="names or patterns; without, every row of --environment")
    running.add_argument("--environment", default="", help="only rows of this environment")
    running.add_argument("--into", type=Path, default=SAMPLES)
    running.add_argument("--programs", type=Path, default=PROGRAMS)
    running.add_argument("--missing", action="store_true", help="only rows that have no sample yet")
    running.add_argument("--jobs", type=int, default=1)
    labelling = commands.add_parser("label", help="write what the rows say now into samples that were run before")
    labelling.add_argument("--into", type=Path, default=SAMPLES)
    checking = commands.add_parser("check", help="diagnose every sample and print the table; --write FILE also writes it")
    checking.add_argument("--write", type=Path, nargs="?", const=HERE.parent / "docs" / "lab.md")
    installing = commands.add_parser("install", help="make the virtual environment of an environment")
    installing.add_argument("environment")
    installing.add_argument("folder", type=Path)
    given = parser.parse_args(words)
    if given.command == "check":
        from lab.check import check

        return check(given.write)
    return {"list": show, "run": run_all, "label": label_all, "install": install}[given.command](given)


def show(given: argparse.Namespace) -> int:
    """Prints every row."""
    for row in rows(given.rows).values():
        print(f"{row.name:48} {row.environment:10} {row.fault:20} {row.command}")
    return 0


def run_all(given: argparse.Namespace) -> int:
    """Runs the rows that were asked for; 1 when none is."""
    chosen = [row for row in rows(given.rows).values() if wanted(row, given)]
    with concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        for row, done in zip(chosen, pool.map(lambda row: attempt(row, given), chosen), strict=True):
            print(f"{row.name}: {done}", flush=True)
    return 0 if chosen else 1


def wanted(row: Row, given: argparse.Namespace) -> bool:
    """Whether a row was asked for."""
    if given.environment not in ("", row.environment) or (given.missing and (given.into / row.name).exists()):
        return False
    return not given.names or any(fnmatch.fnmatch(row.name, name) for name in given.names)


def attempt(row: Row, given: argparse.Namespace) -> str:
    """Runs a row; what to say of it."""
    try:
        code, size = run(row, given.into, given.programs)
    except (OSError, subprocess.SubprocessError) as error:
        return f"not run: {error}"
    return f"exit {code}, {size} bytes"


def label_all(given: argparse.Namespace) -> int:
    """Labels every sample that has a row."""
    for row in rows(given.rows).values():
        path = given.into / row.name / "provenance.toml"
        if path.exists() and not says(row, table_of(path)):
            relabel(row, path.parent)
    return 0


def install(given: argparse.Namespace) -> int:
    """Makes a virtual environment with the packages of `versions.toml`."""
    packages = []
    for name, version in versions()[given.environment]["packages"].items():
        if not isinstance(version, str):
            print(
                f"{given.environment} is no single environment, its {name} is one of {', '.join(version)}: install one by hand."
            )
            return 2
        packages.append(f"{name}=={version}")
    subprocess.run([sys.executable, "-m", "venv", str(given.folder)], check=True)  # noqa: S603
    return subprocess.run([str(given.folder / "bin" / "pip"), "install", *packages], check=False).returncode  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
