"""Settings of the training: batches, rates, adapters, compilation."""

from __future__ import annotations

import re

from analyzer.model import Evidence
from analyzer.setting.model import model
from analyzer.setting.register import Setting, first_number, is_true, known, of, setting
from parsers.model import Run


@setting
def gas(run: Run) -> Setting | None:
    """Gradient accumulation steps."""
    return first_number(
        run, "arg:gradient_accumulation_steps", "run:gradient_accumulation_steps", "config:gradient_accumulation_steps"
    )


@setting
def micro_batch(run: Run) -> Setting | None:
    """Samples a device takes at once."""
    return first_number(
        run,
        "arg:per_device_train_batch_size",
        "run:micro_batch_size",
        "config:train_micro_batch_size_per_gpu",
        "arg:micro_batch_size",
    )


@setting
def clipping(run: Run) -> Setting | None:
    """The norm that gradients are clipped to; 0 is off."""
    return first_number(run, "arg:max_grad_norm", "config:gradient_clipping", "arg:gradient_clip_val", "arg:clip_grad")


@setting
def learning_rate(run: Run) -> Setting | None:
    """The peak learning rate: as set, else the highest one logged."""
    found = first_number(run, "arg:learning_rate", "config:optimizer.params.lr", "arg:lr")
    series = run.series("lr")
    if found or series is None:
        return found
    best = max(range(len(series)), key=lambda i: series.values[i] if series.values[i] == series.values[i] else -1.0)
    return Setting(series.values[best], (Evidence(series.ref(best), "the highest one logged"),))


@setting
def lora(run: Run) -> Setting | None:
    """Whether only adapters are trained."""
    for fact in known(run.environment, "arg:lora_enable", "arg:use_peft", "arg:use_lora", "arg:peft"):
        return of(fact, is_true(fact.value))
    for fact in known(run.environment, "arg:lora_r", "arg:lora_rank", "arg:lora_alpha"):
        return of(fact, True)
    keys = ("arg:finetuning_type", "arg:adapter", "arg:train_type", "arg:sft_type", "arg:tuner_type")
    for fact in known(run.environment, *keys):
        return of(fact, "lora" in str(fact.value).lower() or "peft" in str(fact.value).lower())
    named = model(run)
    if named and re.search(r"\bq?lora\b", str(named.value)):
        return Setting(True, named.evidence)
    return None


@setting
def compiled(run: Run) -> Setting | None:
    """Whether torch.compile is on."""
    keys = ("arg:torch_compile", "arg:compile", "arg:jit_compile", "config:compile.enabled", "arg:use_torch_compile")
    for fact in known(run.environment, *keys):
        return of(fact, is_true(fact.value))
    return None
