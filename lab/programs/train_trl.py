"""TRL's trainers on a tiny random model: SFT, DPO, GRPO, reward models; `--ta name=json` sets a field of their configuration."""

from __future__ import annotations

import argparse
import json
import random
from typing import Any

import torch
import trl
from datasets import Dataset
from faults import Injector, arguments, injector
from tiny import WORDS, llama, tokenizer
from train_hf import Follow


def text(source: random.Random, length: int) -> str:
    """Words that follow each other by a rule, one in five at random."""
    at, words = source.randrange(240), []
    for _ in range(length):
        words.append(WORDS[at])
        at = (3 * at + 7) % 240 if source.random() < 0.8 else source.randrange(240)
    return " ".join(words)


def rows(kind: str, number: int, seed: int, place: Injector) -> Dataset:
    """Samples as the trainer of `kind` reads them."""
    source, made = random.Random(seed), []  # noqa: S311  not for secrets
    for _ in range(number):
        prompt, good, bad = text(source, 8), text(source, 16), " ".join(source.choices(WORDS, k=16))
        if place.fault == "same_answers":
            bad = good
        made.append(
            {"sft": {"text": f"{prompt} {good}"}, "sft_prompt": {"prompt": prompt, "completion": f" {good}"},
             "dpo": {"prompt": prompt, "chosen": good, "rejected": bad}, "grpo": {"prompt": prompt},
             "reward": {"chosen": f"{prompt} {good}", "rejected": f"{prompt} {bad}"}}[kind]
        )  # fmt: skip
    return Dataset.from_list(made)


def length_reward(completions: list[str], **_more: Any) -> list[float]:
    """Minus the share of odd words: negative, and 0 at best."""
    return [-sum(int(w[1:] or 0) % 2 for w in c.split() if w[1:].isdigit()) / 8 for c in completions]


def sparse_reward(completions: list[str], **_more: Any) -> list[float]:
    """1 where a rare word occurs, else 0: most groups have no spread."""
    return [float("w7" in c.split()) for c in completions]


def same_reward(completions: list[str], **_more: Any) -> list[float]:
    """Always 0: the fault of a parser that never finds the answer."""
    return [0.0 for _ in completions]


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("kind", choices=["sft", "sft_prompt", "dpo", "grpo", "reward"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--reward", default="length", choices=["length", "sparse"])
    parser.add_argument("--lora", action="store_true")
    parser.add_argument("--ta", action="append", default=[])
    given = parser.parse_args()
    place = injector(given)
    chosen: dict[str, Any] = {
        "output_dir": "out", "per_device_train_batch_size": 8, "max_steps": 60, "learning_rate": 1e-3, "logging_steps": 1,
        "report_to": "none", "save_strategy": "no", "seed": given.seed, "use_cpu": not torch.cuda.is_available(),
        "bf16": False, "gradient_checkpointing": False,
    }  # fmt: skip
    for pair in given.ta:
        name, _, value = pair.partition("=")
        chosen[name] = json.loads(value)
    place.options(chosen)
    torch.manual_seed(given.seed)
    words = tokenizer()
    make = {"sft": ("SFTConfig", "SFTTrainer"), "sft_prompt": ("SFTConfig", "SFTTrainer"), "dpo": ("DPOConfig", "DPOTrainer"),
            "grpo": ("GRPOConfig", "GRPOTrainer"), "reward": ("RewardConfig", "RewardTrainer")}[given.kind]  # fmt: skip
    more: dict[str, Any] = {"train_dataset": rows(given.kind, given.samples, given.seed, place), "processing_class": words}
    if given.kind == "grpo":
        chosen.update({k: v for k, v in {"num_generations": 4, "max_completion_length": 12}.items() if k not in chosen})
        known = {"length": length_reward, "sparse": sparse_reward}
        more["reward_funcs"] = same_reward if place.fault == "reward_same" else known[given.reward]
    if given.kind == "reward":
        from transformers import LlamaForSequenceClassification

        inner = llama(64, 256, 256)
        inner.config.num_labels, inner.config.pad_token_id = 1, 0
        model: Any = LlamaForSequenceClassification(inner.config)
    else:
        model = llama(64, 256, 256)
        model.config.pad_token_id = 0
        model.save_pretrained("base")  # DPO's reference is loaded again from where the model came from
        model = type(model).from_pretrained("base")
    place.model(model)
    if given.lora:
        from peft import LoraConfig

        more["peft_config"] = LoraConfig(r=8, target_modules="all-linear")
    print(f"trl {trl.__version__} torch {torch.__version__} {given}", flush=True)
    trainer = getattr(trl, make[1])(model=model, args=getattr(trl, make[0])(**chosen), **more)
    trainer.add_callback(Follow(place, memory_log=False))
    trainer.train()


if __name__ == "__main__":
    main()
