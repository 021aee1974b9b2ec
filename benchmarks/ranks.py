"""A job of a thousand ranks with a log file each: how long one diagnosis takes, and how much memory.

    python benchmarks/ranks.py                       # 1,024 ranks x 1 MB in a temporary folder
    python benchmarks/ranks.py --ranks 128 --keep /tmp/tree

The tree is torchrun's (`attempt_0/<rank>/stderr.log`), seeded: training lines of every rank, NCCL's information, warnings.
Rank 517 (or the middle one) misses a file at the end; all others wait for it until their watchdogs fire. Time is wall
clock and processor time of all processes; memory is the largest sum over all processes, as resident (RSS, what processes
share counted several times) and as proportional set size (PSS, counted once).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VARIANTS = 8
STEPS = 2000

STEP = "step {step} loss {loss:.5f} grad_norm {norm:.4f} lr {lr:.3e} step_time {time:.3f}\n"
NOISE = (
    "node-{node}:{pid}:{tid} [{device}] NCCL INFO Channel {a:02d}/0 : {b}[{device}] -> {c}[{device}] via P2P/CUMEM/read\n",
    "node-{node}:{pid}:{tid} [{device}] NCCL INFO Connected all rings, use ring PXN 0 GDR 1\n",
    "2026-11-24 02:{a:02d}:{b:02d},{c:03d} INFO data.loader: shard {c:05d} opened, {pid} samples, {tid} tokens\n",
    "2026-11-24 02:{a:02d}:{b:02d},{c:03d} WARNING data.loader: sample {pid} is longer than 4096 tokens and was cut\n",
    "    [profile] forward {a}.{b:02d} ms, backward {b}.{c:03d} ms, optimizer {a}.{a:02d} ms, data {b}.{b:02d} ms\n",
)
RAISED = """Traceback (most recent call last):
  File "/home/user/exp/train.py", line 214, in <module>
    main()
  File "/home/user/exp/data.py", line 88, in next_shard
    with open(path, "rb") as file:
FileNotFoundError: [Errno 2] No such file or directory: '/data/shards/04711.tar'
"""
WAITED = (
    "[rank{rank}]:[E1124 03:12:{second:02d}.{rank:09d} ProcessGroupNCCL.cpp:689] [Rank {rank}] Watchdog caught collective "
    "operation timeout: WorkNCCL(SeqNum={seq}, OpType=ALLREDUCE, NumelIn=65536, NumelOut=65536, Timeout(ms)=600000) ran for "
    "6000{second:02d} milliseconds before timing out.\n"
    "[rank{rank}]:[E1124 03:12:{second:02d}.{rank:09d} ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank {rank}]  "
    "failure detected by watchdog at work sequence id: {seq} PG status: last enqueued work: {seq}, last completed work: "
    "{before}\n"
)


def body(seed: int, size: int) -> str:
    """About `size` bytes of a rank's log, a training line in every fifth to tenth."""
    luck = random.Random(seed)
    parts: list[str] = []
    total, step = 0, 0
    room = size // STEPS
    while total < size:
        text = STEP.format(
            step=step,
            loss=11 / (1 + step / 50) + luck.random() / 10,
            norm=1 + luck.random(),
            lr=3e-4,
            time=0.7 + luck.random() / 50,
        )
        while len(text) < room:
            numbers = {name: luck.randrange(10, 60) for name in ("node", "a", "b", "c", "device")}
            text += luck.choice(NOISE).format(pid=luck.randrange(10_000, 99_999), tid=luck.randrange(10_000, 99_999), **numbers)
        parts.append(text)
        total, step = total + len(text), step + 1
    return "".join(parts)


def make(folder: Path, ranks: int, size: int, culprit: int) -> None:
    """Writes the tree."""
    bodies = [body(seed, size) for seed in range(VARIANTS)]
    for rank in range(ranks):
        place = folder / "none_k2x9" / "attempt_0" / str(rank)
        place.mkdir(parents=True)
        wait = WAITED.format(rank=rank, second=rank % 50, seq=STEPS + 1, before=STEPS)
        (place / "stderr.log").write_text(bodies[rank % VARIANTS] + (RAISED if rank == culprit else wait), "utf-8")


def memory(pid: int) -> tuple[int, int]:
    """(RSS, PSS) in kB of a process and all below it."""
    parents: dict[int, int] = {}
    for place in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(place.parent.name)] = int(place.read_text("utf-8", "replace").rpartition(")")[2].split()[1])
    family, size = {pid}, 0
    while len(family) > size:
        size = len(family)
        family |= {child for child, parent in parents.items() if parent in family}
    rss = pss = 0
    for one in family:
        with contextlib.suppress(OSError, KeyError, ValueError):
            rows = Path(f"/proc/{one}/smaps_rollup").read_text("ascii").splitlines()
            values = {row.split(":")[0]: int(row.split()[1]) for row in rows[1:]}
            rss, pss = rss + values["Rss"], pss + values["Pss"]
    return rss, pss


def measure(folder: Path) -> dict[str, object]:
    """Runs `analyze` on the tree and says what it took and what it found."""
    before, start = os.times(), time.monotonic()
    peak = [0, 0]
    process = subprocess.Popen(
        [sys.executable, "-m", "analyzer", str(folder), "--format", "json"], cwd=ROOT, stdout=subprocess.PIPE
    )
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.2):
            peak[:] = [max(a, b) for a, b in zip(peak, memory(process.pid), strict=True)]

    watcher = threading.Thread(target=watch)
    watcher.start()
    out = process.communicate()[0]
    done.set()
    watcher.join()
    after = os.times()
    found = json.loads(out)
    cause = found["first_cause"]
    return {
        "files": len(found["run"]["files"]),
        "rule": found["findings"][cause["finding"]]["rule"],
        "rank": cause["rank"],
        "line": cause["line"],
        "wall_s": round(time.monotonic() - start, 1),
        "cpu_s": round(after.children_user + after.children_system - before.children_user - before.children_system, 1),
        "peak_rss_mb": round(peak[0] / 1024),
        "peak_pss_mb": round(peak[1] / 1024),
    }


def main() -> None:
    """Makes the tree, unless it is there, and measures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--size", type=int, default=2**20, help="bytes a rank")
    parser.add_argument("--keep", type=Path, help="make the tree here, and use it when it is there")
    options = parser.parse_args()
    culprit = 517 if options.ranks > 517 else options.ranks // 2
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        if not (folder / "none_k2x9").exists():
            make(folder, options.ranks, options.size, culprit)
        result = measure(folder)
    print(json.dumps(result))
    if result["rank"] != culprit:
        sys.exit(f"the first cause is on rank {culprit}")


if __name__ == "__main__":
    main()
