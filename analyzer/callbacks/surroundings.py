"""What a running process knows about itself → facts: installed packages, arguments, DeepSpeed's configuration, hardware.

Nothing is imported for it: a framework that is not loaded is not asked.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from parsers import Fact, SourceRef
from parsers.dsconfig import facts as config_facts

PACKAGES: Final = (
    "torch", "transformers", "deepspeed", "accelerate", "peft", "trl", "lightning", "pytorch-lightning", "numpy", "datasets",
    "flash-attn", "bitsandbytes", "apex", "xformers", "triton", "tokenizers", "safetensors", "megatron-core", "torchvision",
    "transformer-engine", "nvidia-nccl-cu12", "nvidia-cudnn-cu12", "nvidia-cublas-cu12",
)  # fmt: skip
MAX_TEXT: Final = 300


def surroundings(ref: SourceRef, arguments: Mapping[str, Any] | None = None, deepspeed: Any = None) -> list[Fact]:
    """Facts of this process, all pointing at `ref`. `deepspeed`: a ds_config as a mapping or a path."""
    found = [*_packages(ref), *_arguments(ref, arguments or {}), *_hardware(ref)]
    config = _config(deepspeed)
    if config:
        found += config_facts(config, [(json.dumps(config, default=str)[:MAX_TEXT], ref)])
    return found


def _packages(ref: SourceRef) -> Iterator[Fact]:
    yield Fact("package:python", ".".join(map(str, sys.version_info[:3])), ref)
    for name in PACKAGES:
        with suppress(metadata.PackageNotFoundError):
            yield Fact(f"package:{name}", metadata.version(name), ref)


def _arguments(ref: SourceRef, arguments: Mapping[str, Any]) -> Iterator[Fact]:
    for name, value in arguments.items():
        if isinstance(value, str | int | float | bool) and len(str(value)) <= MAX_TEXT:
            yield Fact(f"arg:{name}", value, ref)


def _hardware(ref: SourceRef) -> Iterator[Fact]:
    world = os.environ.get("WORLD_SIZE", "")
    if world.isdigit():
        yield Fact("run:world_size", int(world), ref)
    torch = sys.modules.get("torch")
    with suppress(Exception):  # a driver that answers with an error must not end the training
        if torch is not None and torch.cuda.is_initialized():
            yield Fact("hardware:gpu", torch.cuda.get_device_name(), ref)
            yield Fact("hardware:gpus", torch.cuda.device_count(), ref)


def _config(deepspeed: Any) -> Mapping[str, Any] | None:
    if isinstance(deepspeed, Mapping):
        return deepspeed
    if isinstance(deepspeed, str | Path):
        with suppress(OSError, ValueError):
            loaded = json.loads(Path(deepspeed).read_text("utf-8"))
            return loaded if isinstance(loaded, Mapping) else None
    return None
