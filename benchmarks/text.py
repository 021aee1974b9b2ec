"""How fast a text log is read: the whole command beside what else one would run, in one go on the same bytes.

    python -m benchmarks.text                          100 MB logs, peers on 2 MB
    python -m benchmarks.text --megabytes 1000         1 GB
    python -m benchmarks.text --large 10000            a 10 GB log too: is the memory flat?
    python -m benchmarks.text --peers /path/to/bin     where `runmedic`, `losslint`, … are installed

Everything is counted in CPU seconds (user and system, of all processes) and in the largest resident size, so that a loaded
machine distorts it less; the order is interleaved and the best of `--runs` counts. *ripgrep* counts the lines that hold any of
the very hints that the tool looks for (`rg -c -j1 -F -f`); `re` looks for them line by line in Python, on a hundredth.
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import logs

ROOT = Path(__file__).resolve().parent.parent
PEERS = {
    "runmedic": ("runmedic", "diagnose"),
    "losslint": ("losslint", "check"),
    "trainspotter": ("trainspotter", "analyze"),
    "trainproof": ("trainproof", "doctor"),
}
SEARCH = """
import re, sys
hints = [line.rstrip(b"\\n") for line in open(sys.argv[1], "rb")]
found = re.compile(b"|".join(map(re.escape, hints))).search
print(sum(1 for line in open(sys.argv[2], "rb") if found(line)))
"""


class Cost(NamedTuple):
    """What a command took: CPU seconds, wall seconds, the largest resident size of its processes in MB, exit code."""

    cpu: float
    wall: float
    rss: float
    code: int


def cost(command: Sequence[str], limit: float = 600.0) -> Cost:
    """Runs a command to its end, or kills it after `limit` seconds (code -9). It finds bytecode, as an installed one does."""
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    killer = threading.Timer(limit, process.kill)
    killer.start()
    _, status, usage = os.wait4(process.pid, 0)
    killer.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return Cost(usage.ru_utime + usage.ru_stime, time.perf_counter() - begin, usage.ru_maxrss / 1024, process.returncode)


def best(commands: dict[str, Sequence[str]], runs: int) -> dict[str, Cost]:
    """The cheapest of several runs of each command, interleaved."""
    found: dict[str, Cost] = {}
    for _ in range(runs):
        for name, command in commands.items():
            one = cost(command)
            found[name] = min(found.get(name, one), one, key=lambda cost: cost.cpu)
    return found


def analyze(path: Path, *words: str) -> list[str]:
    """The whole command, its report thrown away."""
    return [sys.executable, "-m", "analyzer", str(path), *words]


def write_hints(path: Path) -> int:
    """The literals that the tool looks for, one a line; how many."""
    from analyzer.diagnosis import known_signatures
    from parsers.read import make_router

    hints = make_router(known_signatures()).hints
    path.write_bytes(b"\n".join(hints) + b"\n")
    return len(hints)


def text(folder: Path, megabytes: int, runs: int) -> None:
    """Speed beside ripgrep and `re`, plain and compressed."""
    size, hints = megabytes * 10**6, folder / "hints.txt"
    count = write_hints(hints)
    print(f"\n{megabytes} MB of text, {count:,} hints, best of {runs}\n")
    print("| log | command | CPU s | MB per CPU-second | of ripgrep | peak RSS MB |\n|---|---|---|---|---|---|")
    for density, others in ((0.05, "quiet"), (0.05, "told"), (1.0, "told")):
        path, small = folder / f"{density}-{others}.log", folder / "small.log"
        logs.write(path, size, density, others=others)
        logs.write(small, max(size // 100, 10**6), density, others=others)
        commands: dict[str, Sequence[str]] = {"analyze": analyze(path)}
        if shutil.which("rg"):
            commands = {"ripgrep, the same hints": ["rg", "-c", "-j1", "-a", "-F", "-f", str(hints), str(path)], **commands}
        if others == "quiet":
            commands |= {f"analyze, {suffix}": analyze(_packed(path, suffix)) for suffix in (".gz", ".zst")}
        found = best(commands, runs)
        found["Python `re`, the same hints"] = cost([sys.executable, "-c", SEARCH, str(hints), str(small)])
        real, tiny = path.stat().st_size, small.stat().st_size
        floor = found.get("ripgrep, the same hints")
        for name, one in found.items():
            rate = (tiny if "re`" in name else real) / one.cpu / 1e6
            share = f"{rate / (real / floor.cpu / 1e6):.3f}" if floor else "–"
            what = f"{density:.0%} metric lines" + (", the others without a hint" if others == "quiet" else "")
            print(f"| {what} | {name} | {one.cpu:.2f} | {rate:.1f} | {share} | {one.rss:.0f} |", flush=True)
        for file in folder.glob(f"{density}-{others}.log*"):
            file.unlink()


def _packed(path: Path, suffix: str) -> Path:
    packed = path.with_name(path.name + suffix)
    if suffix == ".gz":
        with path.open("rb") as plain, gzip.open(packed, "wb", compresslevel=6) as file:
            shutil.copyfileobj(plain, file, 2**20)
    else:
        import zstandard

        with path.open("rb") as plain, packed.open("wb") as file:
            zstandard.ZstdCompressor(3).copy_stream(plain, file)
    return packed


def cores(folder: Path, megabytes: int) -> None:
    """Is one file read faster with two cores than with one?"""
    taskset = shutil.which("taskset")
    if not taskset or (os.cpu_count() or 1) < 2:
        print("\nTwo cores: not measured, there is one core or no `taskset`.")
        return
    print("\n| MB | cores | CPU s | wall s | wall of one core by this |\n|---|---|---|---|---|")
    for density in (0.05, 1.0):
        path = folder / f"cores-{density}.log"
        logs.write(path, megabytes * 10**6, density)
        single = 0.0
        for count in (1, 2):
            one = cost([taskset, "-c", ",".join(map(str, range(count))), *analyze(path)], 7200)
            single = single or one.wall
            print(
                f"| {megabytes}, {density:.0%} | {count} | {one.cpu:.1f} | {one.wall:.1f} | {single / one.wall:.2f} |", flush=True
            )
        path.unlink()


def growth(folder: Path, sizes: Sequence[int]) -> None:
    """Does the cost grow with the size, and the memory not?"""
    print("\n| MB, 5 % metric lines | CPU s | MB per CPU-second | wall s | peak RSS MB |\n|---|---|---|---|---|")
    for megabytes in sizes:
        path = folder / "growing.log"
        logs.write(path, megabytes * 10**6, 0.05)
        one = cost(analyze(path), 7200)
        print(f"| {megabytes:,} | {one.cpu:.1f} | {megabytes / one.cpu:.1f} | {one.wall:.1f} | {one.rss:.0f} |", flush=True)
        path.unlink()


def start(folder: Path, runs: int) -> None:
    """What a small log and the help take."""
    path = folder / "one.log"
    logs.write(path, 10**6, 0.05)
    found = best(
        {
            "bare `python -c pass`": [sys.executable, "-c", "pass"],
            "`analyze --help`": [sys.executable, "-m", "analyzer", "--help"],
            "1 MB, terminal": analyze(path),
            "1 MB, HTML": analyze(path, "-o", str(folder / "one.html")),
        },
        runs + 2,
    )
    print("\n| command | CPU s | wall s | peak RSS MB |\n|---|---|---|---|")
    for name, one in found.items():
        print(f"| {name} | {one.cpu:.2f} | {one.wall:.2f} | {one.rss:.0f} |", flush=True)


def live(folder: Path) -> None:
    """What ten new lines of a growing log take, rules included."""
    from analyzer.live.session import Session
    from parsers.discover import RunFiles

    path = folder / "live.log"
    pieces = b"".join(logs.pieces(10**6, 0.2, "hf")).splitlines(True)
    taken = []
    with path.open("wb", buffering=0) as file:
        file.write(b"".join(pieces[:200]))
        session = Session(RunFiles(str(path), (str(path),)), 0.0)
        session.look(0.0)
        for number, at in enumerate(range(200, min(len(pieces), 6200) - 10, 10), 1):
            file.write(b"".join(pieces[at : at + 10]))
            begin = time.process_time()
            session.look(5.0 * number)
            taken.append(time.process_time() - begin)
    taken.sort()
    print(
        f"\nTen new lines of a growing log, {len(taken)} times: median {1e3 * taken[len(taken) // 2]:.2f} ms, "
        f"99th percentile {1e3 * taken[int(0.99 * len(taken))]:.2f} ms CPU"
    )


def peers(folder: Path, place: str, runs: int) -> None:
    """Speed beside the tools that read finished logs, on a Trainer's log of 2 MB."""
    path = folder / "hf.log"
    logs.write(path, 2 * 10**6, 0.3, "hf")
    big = folder / "hf-big.log"
    logs.write(big, 100 * 10**6, 0.3, "hf")
    print(
        "\n| on a Trainer's log | MB | CPU s | MB per CPU-second | exit code | analyze is faster by |\n|---|---|---|---|---|---|"
    )
    ours = best({"analyze": analyze(big)}, runs)["analyze"]
    rate = 100 / ours.cpu
    print(f"| analyze | 100 | {ours.cpu:.2f} | {rate:.2f} | {ours.code} | – |")
    for name, command in PEERS.items():
        program = shutil.which(command[0], path=f"{place}:{os.environ.get('PATH', '')}" if place else None)
        if program is None:
            print(f"| {name} | – | – | not installed | – | – |")
            continue
        one = cost([program, *command[1:], str(path)])
        print(f"| {name} | 2 | {one.cpu:.2f} | {2 / one.cpu:.2f} | {one.code} | {rate / (2 / one.cpu):.0f}× |", flush=True)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=100)
    parser.add_argument("--large", type=int, nargs="*", default=[], help="sizes in MB whose memory is compared")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--peers", default="", metavar="BIN")
    parser.add_argument("--folder", help="where the logs are made (default: a temporary folder)")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        print(f"Python {sys.version.split()[0]}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        start(folder, asked.runs)
        live(folder)
        text(folder, asked.megabytes, asked.runs)
        peers(folder, asked.peers, asked.runs)
        cores(folder, 2 * asked.megabytes)
        if asked.large:
            growth(folder, asked.large)


if __name__ == "__main__":
    main()
