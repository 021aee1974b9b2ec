"""A loop of accelerate: `accelerator.prepare`, `accumulate`, `clip_grad_norm_`, its logger, a JSONL-like print of each step."""

from __future__ import annotations

import argparse
import logging

import torch
from accelerate import Accelerator
from accelerate.logging import get_logger
from accelerate.utils import set_seed
from faults import arguments, injector
from tiny import Markov, TinyLM, training
from torch.utils.data import DataLoader
from tqdm.auto import tqdm
from train_torch import factor


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    training(parser)
    parser.add_argument("--schedule", default="cosine")
    parser.add_argument("--precision", default="no", choices=["no", "fp16", "bf16"])
    given = parser.parse_args()
    logging.basicConfig(
        format="%(asctime)s - %(levelname)s - %(name)s - %(message)s", datefmt="%m/%d/%Y %H:%M:%S", level=logging.INFO
    )
    logger = get_logger("train")
    set_seed(given.seed)
    place = injector(given, batch_size=given.batch_size)
    options = place.options({"learning_rate": given.learning_rate, "warmup_steps": given.warmup_steps})
    accelerator = Accelerator(mixed_precision=given.precision, gradient_accumulation_steps=given.accumulate)
    logger.info(accelerator.state, main_process_only=False)
    model = TinyLM()
    place.model(model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options["learning_rate"])
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: factor(given.schedule, step, options["warmup_steps"], given.steps)
    )
    data = Markov(given.steps * given.batch_size * given.accumulate, given.seed, given.noise, injector=place)
    loader = DataLoader(data, given.batch_size)
    model, optimizer, loader, schedule = accelerator.prepare(model, optimizer, loader, schedule)
    start = 0
    if given.resume:
        accelerator.load_state(given.resume)
        start = int(given.resume.rpartition("_")[2])
    logger.info("***** Running training *****")
    logger.info(f"  Gradient Accumulation steps = {given.accumulate}")
    logger.info(f"  Total optimization steps = {given.steps}")
    bar = tqdm(range(given.steps), initial=start, desc="Steps", disable=not accelerator.is_local_main_process)
    done, total, norm = start, 0.0, 0.0
    for batch in accelerator.skip_first_batches(loader, start * given.accumulate):
        place.begin(done)
        with accelerator.accumulate(model):
            loss = place.loss(model(batch["input_ids"], batch["labels"])[0], model)
            total += loss.detach().float().item() / given.accumulate
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                norm = float(accelerator.clip_grad_norm_(model.parameters(), 1.0))
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if not accelerator.sync_gradients:
            continue
        done += 1
        bar.update(1)
        bar.set_postfix(loss=total, lr=schedule.get_last_lr()[0])
        if done % 5 == 0:
            logger.info(f"step={done} train_loss={total:.5f} grad_norm={norm:.4f} lr={schedule.get_last_lr()[0]:.3e}")
        total = 0.0
        if given.save_every and done % given.save_every == 0:
            accelerator.save_state(f"state_{done}")
    accelerator.end_training()


if __name__ == "__main__":
    main()
