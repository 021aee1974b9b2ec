"""A small data-parallel program that fails on purpose: one fault, one function.

Started by torchrun (`python -m torch.distributed.run --nproc-per-node 4 torchrun_faults.py FAULT`), by `deepspeed` or by
`accelerate launch`; needs torch alone. On gloo and CPUs, or with `--backend nccl` on a GPU a rank, or on one for all with
`--share`.
Rank 0 prints `step N loss X`; every rank holds the same linear model and sums its gradients itself, so that the
collectives of a step are plain to see: one all-reduce a step, one barrier before a checkpoint.

    healthy           nothing happens
    rank_raises       a rank's data file is missing: the others lose their peer
    rank_killed       a rank kills itself with SIGKILL, as the kernel's memory killer would: it prints nothing
    rank_sleeps       a rank stops taking part: the others time out, it never says a word
    ranks_disagree    a rank takes another branch and gathers where the others sum: with TORCH_DISTRIBUTED_DEBUG=DETAIL
                      torch names both, without it everybody hangs until the time-out
    sizes_disagree    a rank's tensor is shorter than the others'
    late_output       a rank raises into a buffered standard output: its stack is printed after those of its victims
    disk_full         rank 0 saves onto a file system that has no room left
    lone_checkpoint   a rank saves a checkpoint, and waits for the others to have saved theirs: they never come to that
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist

FAULTS: dict[str, Callable[[argparse.Namespace, int], None]] = {}
"""Fault by name: called on the faulty rank at the faulty step, with the options and the rank."""


def fault(act: Callable[[argparse.Namespace, int], None]) -> Callable[[argparse.Namespace, int], None]:
    """Registers a fault under its function's name."""
    FAULTS[act.__name__] = act
    return act


@fault
def healthy(_options: argparse.Namespace, _rank: int) -> None:
    """Nothing happens."""


@fault
def rank_raises(_options: argparse.Namespace, rank: int) -> None:
    """The rank's next shard is missing."""
    Path(f"data/shard-{rank:05d}.bin").read_bytes()


@fault
def rank_killed(_options: argparse.Namespace, _rank: int) -> None:
    """The process ends without a word, as after the kernel's memory killer."""
    os.kill(os.getpid(), signal.SIGKILL)


@fault
def rank_sleeps(_options: argparse.Namespace, _rank: int) -> None:
    """The rank does something else for longer than the others wait."""
    time.sleep(600)


@fault
def ranks_disagree(options: argparse.Namespace, _rank: int) -> None:
    """The rank gathers where the others sum."""
    mine = torch.ones(17, device=device(options))
    dist.all_gather([torch.empty_like(mine) for _ in range(dist.get_world_size())], mine)


@fault
def sizes_disagree(options: argparse.Namespace, _rank: int) -> None:
    """The rank sums a tensor that is shorter than the others'."""
    dist.all_reduce(torch.ones(5, device=device(options)))


@fault
def late_output(_options: argparse.Namespace, _rank: int) -> None:
    """The rank's stack goes to a standard output that is flushed at the end only, after its peers saw it leave."""
    try:
        raise ValueError("sample 4711 has 0 tokens after filtering")
    except ValueError:
        traceback.print_exc(file=sys.stdout)
        dist.destroy_process_group()
        time.sleep(2)
        sys.exit(1)


@fault
def disk_full(options: argparse.Namespace, _rank: int) -> None:
    """A checkpoint that does not fit."""
    state = {"step": options.at, "weights": torch.zeros(2**20)}
    print(f"saving checkpoint to {options.save_to}", flush=True)
    torch.save(state, options.save_to)


@fault
def lone_checkpoint(options: argparse.Namespace, rank: int) -> None:
    """A checkpoint whose collective call stands behind `if rank == …`."""
    print(f"rank {rank}: saving checkpoint to {options.save_to}", flush=True)
    torch.save({"step": options.at}, options.save_to)
    dist.barrier()


def share_gpu() -> None:
    """All ranks on one GPU: NCCL refuses two ranks of a host there, so that each says it is a host of its own with one GPU."""
    os.environ.update(NCCL_HOSTID=f"rank-{os.environ['RANK']}", NCCL_SOCKET_IFNAME="lo", LOCAL_RANK="0")


def device(options: argparse.Namespace) -> torch.device:
    """The GPU of this rank with NCCL, else the CPU."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if options.backend == "nccl" else torch.device("cpu")


def main() -> None:
    """Trains; at step `--at` the fault is called on rank `--rank`."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("fault", choices=sorted(FAULTS))
    parser.add_argument("--at", type=int, default=20, help="step of the fault")
    parser.add_argument("--rank", type=int, default=1, help="rank of the fault")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--timeout", type=float, default=15, help="seconds that a collective may take")
    parser.add_argument("--save-to", default="checkpoint.pt", help="where disk_full saves")
    parser.add_argument("--recorder", default="", help="write each rank's flight recorder to this prefix when a collective fails")
    parser.add_argument("--backend", choices=("gloo", "nccl"), default="gloo")
    parser.add_argument(
        "--local_rank", type=int, default=0, help="given by DeepSpeed's launcher, which also says it in LOCAL_RANK"
    )
    parser.add_argument("--share", action="store_true", help="NCCL with every rank on the first GPU")
    options = parser.parse_args()
    if options.share:
        share_gpu()
    if options.backend == "nccl":
        torch.cuda.set_device(device(options))
    if options.fault == "late_output":
        sys.stdout = open(1, "w", buffering=8192, closefd=False)  # noqa: SIM115  torchrun starts its children with -u
    dist.init_process_group(options.backend, timeout=timedelta(seconds=options.timeout))
    try:
        train(options, dist.get_rank())
    except RuntimeError:
        if options.recorder:
            dump(f"{options.recorder}{dist.get_rank()}")
        raise
    dist.destroy_process_group()


def train(options: argparse.Namespace, rank: int) -> None:
    """Fits a line by hand: one all-reduce a step."""
    torch.manual_seed(rank)
    where = device(options)
    weight, target = torch.zeros(16, device=where), torch.linspace(-1, 1, 16, device=where)
    for step in range(options.steps):
        if step == options.at and rank == options.rank:
            FAULTS[options.fault](options, rank)
        inputs = torch.randn(32, 16).to(where)
        error = inputs @ (weight - target)
        flat = torch.cat([inputs.T @ error / 32, (error**2).mean()[None]])
        dist.all_reduce(flat)
        flat /= dist.get_world_size()
        weight -= 0.05 * flat[:16]
        if rank == 0:
            print(
                f"step {step} loss {flat[16].item():.5f} grad_norm {flat[:16].norm().item():.5f}",
                flush=options.fault != "late_output",
            )
        time.sleep(0.02)


def dump(path: str) -> None:
    """The flight recorder's last collectives, as the watchdog of NCCL writes them."""
    from torch._C import _distributed_c10d as c10d

    Path(path).write_bytes(c10d._dump_fr_trace())
    Path(f"{path}.json").write_bytes(c10d._dump_fr_trace_json())


if __name__ == "__main__":
    main()
