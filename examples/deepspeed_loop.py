"""A DeepSpeed engine's training loop with a monitor: warned, stopped or raised when the run is lost.

    deepspeed examples/deepspeed_loop.py                       # on GPUs
    DS_ACCELERATOR=cpu python examples/deepspeed_loop.py --nan-from 40   # on a CPU, with a fault from step 40 on

Everything that `analyze` would find in the log is found here while the loop runs; `nanalyze.jsonl` and `nanalyze.html` are
left in the folder. Only rank 0 acts; the decision to stop is told to the other ranks.
"""

from __future__ import annotations

import argparse

import deepspeed
import torch

from analyzer.callbacks import Monitor

CONFIG = {
    "train_micro_batch_size_per_gpu": 8,
    "gradient_accumulation_steps": 1,
    "gradient_clipping": 1.0,
    "optimizer": {"type": "AdamW", "params": {"lr": 1e-3, "torch_adam": True}},
    "steps_per_print": 1000,
}


def main() -> int:
    """Trains a small model; answers with the last step."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--nan-from", type=int, default=0)
    parser.add_argument("--folder", default="deepspeed-monitor")
    parser.add_argument("--on-critical", default="stop", choices=["warn", "stop", "raise"])
    parser.add_argument("--seed", type=int, default=0)
    wish, _ = parser.parse_known_args()
    torch.manual_seed(wish.seed)
    model = torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
    engine, _, _, _ = deepspeed.initialize(model=model, model_parameters=model.parameters(), config=CONFIG)
    monitor = Monitor(wish.folder, on_critical=wish.on_critical, rank=engine.global_rank)
    monitor.begin({"lr": 1e-3}, CONFIG, planned_steps=wish.steps)
    try:
        return train(engine, monitor, wish.steps, wish.nan_from)
    finally:
        monitor.end()


def train(engine: deepspeed.DeepSpeedEngine, monitor: Monitor, steps: int, nan_from: int) -> int:
    """The loop: forward, backward, step, log; answers with the last step."""
    for step in range(1, steps + 1):
        inputs = torch.randn(8, 16, device=engine.device)
        labels = (inputs.sum(dim=1) > 0).long()
        loss = torch.nn.functional.cross_entropy(engine(inputs), labels)
        if nan_from and step >= nan_from:
            loss = loss * float("nan")
        engine.backward(loss)
        engine.step()
        monitor.log({"loss": loss.item(), "grad_norm": engine.get_global_grad_norm(), "lr": engine.get_lr()[0]}, step)
        if agreed(engine, monitor.should_stop):
            return step
    return steps


def agreed(engine: deepspeed.DeepSpeedEngine, should_stop: bool) -> bool:
    """Whether rank 0 wants to stop: every rank must leave the loop at the same step."""
    word = torch.tensor([int(should_stop)], device=engine.device)
    deepspeed.comm.broadcast(word, src=0)
    return bool(word.item())


if __name__ == "__main__":
    print(f"ended at step {main()}")
