"""DeepSpeed configurations, as JSON files and as the engine prints them → facts `config:<dotted key>`.

The keys are those of ds_config (`zero_optimization.overlap_comm`, `bf16.enabled`), whatever the engine calls them. A
value of `auto` says nothing definite and gets the weight of an implied one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from parsers.lazy import Lazy
from parsers.model import Fact, SourceRef, Value
from parsers.values import scalar

MAX_DEPTH: Final = 6
MAX_FACTS: Final = 400

# What the engine's own dump calls the keys of ds_config; `*` takes over the members of a sub-configuration.
ENGINE_KEYS: Final = {
    "bfloat16_enabled": "bf16.enabled", "bfloat16_config": "bf16.*",
    "bfloat16_immediate_grad_update": "bf16.immediate_grad_update",
    "fp16_enabled": "fp16.enabled", "float16_config": "fp16.*", "fp16_auto_cast": "fp16.auto_cast",
    "fp16_master_weights_and_gradients": "fp16.fp16_master_weights_and_grads", "loss_scale": "fp16.loss_scale",
    "initial_dynamic_scale": "fp16.initial_scale", "dynamic_loss_scale_args": "fp16.dynamic_loss_scale_args.*",
    "zero_config": "zero_optimization.*", "zero_optimization_stage": "zero_optimization.stage",
    "zero_allow_untested_optimizer": "zero_allow_untested_optimizer", "gradient_clipping": "gradient_clipping",
    "train_batch_size": "train_batch_size", "train_micro_batch_size_per_gpu": "train_micro_batch_size_per_gpu",
    "gradient_accumulation_steps": "gradient_accumulation_steps", "gradient_predivide_factor": "gradient_predivide_factor",
    "prescale_gradients": "prescale_gradients", "communication_data_type": "communication_data_type",
    "grad_accum_dtype": "data_types.grad_accum_dtype", "steps_per_print": "steps_per_print",
    "wall_clock_breakdown": "wall_clock_breakdown", "optimizer_name": "optimizer.type", "optimizer_params": "optimizer.params.*",
    "scheduler_name": "scheduler.type", "scheduler_params": "scheduler.params.*", "amp_enabled": "amp.enabled",
    "sparse_gradients_enabled": "sparse_gradients", "mics_shard_size": "zero_optimization.mics_shard_size",
    "activation_checkpointing_config": "activation_checkpointing.*",
}  # fmt: skip

_RENAMED: Final = {"bfloat16": "bf16"}
_JSON_TOKEN = Lazy(
    r'"(?:[^"\\]|\\.)*"|//[^\n]*|/\*(?:[^*]|\*(?!/))*\*/|#[^\n]*|(?<![\w.])-?(?:inf|nan)\b|\bNone\b|\bTrue\b|\bFalse\b|,(?=\s*[}\]])'
)
_WORDS: Final = {"inf": "Infinity", "-inf": "-Infinity", "nan": "NaN", "None": "null", "True": "true", "False": "false"}
_MEMBER = Lazy(
    r"(?P<key>[A-Za-z_]\w*)=(?P<value>[A-Za-z_][\w.]*\([^()]*\)|<[^<>]*>|'[^']*'|\[[^\[\]]*\]|\{[^{}]*\}|\d{1,3}(?:,\d{3})+(?!\d)|[^\s,()]+)"
)
_PAIR = Lazy(r"'(?P<key>[^']{1,80})': (?P<value>'[^']*'|\[[^\[\]]*\]|[^,'\"{}\[\]]+)")


def loads(text: str) -> Mapping[str, Any] | None:
    """A JSON object with what DeepSpeed and its users put into it (`inf`, comments, trailing commas), or None."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = _mended(text)
    return value if isinstance(value, dict) else None


def _mended(text: str) -> object:
    """The value of a text that is JSON but for what people put into it; None where it is not."""

    def replace(token: str) -> str:
        if token[0] == '"':
            return token
        return _WORDS.get(token, "")

    parts, end = list[str](), 0
    for found in _JSON_TOKEN.finditer(text):
        parts += [text[end : found.start()], replace(found[0])]
        end = found.end()
    parts.append(text[end:])
    try:
        return json.loads("".join(parts))
    except (ValueError, RecursionError):
        return None


def flat(config: Mapping[str, Any], prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Value]]:
    """(dotted key, value) in the order of the document; lists become JSON text, whole floats integers."""
    for key, value in config.items():
        name = prefix + (_RENAMED.get(str(key), str(key)) if not depth else str(key))
        if isinstance(value, Mapping):
            if depth < MAX_DEPTH:
                yield from flat(value, f"{name}.", depth + 1)
        else:
            yield name, plain(value)


def plain(value: object) -> Value:
    """A JSON value as a fact holds it."""
    if isinstance(value, float) and math.isfinite(value) and value.is_integer() and abs(value) < 2**53 and abs(value) > 1000:
        return int(value)
    if value is None or isinstance(value, str | int | float | bool):
        return value[:300] if isinstance(value, str) else value
    return json.dumps(value)[:300]


def facts(config: Mapping[str, Any], lines: Sequence[tuple[str, SourceRef]], weight: int = 3) -> Iterator[Fact]:
    """`config:` facts of a ds_config that stands on these lines, each with the line of its own key."""
    at = 0
    for key, value in islice(flat(config), MAX_FACTS):
        wanted = f'"{key.rpartition(".")[2]}"'
        at = next((i for i in range(at, len(lines)) if wanted in lines[i][0]), at)
        yield fact(key, value, lines[at][1], weight)


def fact(key: str, value: Value, ref: SourceRef, weight: int = 3) -> Fact:
    """One `config:` fact; `auto` counts as implied."""
    return Fact(f"config:{key}", value, ref, 0 if value == "auto" else weight)


def engine_facts(name: str, text: str, ref: SourceRef) -> Iterator[Fact]:
    """Facts of one line of the engine's dump: `zero_config` and `stage=2 overlap_comm=True …` or a JSON or a dict."""
    if name == "world_size":
        yield Fact(
            "run:world_size", scalar(text), ref, 1
        )  # of data parallelism: less than all with tensor or pipeline parallelism
    target = ENGINE_KEYS.get(name)
    if target is None:
        return
    if not target.endswith("*"):
        yield fact(target, plain(scalar(text)), ref)
        return
    for key, value in _members(text):
        yield fact(target[:-1] + key, value, ref)


def _members(text: str) -> Iterator[tuple[str, Value]]:
    if text.startswith("{"):
        config = loads(text)
        if config is not None:
            yield from flat(config, depth=1)
        else:
            for found in _PAIR.finditer(text):
                yield found["key"], plain(scalar(found["value"]))
        return
    for found in _MEMBER.finditer(text):
        value = found["value"]
        if value.endswith(")") and "(" in value:
            for key, inner in _members(value[value.index("(") + 1 : -1]):
                yield f"{found['key']}.{key}", inner
        elif value[0] == "<" and ":" in value:  # an enumeration: <OffloadDeviceEnum.cpu: 'cpu'>
            yield found["key"], value.rpartition(":")[2].strip(" '>")
        else:
            yield found["key"], plain(scalar(value.replace(",", "") if value[:1].isdigit() else value))
