"""A DeepSpeed engine loop on the tiny language model; `ds_config.json` says the rest. Start it with `deepspeed`.

Up to DeepSpeed 0.12 it needs `old_deepspeed/` in PYTHONPATH under a newer torch and numpy.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from faults import Injector, arguments, injector
from tiny import Markov, TinyLM
from torch.utils.data import DataLoader

RANK = int(os.environ.get("RANK", "0"))


def command_line() -> argparse.Namespace:
    """The options; what the launcher adds is ignored."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--style", default="plain", choices=["plain", "megatron", "terse"])
    parser.add_argument("--save_at", type=int, default=0, help="a checkpoint every so many steps")
    parser.add_argument("--save_dir", default="ckpt")
    parser.add_argument("--load", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--mem", action="store_true", help="print the memory in use every fifth step")
    parser.add_argument("--local_rank", type=int, default=-1)
    parser.add_argument("--deepspeed_config", default="ds_config.json")
    return parser.parse_known_args()[0]


def show(given: argparse.Namespace, step: int, loss: float, engine: Any, optimizer: Any, seconds: float) -> None:
    """Prints a step in one of three styles."""
    norm = engine.get_global_grad_norm()
    norm = float(norm) if norm is not None else float("nan")
    rate, scale = optimizer.param_groups[0]["lr"], float(getattr(optimizer, "cur_scale", getattr(optimizer, "loss_scale", 1.0)))
    size = engine.train_micro_batch_size_per_gpu() * engine.gradient_accumulation_steps()
    styles = {
        "plain": f"step: {step} loss: {loss:.4f} grad_norm: {norm:.4f} lr: {rate:.3e} loss_scale: {scale:.1f}",
        "megatron": f" iteration {step + 1:8d}/{given.steps:8d} | consumed samples: {(step + 1) * size:12d} | elapsed time per "
        f"iteration (ms): {seconds * 1000:.1f} | learning rate: {rate:.3E} | global batch size: {size:5d} | lm loss: {loss:.6E} "
        f"| loss scale: {scale:.1f} | grad norm: {norm:.3f} |",
        "terse": f"[{step + 1}/{given.steps}] loss={loss:.3f}",
    }
    print(styles[given.style], flush=True)


def one_step(engine: Any, batches: Any, place: Injector) -> float:
    """One step of all its micro-batches; their mean loss."""
    total, parts = 0.0, engine.gradient_accumulation_steps()
    for _ in range(parts):
        batch = {name: values.to(engine.device) for name, values in next(batches).items()}
        loss = place.loss(engine(batch["input_ids"], batch["labels"])[0], engine.module)
        engine.backward(loss)
        engine.step()
        total += loss.item() / parts
    return total


def main() -> None:
    """Trains."""
    import deepspeed

    given = command_line()
    config = json.loads(Path(given.deepspeed_config).read_text())
    micro = int(config.get("train_micro_batch_size_per_gpu", 8))
    place = injector(given, batch_size=micro)
    torch.manual_seed(given.seed)
    model = TinyLM()
    place.model(model)
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    engine, optimizer, _, _ = deepspeed.initialize(args=given, model=model, model_parameters=weights)
    start = 0
    if given.load:
        path, client = engine.load_checkpoint(given.save_dir)
        start = client.get("step", 0) if path else 0
        print(f"resumed from {path} at step {start}", flush=True)
    samples = micro * engine.gradient_accumulation_steps() * given.steps
    batches = iter(DataLoader(Markov(samples, given.seed + 77 * RANK + start, injector=place), micro))
    for step in range(start, given.steps):
        place.begin(step)
        began = time.time()
        loss = one_step(engine, batches, place)
        if RANK == 0:
            show(given, step, loss, engine, optimizer, time.time() - began)
        if given.mem and step % 5 == 0:
            from deepspeed.runtime.utils import see_memory_usage

            see_memory_usage(f"after step {step}", force=True)
        if given.save_at and (step + 1) % given.save_at == 0:
            engine.save_checkpoint(given.save_dir, client_state={"step": step + 1})
    if RANK == 0:
        print("training finished", flush=True)


if __name__ == "__main__":
    main()
