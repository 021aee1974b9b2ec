"""Seeded logs of any size: a training script, DeepSpeed, Megatron, torchtitan and progress bars writing into one file.

`density` is the share of lines with a step's metrics; the rest is what stands between them in real logs: bars, NCCL's
information, timers, memory reports, warnings, loaders. The same seed makes the same bytes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

LINES = 2000
"""Lines that are written at a time."""


def _stamp(step: int) -> str:
    return f"2024-03-{step // 86400 % 28 + 1:02d} {step // 3600 % 24:02d}:{step // 60 % 60:02d}:{step % 60:02d}"


def hf_trainer(luck: random.Random, step: int) -> str:
    """The Trainer's dict."""
    loss, norm = 2.5 / (1 + step / 1e5) + luck.random() / 5, luck.uniform(0.1, 3)
    return f"{{'loss': {loss:.4f}, 'grad_norm': {norm!r}, 'learning_rate': {2e-5 * (1 - step % 62500 / 62500):.8g}, 'epoch': {step / 62500:.2f}}}"


def deepspeed(luck: random.Random, step: int) -> str:
    """DeepSpeed's step and throughput reports."""
    head = f"[{_stamp(step)},{step % 1000:03d}] [INFO] "
    if step % 2:
        return (
            f"{head}[logging.py:96:log_dist] [Rank 0] step={step}, skipped=3, lr=[2e-05, 2e-06], mom=[(0.9, 0.999), (0.9, 0.999)]"
        )
    return (
        f"{head}[timer.py:260:stop] epoch={step // 62500}/micro_step={step}/global_step={step}, RunningAvgSamplesPerSec={42 + luck.random()!r}, "
        f"CurrSamplesPerSec={42 + luck.random()!r}, MemAllocated=22.1GB, MaxMemAllocated=38.4GB"
    )


def megatron(luck: random.Random, step: int) -> str:
    """Megatron's iteration line."""
    return (
        f" [{_stamp(step)}] iteration {step:8d}/  500000 | consumed samples: {step * 1024:12d} | elapsed time per iteration (ms): "
        f"{luck.uniform(900, 1200):.1f} | throughput per GPU (TFLOP/s/GPU): {180 + luck.random():.1f} | learning rate: 3.000000E-04 | "
        f"global batch size:  1024 | lm loss: {2.5 + luck.random() / 5:.6E} | loss scale: 65536.0 | grad norm: {luck.uniform(0.1, 3):.3f} | "
        "number of skipped iterations:   0 | number of nan iterations:   0 |"
    )


def torchtitan(luck: random.Random, step: int) -> str:
    """torchtitan's coloured line."""
    return (
        f"[rank0]:{_stamp(step)},{step % 1000:03d} - root - INFO - \x1b[31mstep: {step:2d}  \x1b[32mloss: {2.5 + luck.random() / 5:7.4f}  "
        f"\x1b[38;2;180;60;0mgrad_norm: {luck.uniform(0.1, 3):7.4f}  \x1b[33mmemory: 33.38GiB(42.16%)  \x1b[34mtps: {2800 + step % 99:,}  "
        "\x1b[36mtflops: 47.10  \x1b[35mmfu: 40.20%\x1b[39m"
    )


KINDS: dict[str, tuple[Callable[[random.Random, int], str], ...]] = {
    "mixed": (hf_trainer, deepspeed, megatron, torchtitan),
    "hf": (hf_trainer,),
    "megatron": (megatron,),
}


def between(luck: random.Random) -> str:
    """A line without a step's metrics."""
    at = luck.randrange(62500)
    stamp = f"[2024-06-{luck.randint(1, 28):02d} {luck.randrange(24):02d}:{luck.randrange(60):02d}:{luck.randrange(60):02d},{luck.randrange(1000):03d}]"
    made = (
        f"\r{at * 100 // 62500:3d}%|{'█' * (at * 10 // 62500):<10}| {at}/62500 [{luck.randrange(1, 99)}:02:03<9:03:04, {luck.uniform(0.5, 9):5.2f}s/it]",
        f"{stamp} [INFO] [utils.py:802:see_memory_usage] MA {luck.uniform(1, 80):.2f} GB         Max_MA 61.2 GB         CA 70.11 GB         Max_CA 71 GB ",
        f"{stamp} [INFO] [logging.py:96:log_dist] [Rank 0] time (ms) | fwd: {luck.uniform(1, 900):.2f} | bwd: {luck.uniform(1, 900):.2f} | step: 3.10",
        f"node24:{luck.randint(999, 99999)}:{luck.randint(999, 99999)} [{luck.randrange(8)}] NCCL INFO Channel {luck.randrange(32):02d}/0 : 7[0] -> 0[0] via P2P/CUMEM/read",
        f"Some weights of the model checkpoint at /ckpt/base were not used when initializing: ['model.layers.{luck.randrange(32)}.mlp.down_proj.weight']",
        f"INFO:dataset:loaded shard {luck.randrange(99999):05d}-of-99999 samples={luck.randint(1, 10**6)} path=/data/pile/{luck.getrandbits(32):08x}.parquet",
        f"/opt/conda/lib/python3.10/site-packages/torch/utils/checkpoint.py:{luck.randint(20, 400)}: UserWarning: the use_reentrant parameter should be passed explicitly.",
        f"  [profile] forward {luck.uniform(1, 900):.2f} ms, backward {luck.uniform(1, 900):.2f} ms, data {luck.uniform(1, 90):.2f} ms",
    )  # fmt: skip
    return luck.choice(made)


def quiet(luck: random.Random) -> str:
    """A line without a step's metrics and without a word that any reader looks for."""
    stamp = f"2024-06-{luck.randint(1, 28):02d} {luck.randrange(24):02d}:{luck.randrange(60):02d}:{luck.randrange(60):02d}"
    made = (
        f"{stamp} | loader-{luck.randrange(8)} | fetched batch {luck.randrange(10**6)} in {luck.random():.4f}s queue={luck.randrange(65)} worker=0x{luck.getrandbits(48):012x}",
        f"GET /api/v1/objects/{luck.getrandbits(64):016x} 200 {luck.randint(100, 99999)} bytes {luck.randint(1, 900)} ms user-agent=fsspec",
        f"[dataloader] worker {luck.randrange(64)} shard {luck.randrange(99999):05d} tokens {luck.randint(1, 10**9)} cached",
        f"  [profile] forward {luck.uniform(1, 900):.2f} ms, backward {luck.uniform(1, 900):.2f} ms, data {luck.uniform(1, 90):.2f} ms",
    )  # fmt: skip
    return luck.choice(made)


BETWEEN: dict[str, Callable[[random.Random], str]] = {"told": between, "quiet": quiet}
"""What stands between the metrics: lines that readers look at, or lines without any of their words."""


def pieces(size: int, density: float, kind: str = "mixed", seed: int = 0, others: str = "told") -> Iterator[bytes]:
    """The bytes of a log of about `size` bytes, piece by piece."""
    luck, step, written = random.Random(seed), 0, 0
    pool = [BETWEEN[others](luck) for _ in range(4000)]
    makers = KINDS[kind]
    yield b"[2024-03-01 10:00:09,000] [INFO] [logging.py:96:log_dist] [Rank 0] DeepSpeed info: version=0.14.5, git-hash=unknown\n"
    while written < size:
        lines = []
        for _ in range(LINES):
            if luck.random() < density:
                step += 1
                lines.append(makers[step % len(makers)](luck, step))
            else:
                lines.append(luck.choice(pool))
        piece = ("\n".join(lines) + "\n").encode()
        written += len(piece)
        yield piece


def write(path: Path, size: int, density: float, kind: str = "mixed", seed: int = 0, others: str = "told") -> None:
    """Writes a log."""
    with path.open("wb") as file:
        file.writelines(pieces(size, density, kind, seed, others))
