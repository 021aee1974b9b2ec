r"""How fast `analyze scan` is: trees of N runs of about 100 KB, scanned cold, warm and again.

    python benchmarks/batch.py --runs 2000 --jobs 2                    make, scan, print one row
    python benchmarks/batch.py --runs 2000 8000 50000 --jobs 2         growth: a row a size
    python benchmarks/batch.py --make /tmp/tree --runs 2000            make the tree only
    python benchmarks/batch.py --runs 2000 --density 0.3               runs with more metric lines

A run is a Trainer's or DeepSpeed's log of `--size` bytes of which `--density` of the lines carry metrics (5 % by default,
as in real logs of long runs; the rest are bars, library warnings, NCCL and loader lines) beside its `ds_config.json`.
Two runs in three are healthy; the others die of NaN, zero losses, device memory, a collective's timeout or a signal. The
same seed makes the same bytes; no two runs are equal.

Columns: *warm* is the rate of the scan's own workers behind the first 100 runs of each, *CPU ms a run* what `diagnose` takes in
one process, *cold* the whole command with an empty cache, *again* the whole command with nothing changed (nor the tool itself);
RSS is the largest resident size of a worker. On a loaded machine the CPU figures say more than the seconds.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

FATES = ("healthy", "healthy", "nan", "healthy", "healthy", "zero", "healthy", "healthy", "oom", "healthy", "healthy",
         "timeout", "healthy", "healthy", "signal")  # fmt: skip
FIRST = 100
"""Runs that a worker does before it is warm: lines of most kinds were seen by then."""

VERSIONS = ("0.12.6", "0.14.5", "0.16.9")

ENDINGS = {
    "oom": [
        "Traceback (most recent call last):",
        '  File "/home/user/train.py", line 214, in <module>',
        "    trainer.train()",
        "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB (GPU 0; 79.15 GiB total capacity; "
        "74.20 GiB already allocated; 1.12 GiB free; 77.01 GiB reserved in total by PyTorch)",
    ],
    "timeout": [
        "[rank3]:[E ProcessGroupNCCL.cpp:563] [Rank 3] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=812, "
        "OpType=ALLREDUCE, NumelIn=52428800, NumelOut=52428800, Timeout(ms)=600000) ran for 600087 milliseconds before timing out.",
        "[rank3]:[E ProcessGroupNCCL.cpp:577] [Rank 3] To avoid data inconsistency, we are taking the entire process down.",
    ],
    "signal": ["slurmstepd: error: *** JOB 4711 ON node07 CANCELLED AT 2024-05-03T12:00:00 DUE TO TIME LIMIT ***"],
}  # fmt: skip


def noise(rng: random.Random, total: int) -> str:
    """A line that says nothing about the training."""
    kind = rng.randrange(6)
    at = rng.randint(1, total)
    if kind == 0:
        return f"\r{at * 100 // total:3d}%|{'█' * (at * 10 // total):<10}| {at}/{total} [1:02:03<2:03:04, {rng.uniform(0.5, 9):5.2f}s/it]"
    if kind == 1:
        return f"/opt/conda/lib/python3.10/site-packages/torch/utils/checkpoint.py:{rng.randint(20, 400)}: UserWarning: torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly."
    if kind == 2:
        return f"node07:{rng.randint(999, 99999)}:{rng.randint(999, 99999)} [{rng.randint(0, 7)}] NCCL INFO Channel {rng.randint(0, 31):02d}/32 : 0[{rng.randint(0, 7)}] -> 1[{rng.randint(0, 7)}] via P2P/CUMEM/read"
    if kind == 3:
        return f"[2024-05-03 11:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d},123] [INFO] [utils.py:802:see_memory_usage] MA {rng.uniform(1, 80):.2f} GB         Max_MA 61.20 GB         CA 70.11 GB         Max_CA 71 GB "
    if kind == 4:
        return f"INFO:dataset:opened shard {rng.randint(0, 99999):05d}-of-99999 samples={rng.randint(1, 10**6)} path=/data/{rng.getrandbits(32):08x}.parquet"
    return f"Some weights of the checkpoint were not used when initializing: ['model.layers.{rng.randint(0, 31)}.self_attn.q_proj.weight']"


def record(rng: random.Random, number: int, total: int, fate: str) -> str:
    """The Trainer's dict line of one log step."""
    loss, norm = 2.5 * 0.99**number + 0.1 + 0.05 * rng.random(), rng.uniform(0.5, 1.5)
    late = number > 0.6 * total
    if late and fate == "nan":
        return f"{{'loss': nan, 'grad_norm': nan, 'learning_rate': {2e-5 * (1 - number / total):.6g}, 'epoch': {number / total:.2f}}}"
    if late and fate == "zero":
        loss, norm = 0.0, 1.0
    return (
        f"{{'loss': {loss:.4f}, 'grad_norm': {norm!r}, 'learning_rate': {2e-5 * (1 - number / total):.6g}, "
        f"'epoch': {number / total:.2f}}}"
    )


def log(seed: int, index: int, size: int, density: float, pool: list[str]) -> str:
    """One run's log."""
    rng = random.Random(seed * 1_000_003 + index)
    fate = FATES[index % len(FATES)]
    lines = [f"run {index} of seed {seed}", "[2024-05-03 10:00:00,000] [INFO] [real_accelerator.py:161:get_accelerator] Setting ds_accelerator to cuda (auto detect)",
             f"[2024-05-03 10:00:09,000] [INFO] [logging.py:96:log_dist] [Rank 0] DeepSpeed info: version={VERSIONS[index % 3]}, git-hash=unknown, git-branch=unknown"]  # fmt: skip
    rows = max(12, int(density * size / 125))
    gap = max(0, round((1 - density) / density))
    length = sum(map(len, lines))
    for number in range(1, rows + 1):
        lines.append(record(rng, number, rows, fate))
        lines.append(
            f"\r{number * 100 // rows:3d}%|{'█' * (number * 10 // rows):<10}| {number}/{rows} [00:{number % 60:02d}<01:00,  1.01s/it]"
        )
        for _ in range(gap - 1):
            lines.append(pool[rng.randrange(len(pool))])
        length += sum(map(len, lines[-gap - 1 :])) + gap + 1
        if length > size:
            break
    if fate == "healthy":
        lines.append(
            "{'train_runtime': 3723.1, 'train_samples_per_second': 12.1, 'train_steps_per_second': 1.5, 'train_loss': 0.61, 'epoch': 1.0}"
        )
    return "\n".join([*lines, *ENDINGS.get(fate, [])]) + "\n"


def make(folder: Path, runs: int, size: int = 100_000, density: float = 0.05, seed: int = 0) -> None:
    """A tree of runs, a hundred to a folder."""
    rng = random.Random(seed)
    pool = [noise(rng, 1000) for _ in range(4000)]
    for index in range(runs):
        place = folder / f"sweep-{index // 100:04d}" / f"run-{index:06d}"
        place.mkdir(parents=True)
        (place / "run.log").write_text(log(seed, index, size, density, pool), "utf-8")
        config = {"zero_optimization": {"stage": index % 4}, "bf16": {"enabled": True}, "train_micro_batch_size_per_gpu": 4}
        (place / "ds_config.json").write_text(json.dumps(config), "utf-8")


def _rate(folder: str, jobs: int, limit: int) -> tuple[float, float]:
    """(runs a second, largest worker in MB) of the scan's own workers, behind the runs that warm them up."""
    import gc
    import resource

    from analyzer.batch.local import results
    from analyzer.batch.task import Task, Work
    from analyzer.cli import COLLECTIONS
    from analyzer.diagnosis import Options
    from parsers.discover import find_runs

    gc.set_threshold(*COLLECTIONS)  # as the command sets it
    tasks = [Task(files) for files in find_runs([folder])][:limit]
    first = min(FIRST * jobs, len(tasks) // 2)
    begin = 0.0
    for done, _ in enumerate(results(tasks, Work(Options()), jobs), 1):
        if done == first:
            begin = time.perf_counter()
    seconds = time.perf_counter() - begin
    return (len(tasks) - first) / seconds, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def warm(folder: Path, jobs: int, limit: int) -> tuple[float, float]:
    """As `_rate`, in a process of its own: what it counts of its workers must be theirs alone."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_rate, str(folder), jobs, limit).result()


def judging(folder: Path, limit: int) -> float:
    """CPU milliseconds a run of one process that does nothing else, once it is warm."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_judging, [str(path.parent) for path in sorted(folder.glob("*/*/run.log"))[:limit]]).result()


def _judging(places: list[str]) -> float:
    import gc

    from analyzer import diagnose
    from analyzer.cli import COLLECTIONS

    gc.set_threshold(*COLLECTIONS)
    first = min(FIRST, len(places) // 2)
    begin = 0.0
    for number, place in enumerate(places):
        if number == first:
            begin = time.process_time()
        diagnose(place)
    return 1e3 * (time.process_time() - begin) / (len(places) - first)


def command(folder: Path, cache: Path, jobs: int) -> tuple[float, float]:
    """(wall, CPU) seconds of the whole command."""
    import resource

    begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    words = ["scan", str(folder), "--jobs", str(jobs), "--cache", str(cache), "--output", str(cache.parent / "table.txt")]
    subprocess.run([sys.executable, "-m", "analyzer", *words], check=True, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begin, cpu


def measure(runs: int, jobs: int, size: int, density: float, seed: int) -> str:
    """A row of the table."""
    with tempfile.TemporaryDirectory() as place:
        folder, cache = Path(place) / "tree", Path(place) / "cache.db"
        make(folder, runs, size, density, seed)
        (rate, rss), each = warm(folder, jobs, min(runs, 4000)), judging(folder, min(runs, 1000))
        (cold, cold_cpu), (again, again_cpu) = command(folder, cache, jobs), command(folder, cache, jobs)
        load, stored = os.getloadavg()[0], cache.stat().st_size / 1e6
        cells = (
            f"{runs:>6}", f"{rate:>5.0f}", f"{each:>5.1f}", f"{cold:>6.1f}", f"{cold_cpu:>6.1f}", f"{runs / cold:>5.0f}",
            f"{again:>5.2f}", f"{again_cpu:>5.2f}", f"{rss:>4.0f}", f"{stored:>5.0f}", f"{load:>4.1f}",
        )  # fmt: skip
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, nargs="+", default=[2000])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--density", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--make", type=Path)
    asked = parser.parse_args()
    if asked.make:
        make(asked.make, asked.runs[0], asked.size, asked.density, asked.seed)
        return
    print("|   runs | warm/s | CPU ms a run | cold s | CPU s | runs/s | again s | CPU s | RSS MB | cache MB | load |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    row = partial(measure, jobs=asked.jobs, size=asked.size, density=asked.density, seed=asked.seed)
    for runs in asked.runs:
        print(row(runs), flush=True)


if __name__ == "__main__":
    main()
