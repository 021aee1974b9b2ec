"""Training projects that a command line or a path belongs to, and what their shipped files imply.

An implied value has weight 0: the project's own file says it, this run did not print it. Every value below was read in
the named file of the project's repository; files that changed their mind over time imply nothing here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from parsers.lazy import Lazy
from parsers.model import Fact, SourceRef, Value

# Part of a path, a module or a command → project. The first that is found counts; forks stand before what they forked.
MARKS: Final[Mapping[str, str]] = {
    "minigemini/train/": "mgm", "mgm/train/": "mgm", "llamavid/train/": "llama-vid", "videollava/train/": "video-llava",
    "tinyllava/train/": "tinyllava", "moellava/train/": "moe-llava", "share4v/train/": "sharegpt4v", "bunny/train/": "bunny",
    "cambrian/train/": "cambrian", "internvl/train/": "internvl", "llava/train/": "llava",
    "llamafactory": "llama-factory", "llmtuner": "llama-factory", "src/train_bash.py": "llama-factory",
    "LLaMA-Factory": "llama-factory", "LlamaFactory": "llama-factory", "LLaMA-Efficient-Tuning": "llama-factory",
    "swift/cli/": "ms-swift", "swift.cli": "ms-swift", "swift sft": "ms-swift", "swift pt": "ms-swift", "swift rlhf": "ms-swift",
    "axolotl": "axolotl", "open_r1/": "open-r1", "open-r1": "open-r1", "openrlhf": "openrlhf", "verl.trainer": "verl",
    "trl sft": "trl", "trl dpo": "trl", "trl grpo": "trl", "trl/scripts/": "trl", "fastchat/train/": "fastchat",
    "xtuner": "xtuner", "DeepSpeed-Chat": "deepspeed-chat", "step1_supervised_finetuning": "deepspeed-chat",
    "step2_reward_model_finetuning": "deepspeed-chat", "step3_rlhf_finetuning": "deepspeed-chat",
    "Megatron-DeepSpeed": "megatron-deepspeed", "alignment-handbook": "alignment-handbook", "stanford_alpaca": "alpaca",
    "qwenvl/train/": "qwen-vl", "torchtitan": "torchtitan", "-m torchtune": "torchtune",
}  # fmt: skip

HINTS: Final = tuple(mark for mark in MARKS if mark not in ("xtuner", "axolotl", "swift pt", "trl dpo", "open-r1"))

# What the projects ask for in their own package metadata: LLaVA v1.2 and MGM (pyproject.toml).
PINS: Final[Mapping[str, Mapping[str, str]]] = {
    "llava": {"deepspeed": "0.12.6", "transformers": "4.37.2", "torch": "2.1.2"},
    "mgm": {"deepspeed": "0.11.1"},
}

_ZERO2: Final = {"zero_optimization.overlap_comm": True, "zero_optimization.contiguous_gradients": True}
_OFFLOAD: Final = {"zero_optimization.offload_optimizer.device": "cpu", "zero_optimization.offload_param.device": "cpu"}
# (project, end of the ds_config path) → what that file holds beside its stage.
SHIPPED: Final[Mapping[tuple[str, str], Mapping[str, Value]]] = {
    ("llava", "scripts/zero2.json"): _ZERO2,  # also reduce_bucket_size "auto": hidden_size squared
    ("llava", "scripts/zero3.json"): _ZERO2,
    ("llava", "scripts/zero3_offload.json"): {**_ZERO2, **_OFFLOAD},
    ("mgm", "scripts/zero2.json"): _ZERO2,
    ("mgm", "scripts/zero3.json"): _ZERO2,
    ("mgm", "scripts/zero2_offload.json"): {**_ZERO2, **_OFFLOAD},
    ("llama-vid", "scripts/zero2.json"): _ZERO2,
    ("llama-vid", "scripts/zero2_offload.json"): {**_ZERO2, **_OFFLOAD},
    ("video-llava", "scripts/zero2.json"): _ZERO2,
    ("video-llava", "scripts/zero2_offload.json"): _ZERO2,
    ("video-llava", "scripts/zero3.json"): _ZERO2,
    ("video-llava", "scripts/zero3_offload.json"): {**_ZERO2, **_OFFLOAD},
    ("internvl", "zero_stage1_config.json"): {**_ZERO2, "zero_optimization.reduce_bucket_size": 1_000_000_000},
    ("internvl", "zero_stage2_config.json"): {**_ZERO2, "zero_optimization.reduce_bucket_size": 1_000_000_000},
    ("axolotl", "deepspeed_configs/zero1.json"): {"zero_optimization.overlap_comm": True},
    ("axolotl", "deepspeed_configs/zero2.json"): {**_ZERO2, "zero_optimization.offload_optimizer.device": "cpu"},
}
_STAGE = Lazy(r"(?:zero|stage|_z|ds_z)[_-]?(?:stage)?[_-]?([0-3])(?!\d)", 2)


def project(text: str) -> str | None:
    """The project that a command line, a path or a module belongs to."""
    return next((name for mark, name in MARKS.items() if mark in text), None)


def project_of_names(values: Sequence[str]) -> str | None:
    """The project that names of models and output folders hint at: `MGM gemma 2B`, `checkpoints/llava-v1.5-7b-lora`."""
    for value in values:
        low = value.lower()
        for word, name in (
            ("mini-gemini", "mgm"),
            ("minigemini", "mgm"),
            ("mgm", "mgm"),
            ("bunny-v", "bunny"),
            ("llava-v1.", "llava"),
        ):
            at = low.find(word)
            if at >= 0 and (at == 0 or not low[at - 1].isalnum()):
                return name
    return None


def facts(name: str, ref: SourceRef, weight: int = 3) -> Iterator[Fact]:
    """The project, and what it asks for."""
    yield Fact("project:name", name, ref, weight)
    for package, version in PINS.get(name, {}).items():
        yield Fact(f"project:pins-{package}", version, ref, 0)


def implied(name: str | None, config: str, arguments: Mapping[str, Value], ref: SourceRef) -> Iterator[Fact]:
    """What a ds_config file that is only named on a command line implies: its stage, and the project's shipped values."""
    if config.lstrip().startswith("{"):
        return
    path = config.replace("\\", "/")
    stage = _STAGE.search(path.rpartition("/")[2])
    if stage:
        yield Fact("config:zero_optimization.stage", int(stage[1]), ref, 0)
    if name == "llava" and "mm_tunable_parts" in arguments:  # LLaVA-NeXT runs the same script with other files
        return
    for (owner, end), values in SHIPPED.items():
        if owner == name and path.endswith(end):
            for key, value in values.items():
                yield Fact(f"config:{key}", value, ref, 0)
