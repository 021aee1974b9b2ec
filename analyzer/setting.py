"""What a run was set to: one answer out of the many places that say it.

A precision stands in the ds_config, in the training arguments, in the model's config or only in the overflow lines;
causes ask for `setting:precision == fp16` and need not know which. Every setting is a function that answers with the
value and the places it was read from, or None where nothing says it: never a default of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from analyzer.model import Evidence
from parsers import kinds
from parsers.model import Environment, Fact, Run, Series, Value

MAX_EVIDENCE: Final = 2


class Setting(NamedTuple):
    """A value and where it was read. `is_bound`: the value is only known to be at least this."""

    value: Value
    evidence: tuple[Evidence, ...]
    is_bound: bool = False


Resolver = Callable[[Run], "Setting | None"]
SETTINGS: Final[dict[str, Resolver]] = {}


def setting(resolver: Resolver) -> Resolver:
    """Registers a resolver under its name."""
    SETTINGS[resolver.__name__] = resolver
    return resolver


def resolve(run: Run, name: str) -> Setting | None:
    """The setting `name` of this run, None where nothing says it; raises ValueError for an unknown name."""
    if name not in SETTINGS:
        raise ValueError(f"unknown setting {name!r}")
    return SETTINGS[name](run)


def note(fact: Fact) -> str:
    """What a reader must know of a fact's source beside its line."""
    return "stated by you" if fact.given else "implied, not printed by this run" if fact.is_implied else ""


def _of(fact: Fact, value: Value) -> Setting:
    return Setting(value, (Evidence(fact.ref, note(fact)),))


def _known(environment: Environment, *keys: str) -> Iterator[Fact]:
    """The facts under these keys that hold a value, best sources first, `auto` and empty values left out."""
    found = [fact for key in keys if (fact := environment.get(key)) is not None]
    found.sort(key=lambda fact: (-fact.given, -fact.weight))
    return (fact for fact in found if fact.value is not None and str(fact.value).lower() not in ("auto", "", "none"))


def _true(value: Value) -> bool:
    return str(value).strip().lower() in ("true", "1", "1.0", "yes")


def _number(value: Value) -> float | None:
    try:
        return float(str(value).replace(",", ""))
    except ValueError:
        return None


def _first_number(run: Run, *keys: str) -> Setting | None:
    for fact in _known(run.environment, *keys):
        value = _number(fact.value)
        if value is not None:
            return _of(fact, value)
    return None


def _text_of(run: Run, *prefixes: str) -> Setting | None:
    """All values under these keys (or prefixes that end with a colon) as one lower-case text."""
    facts: list[Fact] = []
    for prefix in prefixes:
        if prefix.endswith(":"):
            facts += [fact for _, fact in run.environment.under(prefix)]
        else:
            facts += _known(run.environment, prefix)
    if not facts:
        return None
    text = " ".join(dict.fromkeys(str(fact.value).lower() for fact in facts))
    return Setting(text, tuple(Evidence(fact.ref, note(fact)) for fact in facts[:MAX_EVIDENCE]))


_DTYPES: Final = {
    "float16": "fp16", "fp16": "fp16", "half": "fp16", "16": "fp16", "16-mixed": "fp16", "16-true": "fp16",
    "bfloat16": "bf16", "bf16": "bf16", "bf16-mixed": "bf16", "bf16-true": "bf16",
    "float32": "fp32", "fp32": "fp32", "32": "fp32", "32-true": "fp32", "no": "fp32",
}  # fmt: skip


@setting
def precision(run: Run) -> Setting | None:
    """fp16, bf16 or fp32: the arithmetic of the forward and backward pass."""
    environment = run.environment
    flags = (
        ("fp16", ("config:fp16.enabled", "config:fp16_enabled", "arg:fp16")),
        ("bf16", ("config:bf16.enabled", "config:bfloat16.enabled", "config:bfloat16_enabled", "arg:bf16")),
    )
    for name, keys in flags:
        for fact in _known(environment, *keys):
            if _true(fact.value):
                return _of(fact, name)
    for fact in _known(environment, "run:precision", "arg:mixed_precision", "arg:precision", "arg:compute_dtype", "arg:dtype"):
        if str(fact.value).lower() in _DTYPES:
            return _of(fact, _DTYPES[str(fact.value).lower()])
    scaled = run.series("overflow") or _scaled(run)
    if scaled:
        return Setting("fp16", (Evidence(scaled.ref(0), "steps are skipped by a loss scaler"),))
    for event in run.events_of(kinds.OVERFLOW, kinds.SCALE_MINIMUM)[:1]:
        return Setting("fp16", (Evidence(event.ref, "a loss scaler is at work"),))
    return weight_dtype(run)


def _scaled(run: Run) -> Series | None:
    series = run.series("loss_scale")
    return series if series and max((v for v in series.values if v == v), default=0.0) > 1.0 else None


@setting
def weight_dtype(run: Run) -> Setting | None:
    """The dtype the weights are held in."""
    for fact in _known(run.environment, "arg:torch_dtype", "arg:dtype", "model:torch_dtype", "model:dtype"):
        name = _DTYPES.get(str(fact.value).lower().removeprefix("torch."))
        if name:
            return _of(fact, name)
    return None


@setting
def zero_stage(run: Run) -> Setting | None:
    """DeepSpeed's ZeRO stage; read from the config file's name where nothing else says it."""
    found = _first_number(run, "config:zero_optimization.stage", "config:zero_optimization_stage", "config:zero_config.stage")
    if found:
        return found
    for fact in _known(run.environment, "arg:deepspeed", "arg:deepspeed_config", "run:deepspeed_config", "run:script"):
        named = re.search(r"(?:zero|z|stage)[-_]?([0-3])(?![0-9])", str(fact.value).lower())
        if named:
            return Setting(float(named[1]), (Evidence(fact.ref, "by the name of the config"),))
    return None


@setting
def deepspeed(run: Run) -> Setting | None:
    """Whether DeepSpeed drives the run. A log that shows the start and no word of it says no."""
    for fact in _known(run.environment, "package:deepspeed", "config:zero_optimization.stage", "arg:deepspeed", "run:deepspeed_config"):
        return _of(fact, str(fact.value).lower() not in ("false", "not installed"))
    spoken = [reader for reader in run.readers if reader.startswith("deepspeed")]
    named = framework(run)
    if spoken or (named and re.search(_DEEPSPEED_PROJECTS, str(named.value))):
        return Setting(True, named.evidence if named else ())
    starts = run.events_of(kinds.RUN_START)
    return Setting(False, (Evidence(starts[0].ref, "no word of DeepSpeed up to here"),)) if starts else None


_DEEPSPEED_PROJECTS: Final = r"deepspeed|llava|mgm|mini-?gemini|internvl|bunny|llama-vid|vg-llm|share4v"
"""Projects whose scripts start DeepSpeed."""


@setting
def overlap_comm(run: Run) -> Setting | None:
    """Whether ZeRO overlaps the reduction with the backward pass."""
    for fact in _known(run.environment, "config:zero_optimization.overlap_comm", "config:overlap_comm", "arg:overlap_comm"):
        return _of(fact, _true(fact.value))
    return None


@setting
def offload(run: Run) -> Setting | None:
    """The device the optimizer is offloaded to (`cpu`, `nvme`, `none`)."""
    keys = ("config:zero_optimization.offload_optimizer.device", "config:zero_optimization.offload_optimizer", "config:zero_optimization.cpu_offload")  # fmt: skip
    for key in keys:
        fact = run.environment.get(key)
        if fact is not None:
            value = str(fact.value).lower()
            return _of(fact, "cpu" if value == "true" else "none" if value in ("false", "none") else value)
    return None


@setting
def world_size(run: Run) -> Setting | None:
    """How many ranks train. Ranks seen in the log bound it from below."""
    found = _first_number(run, "run:world_size", "run:num_processes", "arg:world_size", "run:gpus", "config:world_size")
    if found:
        return found
    for fact in _known(run.environment, "hardware:gpu_count", "hardware:gpus", "hardware:gpu", "hardware:gpu_name"):
        counted = _number(fact.value) if fact.key.endswith(("gpu_count", "gpus")) else None
        named = re.match(r"\s*(\d{1,4})\s*[x×*]", str(fact.value))
        if counted or named:
            return _of(fact, counted or float(named[1] if named else 0))
    ranks = [track.rank for track in run.tracks if track.rank is not None]
    ranks += [event.rank for event in run.events if event.rank is not None]
    if ranks and max(ranks) > 0:
        event = next((event for event in run.events if event.rank == max(ranks)), None)
        track = next((track for track in run.tracks if track.rank == max(ranks)), None)
        ref = event.ref if event else track.ref(0) if track else None
        return Setting(float(max(ranks) + 1), (Evidence(ref, "the highest rank that speaks"),) if ref else (), True)
    return None


@setting
def nodes(run: Run) -> Setting | None:
    """How many hosts take part."""
    return _first_number(run, "run:nodes", "run:nnodes", "arg:nnodes", "arg:num_nodes", "hardware:nodes")


@setting
def gas(run: Run) -> Setting | None:
    """Gradient accumulation steps."""
    return _first_number(run, "arg:gradient_accumulation_steps", "run:gradient_accumulation_steps", "config:gradient_accumulation_steps")


@setting
def micro_batch(run: Run) -> Setting | None:
    """Samples a device takes at once."""
    return _first_number(
        run, "arg:per_device_train_batch_size", "run:micro_batch_size", "config:train_micro_batch_size_per_gpu", "arg:micro_batch_size"
    )


@setting
def clipping(run: Run) -> Setting | None:
    """The norm that gradients are clipped to; 0 is off."""
    return _first_number(run, "arg:max_grad_norm", "config:gradient_clipping", "arg:gradient_clip_val", "arg:clip_grad")


@setting
def learning_rate(run: Run) -> Setting | None:
    """The peak learning rate: as set, else the highest one logged."""
    found = _first_number(run, "arg:learning_rate", "config:optimizer.params.lr", "arg:lr")
    series = run.series("lr")
    if found or series is None:
        return found
    best = max(range(len(series)), key=lambda i: series.values[i] if series.values[i] == series.values[i] else -1.0)
    return Setting(series.values[best], (Evidence(series.ref(best), "the highest one logged"),))


@setting
def model(run: Run) -> Setting | None:
    """Everything that names the model, as one lower-case text."""
    return _text_of(
        run, "arg:model_name_or_path", "arg:model", "arg:model_name", "arg:base_model", "arg:model_id", "arg:model_type",
        "model:name", "model:_name_or_path", "model:name_or_path", "model:model_type", "model:architectures", "model:class",
        "run:model", "arg:pretrained_model_name_or_path", "project:name",
    )  # fmt: skip


_ATTENTION: Final = (
    ("fa2", re.compile(r"flash[-_ ]?att(?:entio)?n|^fa2$|fa2")),
    ("sdpa", re.compile(r"sdpa")),
    ("eager", re.compile(r"eager|disabled|naive|math")),
)
_ATTENTION_KEYS: Final = (
    "arg:attn_implementation", "arg:_attn_implementation", "arg:attn_impl", "arg:attn", "arg:flash_attn", "model:attn",
    "model:attn_implementation", "model:_attn_implementation", "run:attention", "arg:attention_backend",
)  # fmt: skip


@setting
def attention(run: Run) -> Setting | None:
    """sdpa, fa2 or eager: which implementation of attention the model calls."""
    for fact in _known(run.environment, *_ATTENTION_KEYS):
        value = str(fact.value).lower()
        for name, pattern in _ATTENTION:
            if pattern.search(value):
                return _of(fact, name)
    for fact in _known(run.environment, "arg:flash_attention", "arg:use_flash_attn", "arg:use_flash_attention_2"):
        if _true(fact.value):
            return _of(fact, "fa2")
    for event in run.events_of(kinds.SIGNATURE):
        named = re.search(r"Using (torch SDPA|FlashAttention-2|vanilla attention)", event.ref.text)
        if named:
            value = {"torch SDPA": "sdpa", "FlashAttention-2": "fa2"}.get(named[1], "eager")
            return Setting(value, (Evidence(event.ref),))
    return None


@setting
def gpu(run: Run) -> Setting | None:
    """Everything that names the accelerator, as one lower-case text."""
    return _text_of(run, "hardware:", "run:gpu", "run:device")


@setting
def accelerator(run: Run) -> Setting | None:
    """cuda, rocm, npu or cpu."""
    for fact in _known(run.environment, "hardware:accelerator", "run:accelerator"):
        return _of(fact, str(fact.value).lower())
    torch_npu = run.environment.get("package:torch-npu")
    named = gpu(run)
    text = str(named.value) if named else ""
    if torch_npu or re.search(r"ascend|npu", text):
        return Setting("npu", named.evidence if named else (Evidence(torch_npu.ref),) if torch_npu else ())
    torch = run.environment.get("package:torch")
    build = str(torch.value) if torch else ""
    if torch and "rocm" in build:
        return _of(torch, "rocm")
    if named and re.search(r"\bmi\d{3}|radeon|gfx\d|instinct|\bhip\b", text):
        return Setting("rocm", named.evidence)
    if torch and "+cu" in build:
        return _of(torch, "cuda")
    if named and re.search(r"nvidia|tesla|geforce|rtx|[ahvbl]\d{2,3}\b|gh200", text):
        return Setting("cuda", named.evidence)
    return None


@setting
def framework(run: Run) -> Setting | None:
    """Everything that names the training program: project, script, launcher, readers."""
    found = _text_of(run, "project:name", "run:framework", "run:script", "run:command", "run:launcher")
    readers = " ".join(run.readers)
    if found is None:
        return Setting(readers, ()) if readers else None
    return Setting(f"{found.value} {readers}", found.evidence)


@setting
def lora(run: Run) -> Setting | None:
    """Whether only adapters are trained."""
    for fact in _known(run.environment, "arg:lora_enable", "arg:use_peft", "arg:use_lora", "arg:peft"):
        return _of(fact, _true(fact.value))
    for fact in _known(run.environment, "arg:lora_r", "arg:lora_rank", "arg:lora_alpha"):
        return _of(fact, True)
    keys = ("arg:finetuning_type", "arg:adapter", "arg:train_type", "arg:sft_type", "arg:tuner_type")
    for fact in _known(run.environment, *keys):
        return _of(fact, "lora" in str(fact.value).lower() or "peft" in str(fact.value).lower())
    named = model(run)
    if named and re.search(r"\bq?lora\b", str(named.value)):
        return Setting(True, named.evidence)
    return None


@setting
def moe(run: Run) -> Setting | None:
    """Whether the model is a mixture of experts."""
    for fact in _known(run.environment, "arg:num_experts", "arg:ep_size", "config:moe.enabled", "model:num_local_experts", "model:num_experts"):
        count = _number(fact.value)
        return _of(fact, count > 1 if count is not None else _true(fact.value))
    named = model(run)
    if named and re.search(r"moe|mixtral|deepseek-v[23]|qwen3-?(30b|235b)|a3b|a22b|grok|dbrx", str(named.value)):
        return Setting(True, named.evidence)
    return None


@setting
def compiled(run: Run) -> Setting | None:
    """Whether torch.compile is on."""
    keys = ("arg:torch_compile", "arg:compile", "arg:jit_compile", "config:compile.enabled", "arg:use_torch_compile")
    for fact in _known(run.environment, *keys):
        return _of(fact, _true(fact.value))
    return None


@setting
def padding_side(run: Run) -> Setting | None:
    """left or right: the side that the tokenizer pads on."""
    for fact in _known(run.environment, "arg:padding_side", "model:padding_side", "run:padding_side"):
        return _of(fact, str(fact.value).lower())
    return None
