"""Faults of process groups that need no training loop: `collectives.py CASE`, under torchrun where the case has two ranks.

dup_gpu        two ranks use GPU 0: NCCL refuses
watchdog       a kernel that never ends stalls the stream: NCCL's watchdog fires (one rank, one GPU)
store_timeout  the second rank never comes
gloo_sleep     rank 1 stops taking part
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import timedelta

import torch
import torch.distributed as dist

CASES: dict[str, Callable[[int], None]] = {}


def case(run: Callable[[int], None]) -> Callable[[int], None]:
    """Registers a case under its function's name."""
    CASES[run.__name__] = run
    return run


def train(device: str, before: Callable[[int], None]) -> None:
    """Sums gradients by hand and prints each step; `before` is called first in every step."""
    model = torch.nn.Linear(256, 256).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs, began = torch.randn(64, 256, device=device), time.time()
    for step in range(200):
        before(step)
        loss = (model(inputs) - inputs).pow(2).mean()
        loss.backward()
        for weight in model.parameters():
            dist.all_reduce(weight.grad)
        optimizer.step()
        optimizer.zero_grad()
        if dist.get_rank() == 0:
            print(f"step {step} loss {loss.item():.5f} elapsed {time.time() - began:.2f}s", flush=True)


@case
def dup_gpu(_at: int) -> None:
    """Two ranks use GPU 0."""
    torch.cuda.set_device(0)
    dist.init_process_group("nccl", timeout=timedelta(seconds=60))
    dist.all_reduce(torch.ones(4, device="cuda"))


@case
def watchdog(at: int) -> None:
    """A kernel that never ends stalls the stream at step `at`."""
    torch.cuda.set_device(0)
    dist.init_process_group("nccl", timeout=timedelta(seconds=15))
    train("cuda", lambda step: torch.cuda._sleep(int(2e9) * 120) if step == at else None)


@case
def store_timeout(_at: int) -> None:
    """The other rank never comes: set RANK=0 WORLD_SIZE=2 and start one process."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=15))


@case
def gloo_sleep(at: int) -> None:
    """Rank 1 waits for its data from step `at` on."""
    dist.init_process_group("gloo", timeout=timedelta(seconds=15))

    def wait(step: int) -> None:
        if step == at and dist.get_rank() == 1:
            print("rank 1: waiting for the object store ...", flush=True)
            time.sleep(60)

    train("cpu", wait)


if __name__ == "__main__":
    CASES[sys.argv[1]](int(sys.argv[2]) if len(sys.argv) > 2 else 0)
