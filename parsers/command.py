"""Command lines of training runs → facts: the script, its arguments, how many processes, which project.

deepspeed --include localhost:0,1 llava/train/train_mem.py --deepspeed ./scripts/zero2.json --bf16 True --lr 2e-5
torchrun --nproc_per_node=8 --nnodes 2 train.py --model_max_length 2048
accelerate launch --num_processes 4 --config_file zero3.yaml sft.py --packing
['/usr/bin/python3', '-u', 'train.py', '--local_rank=3', '--deepspeed', 'ds.json']       DeepSpeed's launcher
"""

from __future__ import annotations

import base64
import binascii
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from parsers import projects
from parsers.lazy import Lazy
from parsers.model import Fact, SourceRef, Value
from parsers.values import scalar

MAX_ARGUMENTS: Final = 300
LAUNCHERS: Final = frozenset({"deepspeed", "torchrun", "accelerate", "python", "python3", "srun", "mpirun", "llamafactory-cli",
                              "swift", "axolotl", "trl", "xtuner", "megatron", "tune"})  # fmt: skip
_ENVIRONMENT = Lazy(r"[A-Z][A-Z0-9_]*=")
_PER_NODE: Final = frozenset({"nproc_per_node", "num_gpus", "gpus_per_node", "nproc-per-node"})
_ALIASES: Final = {
    "attn": "attn_implementation",
    "attn_impl": "attn_implementation",
    "deepspeed_config": "deepspeed",
    "lr": "learning_rate",
}
"""Other spellings of an argument; the fact is stored under both."""

# What the Trainer fills in where ds_config says "auto" (transformers/integrations/deepspeed.py).
_FILLED: Final = {
    "bf16": "bf16.enabled", "fp16": "fp16.enabled", "max_grad_norm": "gradient_clipping",
    "gradient_accumulation_steps": "gradient_accumulation_steps", "learning_rate": "optimizer.params.lr",
    "per_device_train_batch_size": "train_micro_batch_size_per_gpu",
}  # fmt: skip


def words(text: str) -> list[str]:
    """The words of a shell command; a quote that is never closed is read as a plain character."""
    try:
        return shlex.split(text, posix=True)
    except ValueError:
        return text.split()


def argument_facts(arguments: Mapping[str, Value], ref: SourceRef, weight: int = 3) -> Iterator[Fact]:
    """`arg:` facts, and what they say of ds_config and project where they belong together."""
    for name, value in arguments.items():
        yield Fact(f"arg:{name}", value, ref, weight)
        if name in _ALIASES and _ALIASES[name] not in arguments:
            yield Fact(f"arg:{_ALIASES[name]}", value, ref, weight)
    if arguments.get("deepspeed"):
        for name, key in _FILLED.items():
            if arguments.get(name) is not None and arguments[name] != "auto":
                yield Fact(f"config:{key}", arguments[name], ref, 1)
    names = [str(arguments[key]) for key in ("model_name_or_path", "output_dir") if arguments.get(key)]
    owner = projects.project_of_names(names)
    if owner:
        yield from projects.facts(owner, ref, 0)


def facts(command: Sequence[str], ref: SourceRef, weight: int = 3) -> Iterator[Fact]:
    """Everything that a command line says."""
    launcher, script, arguments = split(command)
    text = " ".join(command[:MAX_ARGUMENTS])
    owner = projects.project(text)
    if owner:
        yield from projects.facts(owner, ref, weight)
    if script:
        yield Fact("run:script", script[-200:], ref, weight)
    size = world_size(launcher)
    if size:
        yield Fact("run:world_size", size, ref, min(weight, 2))
    for name in ("mixed_precision", "deepspeed_config_file", "zero_stage", "num_machines", "nnodes"):
        if name in launcher:
            yield Fact(f"run:{name}", launcher[name], ref, weight)
    yield from argument_facts(arguments, ref, weight)
    config = arguments.get("deepspeed") or arguments.get("deepspeed_config") or launcher.get("deepspeed_config_file")
    if isinstance(config, str):
        yield from projects.implied(owner, config, arguments, ref)


def split(command: Sequence[str]) -> tuple[dict[str, Value], str, dict[str, Value]]:
    """(the launcher's options, the script or module, the script's arguments)."""
    parts = [part for part in command if part]
    while parts and (_ENVIRONMENT.match(parts[0]) or parts[0] in ("nohup", "exec", "env", "+", "$", "time", "sudo")):
        parts = parts[1:]
    at = next((i for i, part in enumerate(parts) if part.endswith((".py", ".yaml", ".yml")) and not _is_value(parts, i)), -1)
    if at < 0:
        at = _module(parts)
    if at < 0:
        return options(parts), "", {}
    return options(parts[1:at]), parts[at], options(parts[at + 1 :])


def _is_value(parts: Sequence[str], index: int) -> bool:
    """Whether this word is the value of an option before it (`--config_file x.yaml`)."""
    before = parts[index - 1] if index else ""
    return "=" in parts[index] or (before.startswith("--") and "=" not in before)


def _module(parts: Sequence[str]) -> int:
    """The last `-m module` that is no launcher, or a console script's verb (`swift sft`)."""
    modules = [i + 1 for i, part in enumerate(parts[:-1]) if part in ("-m", "--module")]
    for i in modules:
        if not parts[i].startswith(("torch.distributed", "deepspeed.launcher", "accelerate.commands")):
            return i
    name = parts[0].rpartition("/")[2] if parts else ""
    return 1 if name in LAUNCHERS - {"python", "python3", "srun", "mpirun"} and len(parts) > 1 and parts[1][:1] != "-" else -1


def options(parts: Sequence[str]) -> dict[str, Value]:
    """`--name value`, `--name=value`, `--flag`, `key=value` → arguments, dashes in names made underscores."""
    found: dict[str, Value] = {}
    name = ""
    for part in parts[:MAX_ARGUMENTS]:
        if part.startswith("-") and not _is_number(part):
            name, has_value, value = part.lstrip("-").partition("=")
            name = name.replace("-", "_")
            if name:
                found[name] = scalar(value) if has_value else True
                name = "" if has_value else name
        elif name:
            found[name] = scalar(part) if found[name] is True else f"{found[name]} {part}"
            _expand(part, found)
        else:
            _expand(part, found)
    return found


def _expand(part: str, found: dict[str, Value]) -> None:
    """Overrides such as `max_steps=120`, as Hydra and many scripts take them."""
    name, has_value, value = part.partition("=")
    if has_value and name.replace(".", "_").replace("_", "a").isalnum() and len(name) < 60:
        found.setdefault(name.lstrip("+"), scalar(value))


def _is_number(text: str) -> bool:
    return text[1:2].isdigit() or text[1:2] == "."


def world_size(launcher: Mapping[str, Value]) -> int | None:
    """How many processes a launcher's options ask for, where they say so with numbers."""
    if isinstance(launcher.get("world_info"), str):
        return _world_info(str(launcher["world_info"]))
    total = launcher.get("num_processes")
    if isinstance(total, int):
        return total
    include = launcher.get("include")
    if isinstance(include, str) and ":" in include:
        return sum(len(host.partition(":")[2].split(",")) for host in include.split("@"))
    each = next((launcher[name] for name in launcher if name.replace("-", "_") in _PER_NODE), None)
    nodes = launcher.get("nnodes", launcher.get("num_nodes", 1))
    return each * nodes if isinstance(each, int) and isinstance(nodes, int) else None


def _world_info(text: str) -> int | None:
    """DeepSpeed's `--world_info`: base64 of {host: [slots]}."""
    try:
        hosts = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return sum(len(slots) for slots in hosts.values()) or None
    except (ValueError, binascii.Error, AttributeError, TypeError, RecursionError):
        return None
