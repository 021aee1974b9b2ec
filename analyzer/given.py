"""What the user states beside the log: `--fact deepspeed=0.14.0`, `--env freeze.txt`, `--python venv/bin/python`.

Such facts answer the questions that a report asks, and count more than what the log says (`Fact.given`). A fact has a short
name (`deepspeed`, `overlap_comm`, `gpus`) or its whole key (`config:zero_optimization.overlap_comm`); a name that neither
we nor any cause knows is refused with near ones, since a misspelt fact would silently change nothing.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

from analyzer.cause import Cause, load_for_weighing
from analyzer.errors import UsageError
from analyzer.patterns import conjuncts
from parsers import packages
from parsers.model import Fact, SourceRef, Value
from parsers.values import scalar

OPTION: Final = "--fact"
PREFIXES: Final = ("package:", "config:", "arg:", "model:", "hardware:", "run:", "project:", "tried:")

# Short name → the keys that it answers. A name of a package or of a ds_config section needs no line here.
ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "stage": ("config:zero_optimization.stage",), "zero_stage": ("config:zero_optimization.stage",),
    "zero": ("config:zero_optimization.stage",), "offload": ("config:zero_optimization.offload_optimizer.device",),
    "overlap_comm": ("config:zero_optimization.overlap_comm",), "gpus": ("run:world_size",), "ranks": ("run:world_size",),
    "world_size": ("run:world_size",), "nodes": ("run:nodes",), "nnodes": ("run:nodes",), "gpu": ("hardware:gpu",),
    "accelerator": ("hardware:accelerator",), "device": ("hardware:accelerator",),
    "gas": ("arg:gradient_accumulation_steps", "config:gradient_accumulation_steps"),
    "gradient_accumulation_steps": ("arg:gradient_accumulation_steps", "config:gradient_accumulation_steps"),
    "batch_size": ("arg:per_device_train_batch_size",), "micro_batch": ("arg:per_device_train_batch_size",),
    "lr": ("arg:learning_rate",), "learning_rate": ("arg:learning_rate",),
    "clipping": ("arg:max_grad_norm", "config:gradient_clipping"), "max_grad_norm": ("arg:max_grad_norm",),
    "attention": ("arg:attn_implementation",), "attn": ("arg:attn_implementation",), "dtype": ("arg:torch_dtype",),
    "weight_dtype": ("arg:torch_dtype",), "moe": ("config:moe.enabled",), "padding_side": ("arg:padding_side",),
    "lora": ("arg:use_lora",), "compile": ("arg:torch_compile",), "compiled": ("arg:torch_compile",),
    "model": ("arg:model_name_or_path",), "framework": ("run:framework",), "script": ("run:script",),
    "project": ("project:name",), "rerun": ("tried:rerun",), "planned_steps": ("run:planned_steps",),
}  # fmt: skip
_SPELT_OUT: Final[Mapping[str, str]] = {key.partition(":")[2]: key for keys in ALIASES.values() for key in keys}
"""The names as frameworks spell them (attn_implementation): reports ask for these too."""
_PRECISIONS: Final = ("bf16", "fp16", "fp32")
_SECTIONS: Final = ("zero_optimization", "bf16", "fp16", "optimizer", "scheduler", "amp", "moe", "activation_checkpointing",
                    "data_types", "compile")  # fmt: skip
_ZERO_KEYS: Final = frozenset(
    {"contiguous_gradients", "reduce_bucket_size", "allgather_bucket_size", "allgather_partitions", "reduce_scatter",
     "round_robin_gradients", "use_multi_rank_bucket_allreduce", "sub_group_size", "zero_hpz_partition_size",
     "stage3_prefetch_bucket_size", "stage3_param_persistence_threshold", "mics_shard_size"}
)  # fmt: skip
_COMMON_PACKAGES: Final = frozenset(
    {"deepspeed", "torch", "transformers", "accelerate", "peft", "trl", "datasets", "bitsandbytes", "flash-attn", "numpy", "vllm",
     "cuda", "cudnn", "nccl", "python", "triton", "xformers", "tokenizers", "safetensors", "pydantic", "torch-npu", "cann",
     "apex", "ray", "verl", "torchvision"}
)  # fmt: skip
_CLAUSE_KEY: Final = re.compile(r"(?:fact:)?((?:package|config|arg|model|hardware|run|project|tried):[\w./-]+)")
_NONE: Final = ("none", "not installed", "absent")


def facts(stated: Iterable[str] = (), files: Iterable[str] = (), python: str | None = None) -> tuple[Fact, ...]:
    """All facts of `--fact`, `--env` and `--python`, the most definite first.

    Raises UsageError for a fact or a file that says nothing, parsers.UnreadableError for one that cannot be read.
    """
    found = [fact for text in stated for fact in stated_facts(text)]
    for file in files:
        found += file_facts(file)
    if python:
        from parsers import site_packages

        found += (replace(fact, given=True) for fact in site_packages.facts(python))
    return tuple(found)


def stated_facts(text: str) -> Iterator[Fact]:
    """`overlap_comm=true` → the facts that it states."""
    name, sign, written = text.partition("=")
    name, written = name.strip(), written.lstrip("=").strip()
    if not sign or not name or not written:
        raise UsageError(f"--fact {text!r} states nothing: write NAME=VALUE, for example deepspeed=0.14.0 or overlap_comm=true.")
    ref = SourceRef(OPTION, 1, text)
    for key, value in _meant(name, written):
        yield Fact(key, value, ref, given=True)


def _meant(name: str, written: str) -> Iterator[tuple[str, Value]]:
    low = name.lower().replace("-", "_")
    word = written.lower()
    if low == "precision" or low in _PRECISIONS:
        chosen = word if low == "precision" else low
        if chosen not in _PRECISIONS:
            raise UsageError(f"--fact precision={written!r} is none we know: write bf16, fp16 or fp32.")
        yield from _precision(chosen, low == "precision" or scalar(word) is True)
    elif low == "deepspeed" and word in ("true", "false"):
        yield "arg:deepspeed", word
    elif low in ALIASES:
        yield from ((key, scalar(written)) for key in ALIASES[low])
    elif low in _SPELT_OUT:
        yield _SPELT_OUT[low], scalar(written)
    else:
        key = full_key(name)
        yield key, _version(key, written) if key.startswith("package:") else scalar(written)


def _precision(name: str, is_on: bool) -> Iterator[tuple[str, Value]]:
    """One precision that is on says that the others are off."""
    for other in ("bf16", "fp16"):
        if is_on or other == name:
            on = is_on and other == name
            yield f"config:{other}.enabled", on
            yield f"arg:{other}", on
    if name == "fp32" and is_on:
        yield "run:precision", "fp32"


def _version(key: str, written: str) -> str | None:
    """A package's version stays text: 2.10 is not 2.1."""
    from analyzer.versions import in_ranges

    if written.lower() in _NONE:
        return None
    if in_ranges(written, ">=0") is None:
        raise UsageError(f"--fact {key}={written}: {written!r} is no version. Write one such as 0.14.0, or none.")
    return written


def full_key(name: str) -> str:
    """The whole key of a fact's name. Raises UsageError with near names where nobody knows it."""
    prefix, has_prefix, rest = name.partition(":")
    if has_prefix:
        if f"{prefix}:" not in PREFIXES or not rest:
            raise UsageError(f"--fact {name!r}: no such kind of fact. The kinds are {', '.join(PREFIXES)}")
        return f"package:{packages.canonical(rest)}" if prefix == "package" else name
    package = packages.canonical(name)
    if package in _COMMON_PACKAGES or f"package:{package}" in _asked():
        return f"package:{package}"
    plain = name.replace("-", "_")
    if plain in _ZERO_KEYS:
        return f"config:zero_optimization.{plain}"
    if plain.partition(".")[0] in _SECTIONS and "." in plain:
        return f"config:{plain}"
    matching = [key for key in sorted(_asked()) if key.partition(":")[2] in (name, plain, name.replace("_", "-"))]
    if matching:
        return min(matching, key=lambda key: PREFIXES.index(key.partition(":")[0] + ":"))
    raise UsageError(_unknown(name))


def _unknown(name: str) -> str:
    known = {*ALIASES, *_PRECISIONS, *_ZERO_KEYS, *_COMMON_PACKAGES, *(key.partition(":")[2] for key in _asked())}
    near = difflib.get_close_matches(name.lower(), sorted(known), 3, 0.6)
    hint = f"did you mean {' or '.join(near)}?" if near else "write its whole key, for example config:zero_optimization.stage."
    return f"--fact {name!r} is a name that no cause asks for: {hint}"


@cache
def _asked() -> frozenset[str]:
    """Every key that some cause asks for, and the packages they affect."""
    keys: set[str] = set()
    for cause in load_for_weighing():
        keys.update(f"package:{entry['package']}" for entry in cause.affects)
        keys.update(key for when in _whens(cause) for part in conjuncts(when) for key in _CLAUSE_KEY.findall(part)[:1])
    return frozenset(keys)


def _whens(cause: Cause) -> Iterator[str]:
    for texts in cause.requires.values():
        yield from texts
    for spec in cause.evidence:
        yield from spec.whens


def file_facts(file: str) -> list[Fact]:
    """What a file about the environment says: freeze, requirements, lock file, `conda list`, ds_report, ds_config."""
    from parsers import read

    run = read([file])
    found = {fact.key: fact for _, fact in run.environment.under("")}
    for fact in _pins(file):
        found.setdefault(fact.key, fact)
    if not found:
        raise UsageError(f"{file} says nothing about an environment: give a pip freeze, requirements, lock file or ds_report.")
    return [replace(fact, given=True) for _, fact in sorted(found.items())]


def _pins(file: str) -> Iterator[Fact]:
    """Lines that pin a package, whatever the file is called."""
    for number, line in enumerate(_text_lines(file), 1):
        pin = packages.pinned(line)
        if pin:
            yield from packages.facts(*pin, SourceRef(file, number, line.strip()[:300]), 1)


def _text_lines(file: str) -> Sequence[str]:
    """The lines of a small text file; a table of packages is never a large one."""
    path = Path(file)
    if not path.is_file() or path.stat().st_size > 2**22:
        return ()
    return path.read_text("utf-8", "replace").splitlines()
