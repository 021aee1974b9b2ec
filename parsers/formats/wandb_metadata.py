"""W&B's `files/wandb-metadata.json`: on what, and by which command line, a run was started.

Written by the client when the run begins (wandb 0.10 to 0.2x; names of keys changed):

    {"os": "Linux-5.15.0-x86_64-with-glibc2.35", "python": "3.10.12", "startedAt": "2024-05-01T12:00:00.123456",
     "args": ["--learning_rate", "2e-5", "--bf16"], "program": "/home/u/train.py", "gpu": "NVIDIA A100-SXM4-80GB",
     "gpu_count": 8, "cudaVersion": "12.2", "memory": {"total": 1007.7}}

`cudaVersion` is the driver's newest, not the toolkit's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from parsers import command, objects, packages
from parsers.model import Fact, Problem, Record, SourceRef, Value
from parsers.registry import file_reader

MAX_BYTES: Final = 2**22
_WEIGHT: Final = 2
_HARDWARE: Final = {
    "gpu": "hardware:gpu", "gpu_count": "hardware:gpu_count", "cudaVersion": "hardware:driver_cuda",
    "cuda": "hardware:driver_cuda",
}  # fmt: skip


def _matches(path: Path, first: bytes) -> bool:
    return path.name == "wandb-metadata.json" and first.lstrip()[:1] == b"{"


@file_reader(
    "wandb_metadata",
    title="W&B wandb-metadata.json",
    example='{"python": "3.10.12", "args": ["--bf16"], "program": "train.py", "gpu": "NVIDIA A100-SXM4-80GB", "gpu_count": 8}',
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """The command line's facts, the interpreter's version and the hardware, each with its key's line."""
    with path.open("rb") as file:
        text = file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    known = objects.load(text)
    if known is None:
        yield Problem(SourceRef(str(path), 1), "wandb_metadata", "no whole object: torn or still being written")
        return
    lines = text.split("\n")
    program, arguments = known.get("program"), known.get("args")
    if isinstance(program, str) and isinstance(arguments, list):
        words = [program, *(one for one in arguments if isinstance(one, str))]
        yield from command.facts(words, _ref(path, lines, "args"), _WEIGHT)
    if isinstance(version := known.get("python"), str):
        yield from packages.facts("python", version.removeprefix("CPython").strip(), _ref(path, lines, "python"), _WEIGHT)
    for name, key in _HARDWARE.items():
        value = _value(known, name)
        if value is not None:
            yield Fact(key, value, _ref(path, lines, name), _WEIGHT)


def _value(known: Mapping[str, Any], name: str) -> Value:
    value = known.get(name)
    return value[:120] if isinstance(value, str) else value if isinstance(value, int) and not isinstance(value, bool) else None


def _ref(path: Path, lines: list[str], key: str) -> SourceRef:
    number = next((n for n, line in enumerate(lines, 1) if f'"{key}"' in line), 1)
    return SourceRef(str(path), number, lines[number - 1].strip()[:300])
