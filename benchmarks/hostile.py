"""The hostile list at full size: what the whole command answers, and what that costs in CPU seconds and memory.

    python -m benchmarks.hostile                      100 MB of each
    python -m benchmarks.hostile --megabytes 1024 --only letters 'empty lines'

The tests of `tests/hostile` hold smaller inputs of the same kinds to the same bounds.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

UNITS: dict[str, bytes] = {
    "letters": b"a", "blanks": b" ", "empty lines": b"\n", "redraws": b"\r", "crlf": b"\r\n", "nuls": b"\0", "bytes": b"\xff",
    "braces": b"{'loss': {", "dicts in one line": b"{'loss': 1.0, ", "bars in one line": b" 10%|", "escapes": b"\x1b[31m",
    "digits": b"9", "openings of tracebacks": b"Traceback (most recent call last):\n", "lines of a letter": b"x\n",
}  # fmt: skip
"""What files are filled with."""


def cost(path: Path) -> tuple[int, float, float, str]:
    """Exit code, CPU seconds of all processes, the largest resident size of one in MB, and standard error of `analyze PATH`."""
    with tempfile.TemporaryFile() as err:
        command = [sys.executable, "-m", "analyzer", str(path)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        err.seek(0)
        return process.returncode, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, err.read().decode("utf-8", "replace")


def filled(path: Path, unit: bytes, size: int) -> None:
    """A file of one thing over and over."""
    part = unit * (2**20 // len(unit))
    with path.open("wb") as file:
        for _ in range(size):
            file.write(part)


def hole(path: Path, size: int) -> None:
    """A file without any content."""
    with path.open("wb") as file:
        file.truncate(size * 2**20)


def bomb(path: Path, size: int) -> None:
    """Empty lines that were packed well."""
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(size):
            file.write(b"\n" * 2**20)


def keys(path: Path, size: int) -> None:
    """One object of as many keys as fit."""
    with path.open("w") as file:
        file.write('{"loss": 1.0, "step": 3')
        file.writelines(f', "k{number}": 0.5' for number in range(size * 60_000))
        file.write("}")


def names(path: Path, size: int) -> None:
    """Every line has a metric of its own."""
    with path.open("w") as file:
        for number in range(size * 22_000):
            file.write(f"{{'loss': 1.0, 'm{number}': {number}.5, 'epoch': 0.1}}\n")


def deep(path: Path, size: int) -> None:
    """JSON without a bottom."""
    with path.open("w") as file:
        file.write('{"log_history":')
        for _ in range(size):
            file.write('{"a":' * (2**20 // 5))


def inputs() -> dict[str, tuple[str, Callable[[Path, int], None]]]:
    """Name → (name of the file, what makes it)."""
    found: dict[str, tuple[str, Callable[[Path, int], None]]] = {
        name: ("run.log", lambda path, size, unit=unit: filled(path, unit, size))  # type: ignore[misc]
        for name, unit in UNITS.items()
    }
    found["hole"] = "run.log", hole
    found["bomb"] = "run.log.gz", bomb
    found["a new name in every line"] = "run.log", names
    for name in ("run.log", "trainer_state.json", "metrics.jsonl", "ds_config.json"):
        found[f"keys without end: {name}"] = name, keys
        found[f"depth without end: {name}"] = name, deep
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    asked = parser.parse_args()
    print("| input | MB | exit code | CPU s | peak RSS MB | sentence |\n|---|---|---|---|---|---|")
    for name, (file, make) in inputs().items():
        if asked.only and name not in asked.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / file
            make(path, asked.megabytes)
            size = path.stat().st_size / 1e6
            code, cpu, rss, err = cost(path)
        said = err.replace(folder, "…").strip().replace("\n", " / ").replace("|", "\\|")
        print(f"| {name} | {size:.1f} | {code} | {cpu:.1f} | {rss:.0f} | {said[:160]} |", flush=True)


if __name__ == "__main__":
    main()
