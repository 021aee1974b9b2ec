"""W&B's `files/config.yaml`: what the run was configured with.

Written by the client; every key holds its `value` (older: and a `desc`):

    learning_rate:
        value: 2e-05
    deepspeed:
        desc: null
        value: zero3.json
    _wandb:
        value:
            cli_version: 0.18.0
            python_version: 3.11.4

Only plain values of top-level keys are taken, and the versions that the client records.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers.lazy import Lazy
from parsers.model import Fact, Record, SourceRef
from parsers.registry import file_reader
from parsers.source import blocks
from parsers.values import scalar

_KEY = Lazy(r"^(?P<key>[A-Za-z_][\w./-]{0,80}):\s*$")
_VALUE = Lazy(r"^\s{2,4}value: (?P<value>\S.{0,300})$")
_VERSION = Lazy(r"^\s{4,}(?P<key>cli_version|python_version|framework|huggingface_version): (?P<value>\S{1,60})$")
_FACTS: Final = {
    "cli_version": "package:wandb", "python_version": "package:python", "huggingface_version": "package:transformers",
}  # fmt: skip
MAX_BYTES: Final = 2**23


def _matches(path: Path, first: bytes) -> bool:
    return path.name == "config.yaml" and (b"wandb_version:" in first or b"_wandb:" in first or b":\n    value:" in first[:200])


@file_reader(
    "wandb_config",
    title="W&B config.yaml",
    example="learning_rate:",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """An argument a plain value; the client's and Python's versions."""
    if path.stat().st_size > MAX_BYTES:
        return
    key = ""
    text = b"".join(block.data for block in blocks(path)).decode("utf-8", "replace")
    for number, line in enumerate(text.split("\n"), 1):
        ref = SourceRef(str(path), number, line.strip()[:300])
        if found := _KEY.match(line):
            key = found["key"]
        elif (found := _VALUE.match(line)) and key and key != "_wandb":
            yield Fact(f"arg:{key}", scalar(found["value"]), ref, weight=2)
        elif (found := _VERSION.match(line)) and key == "_wandb" and found["key"] in _FACTS:
            yield Fact(_FACTS[found["key"]], found["value"].strip("'\""), ref, weight=2)
