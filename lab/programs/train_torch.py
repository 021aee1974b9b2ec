"""A training loop in plain torch, as people write it: autocast, GradScaler, accumulation, clipping, schedules, checkpoints.

Healthy runs of awkward shapes come from its options; `--fault` injects one of `faults.py`.
"""

from __future__ import annotations

import argparse
import logging
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from faults import Injector, arguments, injector
from tiny import Markov, TinyLM, training
from torch.utils.data import DataLoader

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
TYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def command_line() -> argparse.Namespace:
    """The options."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    training(parser)
    parser.add_argument("--schedule", default="linear", choices=["constant", "linear", "cosine", "restarts", "wsd"])
    parser.add_argument("--precision", default="fp32", choices=sorted(TYPES))
    parser.add_argument("--init_scale", type=float, default=65536.0)
    parser.add_argument("--growth_interval", type=int, default=2000)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--log_clipped", action="store_true", help="print the norm after clipping")
    parser.add_argument("--optimizer", default="adamw", choices=["adamw", "sgd"])
    parser.add_argument("--curriculum", action="store_true", help="samples become harder")
    parser.add_argument("--easiest", type=float, default=0.6, help="share of the noise that a curriculum begins with")
    parser.add_argument("--samples", type=int, default=4000)
    parser.add_argument("--experts", type=int, default=0)
    parser.add_argument("--freeze", default="", help="parameters whose name holds this are frozen")
    parser.add_argument("--unfreeze_at", type=int, default=-1)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--eval_every", type=int, default=0)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds that an evaluation or a checkpoint takes longer")
    parser.add_argument("--weights", default="", help="checkpoint of which only the weights are taken, as for fine-tuning")
    parser.add_argument("--log_every", type=int, default=1)
    parser.add_argument("--style", default="plain", choices=["plain", "epoch", "logger", "bar"])
    return parser.parse_args()


def factor(kind: str, step: int, warmup: int, steps: int) -> float:
    """The learning rate's factor at a 0-based step."""
    if step < warmup:
        return step / warmup
    done = (step - warmup) / max(steps - warmup, 1)
    if kind == "constant":
        return 1.0
    if kind == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if kind == "restarts":
        return 0.5 * (1 + math.cos(math.pi * (done * 4 % 1.0)))
    if kind == "wsd":
        return 1.0 if done < 0.8 else (1 - done) / 0.2
    return 1 - done


def batches(data: Markov, size: int, seed: int, in_order: bool) -> Iterator[dict[str, torch.Tensor]]:
    """Endless batches."""
    source = torch.Generator().manual_seed(seed)
    while True:
        yield from DataLoader(data, size, shuffle=not in_order, generator=source, drop_last=True)


class Loop:
    """One run."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.place: Injector = injector(given, batch_size=given.batch_size)
        self.options = self.place.options(
            {"learning_rate": given.learning_rate, "warmup_steps": given.warmup_steps, "divide": True, "unscale": True,
             "balance": 0.01, "static_scale": 0.0, "ragged": False}
        )  # fmt: skip
        torch.manual_seed(given.seed)
        self.model = TinyLM(experts=given.experts).to(DEVICE)
        self.place.model(self.model)
        self.freeze(given.freeze)
        self.run: Callable[..., Any] = torch.compile(self.model, dynamic=False) if given.compile else self.model
        kind = torch.optim.AdamW if given.optimizer == "adamw" else torch.optim.SGD
        self.optimizer = kind(self.model.parameters(), lr=self.options["learning_rate"])
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.rate)
        fixed = self.options["static_scale"]
        self.scaler = torch.amp.GradScaler(
            DEVICE, init_scale=fixed or given.init_scale, growth_interval=10**9 if fixed else given.growth_interval,
            backoff_factor=1 - 1e-12 if fixed else 0.5, enabled=given.precision == "fp16",
        )  # fmt: skip
        data = Markov(
            given.samples, given.seed, given.noise, injector=self.place, hardening=given.easiest if given.curriculum else 1.0
        )
        self.data = batches(data, given.batch_size, given.seed, given.curriculum)
        self.held_out = Markov(64, given.seed + 999, given.noise)
        self.start = 0

    def rate(self, step: int) -> float:
        """The learning rate's factor."""
        if self.place.sits_at("factor"):
            return self.place.factor(step)
        return factor(self.given.schedule, step, self.options["warmup_steps"], self.given.steps)

    def freeze(self, word: str, on: bool = True) -> None:
        """Freezes the parameters whose name holds `word`, or lets them go."""
        for name, weight in self.model.named_parameters():
            if word and word in name:
                weight.requires_grad_(not on)

    def micro(self) -> float:
        """One micro-batch forward and backward; its loss."""
        batch = {name: values.to(DEVICE) for name, values in next(self.data).items()}
        length = 8 + self.place.step % 24 if self.options["ragged"] else None
        with torch.autocast(DEVICE, TYPES[self.given.precision], enabled=self.given.precision != "fp32"):
            loss, balance = self.run(batch["input_ids"][:, :length], batch["labels"][:, :length])
            loss = self.place.loss(loss, self.model) + self.options["balance"] * balance
        loss = loss / self.given.accumulate if self.options["divide"] else loss
        self.scaler.scale(loss).backward()
        return loss.item()

    def step(self) -> tuple[float, float]:
        """(loss, gradient norm) of one update."""
        loss = sum(self.micro() for _ in range(self.given.accumulate))
        if self.options["unscale"]:
            self.scaler.unscale_(self.optimizer)
        norm = float(torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.given.clip or math.inf))
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad()
        self.schedule.step()
        return loss, min(norm, self.given.clip) if self.given.log_clipped else norm

    def evaluate(self) -> float:
        """Loss on held-out samples."""
        self.model.eval()
        time.sleep(self.given.pause)
        batch = next(iter(DataLoader(self.held_out, 64)))
        with torch.no_grad():
            loss, _ = self.model(batch["input_ids"].to(DEVICE), batch["labels"].to(DEVICE))
        self.model.train()
        return loss.item()

    def save(self, step: int) -> None:
        """A checkpoint."""
        Path("checkpoints").mkdir(exist_ok=True)
        state = {"step": step, "model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save({**state, "schedule": self.schedule.state_dict()}, f"checkpoints/step-{step}.pt")
        time.sleep(self.given.pause)
        say(f"saved checkpoint to checkpoints/step-{step}.pt")

    def load(self, path: str) -> None:
        """Goes on where a checkpoint was made."""
        state = torch.load(path)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.start = state["step"]
        say(f"resumed from {path} at step {self.start}")


def say(text: str) -> None:
    """Prints a message as the style wants."""
    if logging.getLogger().handlers:
        logging.info(text)
    else:
        print(text, flush=True)


def show(loop: Loop, step: int, loss: float, norm: float, bar: Any) -> None:
    """Prints a step."""
    given, rate = loop.given, loop.optimizer.param_groups[0]["lr"]
    scale = f" loss_scale: {loop.scaler.get_scale():g}" if loop.scaler.is_enabled() else ""
    if given.style == "bar":
        bar.set_postfix(loss=f"{loss:.4f}", grad_norm=f"{norm:.3f}", lr=f"{rate:.2e}")
    elif given.style == "epoch":
        size = given.samples // (given.batch_size * given.accumulate)
        print(f"Epoch [{step // size + 1}], Step [{step % size + 1}/{size}], Loss: {loss:.4f}", flush=True)
    else:
        say(f"step: {step} loss: {loss:.4f} grad_norm: {norm:.4f} lr: {rate:.3e}{scale}")


def main() -> None:
    """Trains."""
    given = command_line()
    if given.style == "logger":
        logging.basicConfig(format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", level=logging.INFO)
    loop = Loop(given)
    say(f"torch {torch.__version__}, {sum(p.numel() for p in loop.model.parameters())} parameters, device {DEVICE}")
    if given.accumulate > 1:
        say(f"  Gradient Accumulation steps = {given.accumulate}")
    if given.resume:
        loop.load(given.resume)
    if given.weights:
        loop.model.load_state_dict(torch.load(given.weights)["model"])
    steps: Any = range(loop.start, given.steps)
    if given.style == "bar":
        from tqdm import tqdm

        steps = tqdm(steps, initial=loop.start, total=given.steps, file=sys.stderr)
    for step in steps:
        loop.place.begin(step)
        if step == given.unfreeze_at:
            loop.freeze(given.freeze, on=False)
            say(f"unfreezing {given.freeze}")
        loss, norm = loop.step()
        if step % given.log_every == 0:
            show(loop, step, loss, norm, steps)
        if given.eval_every and (step + 1) % given.eval_every == 0:
            say(f"step: {step} eval_loss: {loop.evaluate():.4f}")
        if given.save_every and (step + 1) % given.save_every == 0:
            loop.save(step + 1)
    say("training finished")


if __name__ == "__main__":
    main()
