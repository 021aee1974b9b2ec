"""FSDP on the CPU through gloo: sharded parameters, a training step, sharded or gathered checkpoints. Start it with torchrun."""

from __future__ import annotations

import argparse
from datetime import timedelta

import torch
import torch.distributed as dist
from faults import arguments, injector
from tiny import Attention, Markov, TinyLM
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import fully_shard
from torch.utils.data import DataLoader


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--save_every", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=20)
    given = parser.parse_args()
    dist.init_process_group("gloo", timeout=timedelta(seconds=given.timeout))
    rank, world = dist.get_rank(), dist.get_world_size()
    place = injector(given, batch_size=given.batch_size)
    options = place.options({"learning_rate": given.learning_rate, "warmup_steps": 5, "gather_on": "all"})
    torch.manual_seed(given.seed)
    model = TinyLM()
    place.model(model)
    for block in model.blocks:
        if isinstance(block, Attention):
            fully_shard(block)
    fully_shard(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options["learning_rate"])
    warm = options["warmup_steps"]
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1.0, (step + 1) / max(warm, 1)))
    data = Markov(given.steps * given.batch_size, given.seed + rank, injector=place)
    for step, batch in enumerate(DataLoader(data, given.batch_size)):
        place.begin(step)
        loss, _ = model(batch["input_ids"], batch["labels"])
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
        optimizer.step()
        optimizer.zero_grad()
        total = loss.detach().clone()
        dist.all_reduce(total)
        if rank == 0:
            rate = schedule.get_last_lr()[0]
            print(f"step: {step} loss: {total.item() / world:.4f} grad_norm: {norm.item():.4f} lr: {rate:.3e}", flush=True)
        schedule.step()
        if given.save_every and (step + 1) % given.save_every == 0 and (rank == 0 or options["gather_on"] == "all"):
            state = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True, cpu_offload=True))
            if rank == 0:
                torch.save(state, f"model-{step + 1}.pt")
                print(f"saved checkpoint to model-{step + 1}.pt", flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
