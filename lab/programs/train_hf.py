"""A transformers Trainer on a tiny random model; `--ta name=json` sets a training argument, `--lora` trains adapters only."""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
from typing import Any

import torch
import transformers
from faults import Injector, arguments, injector
from tiny import Markov, gpt2, llama
from transformers import Trainer, TrainerCallback, TrainingArguments


def command_line() -> argparse.Namespace:
    """The options; what a launcher adds is ignored."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--model", default="gpt2", choices=["gpt2", "llama"])
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--vocab", type=int, default=256)
    parser.add_argument("--seq", type=int, default=32)
    parser.add_argument("--n_train", type=int, default=4000)
    parser.add_argument("--n_eval", type=int, default=64)
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--lora", action="store_true", help="freeze the model and train LoRA adapters (peft)")
    parser.add_argument("--weights", default="float32", help="type in which the model's weights are held")
    parser.add_argument(
        "--outliers", type=float, default=0.0, help="scale of the feed-forward weights, as of a model trained in bf16"
    )
    parser.add_argument("--memory_log", action="store_true", help="print the memory in use")
    parser.add_argument("--resume", default="")
    parser.add_argument("--ta", action="append", default=[], help="TrainingArguments: name=json")
    parser.add_argument("--local_rank", type=int, default=-1)
    return parser.parse_known_args()[0]


def options(given: argparse.Namespace, place: Injector) -> dict[str, Any]:
    """The training arguments, in the spelling of the installed version."""
    chosen: dict[str, Any] = {
        "output_dir": "out", "per_device_train_batch_size": 8, "max_steps": 60, "learning_rate": 3e-3, "logging_steps": 1,
        "report_to": ["tensorboard"], "logging_dir": "out/tb", "save_strategy": "no", "seed": given.seed, "data_seed": given.seed,
        "lr_scheduler_type": "linear", "warmup_steps": 5, "remove_unused_columns": False, "dataloader_num_workers": given.workers,
        "disable_tqdm": False,
    }  # fmt: skip
    for pair in given.ta:
        name, _, value = pair.partition("=")
        try:
            chosen[name] = json.loads(value)
        except ValueError:
            chosen[name] = value
    place.options(chosen)
    known = {f.name for f in dataclasses.fields(TrainingArguments)}
    for name, older in (("eval_strategy", "evaluation_strategy"), ("use_cpu", "no_cuda")):
        if name in chosen and name not in known:
            chosen[older] = chosen.pop(name)
    if "logging_dir" not in known:
        os.environ["TENSORBOARD_LOGGING_DIR"] = chosen.pop("logging_dir")
    return {name: value for name, value in chosen.items() if name in known}


def build(given: argparse.Namespace, place: Injector) -> Any:
    """The model, faulty if asked for."""
    torch.manual_seed(given.seed)
    make = gpt2 if given.model == "gpt2" else llama
    longest = 4096 if given.fault == "oom_seq_growth" else 1
    model = make(given.hidden, given.vocab, max(given.seq, 32) * longest)
    if given.outliers:
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if weight.dim() == 2 and "mlp" in name:
                    weight.mul_(given.outliers)
    model = model.to(getattr(torch, given.weights))
    if given.lora:
        from peft import LoraConfig, get_peft_model

        model = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"))
        model.print_trainable_parameters()
    place.model(model)
    return model


class Follow(TrainerCallback):
    """Tells the injector where the run is."""

    def __init__(self, place: Injector, memory_log: bool) -> None:
        self.place, self.memory_log = place, memory_log

    def on_step_begin(self, _args: Any, state: Any, _control: Any, **_more: Any) -> None:
        """A step begins."""
        self.place.begin(state.global_step)

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_more: Any) -> None:
        """Prints the memory in use every fifth step."""
        if self.memory_log and self.place.rank == 0 and state.global_step % 5 == 0:
            import psutil

            print(f"step {state.global_step} | rss_gb: {psutil.Process().memory_info().rss / 2**30:.3f}", flush=True)


class FaultyTrainer(Trainer):
    """A Trainer whose schedule and loss pass through the injector."""

    place: Injector

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """The schedule, or the fault's."""
        if not self.place.sits_at("factor"):
            return super().create_scheduler(num_training_steps, optimizer)
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer or self.optimizer, self.place.factor)
        return self.lr_scheduler

    def compute_loss(self, model: Any, inputs: Any, *rest: Any, **more: Any) -> Any:
        """The loss, or the fault's."""
        out = super().compute_loss(model, inputs, *rest, **more)
        return self.place.loss(out, model) if model.training and not isinstance(out, tuple) else out


def main() -> None:
    """Trains."""
    given = command_line()
    place = injector(given, vocabulary=given.vocab)
    chosen = options(given, place)
    place.batch_size = chosen["per_device_train_batch_size"]
    args = TrainingArguments(**chosen)
    if place.rank == 0:
        print(f"transformers {transformers.__version__} torch {torch.__version__} args {given}", flush=True)
    model = build(given, place)
    FaultyTrainer.place = place
    trainer = FaultyTrainer(
        model=model, args=args, train_dataset=Markov(given.n_train, given.seed, given.noise, given.seq, given.vocab, place),
        eval_dataset=Markov(given.n_eval, given.seed + 999, given.noise, given.seq, given.vocab),
        callbacks=[Follow(place, given.memory_log)],
    )  # fmt: skip
    done = trainer.train(resume_from_checkpoint=True if given.resume == "last" else given.resume or None)
    if trainer.is_world_process_zero():
        print(done.metrics)
    trainer.save_state()


if __name__ == "__main__":
    main()
