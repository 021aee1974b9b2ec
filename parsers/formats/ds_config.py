"""DeepSpeed configuration files beside a log: the JSON given to `--deepspeed`.

    {"train_micro_batch_size_per_gpu": "auto", "bf16": {"enabled": "auto"}, "zero_optimization": {"stage": 2}}

What such a file asks for was asked of this run (weight 2), but `auto` is filled in by the Trainer later, and the engine's own
dump, where it was printed, is the resolved truth.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from parsers import dsconfig
from parsers.model import Problem, Record, SourceRef
from parsers.registry import file_reader

MAX_BYTES = 4 * 2**20
_MARKS = (b'"zero_optimization"', b'"train_micro_batch_size_per_gpu"', b'"zero_allow_untested_optimizer"', b'"fp16"', b'"bf16"')


def _matches(path: Path, first: bytes) -> bool:
    if path.suffix not in (".json", ".hjson") or b'"log_history"' in first:
        return False
    marks = sum(mark in first for mark in _MARKS)
    return marks > 1 or (marks == 1 and (b'"enabled"' in first or b'"stage"' in first))


@file_reader(
    "ds_config",
    title="DeepSpeed configuration files (ds_config.json)",
    example='{"zero_optimization": {"stage": 2, "overlap_comm": true}}',
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """A `config:` fact for each key, with the line it stands on."""
    with path.open("rb") as file:  # no more is asked for than there is: room for all of it would be made
        text = file.read(min(MAX_BYTES, os.fstat(file.fileno()).st_size)).decode("utf-8-sig", "replace")
    config = dsconfig.loads(text)
    if config is None:
        yield Problem(SourceRef(str(path), 1), "ds_config", "not a JSON object: the configuration was not read")
        return
    lines = [(line, SourceRef(str(path), number, line.strip()[:300])) for number, line in enumerate(text.split("\n"), 1)]
    yield from dsconfig.facts(config, lines, 2)
