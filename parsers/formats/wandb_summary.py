"""W&B's `files/wandb-summary.json`: the last value of everything that was logged.

Written by the client while the run goes on, one line; NaN bare or as a string:

    {"train/loss": 0.0, "train/grad_norm": NaN, "train/global_step": 4, "_step": 3, "_runtime": 36.6}

One record: the run's last. Where a log or history of the run is read as well it adds nothing. `_step` counts calls of
`wandb.log`; the global step that was logged itself (`train/global_step`, `trainer/global_step`) is preferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import objects
from parsers.model import Record, Row
from parsers.registry import file_reader
from parsers.source import blocks

_STEPS: Final = ("train/global_step", "trainer/global_step", "global_step", "step", "_step")
MAX_BYTES: Final = 2**24


@file_reader(
    "wandb_summary",
    title="W&B wandb-summary.json",
    example='{"train/loss": 0.5, "train/global_step": 4, "_step": 3}',
    matches=lambda path, first: path.name.endswith("wandb-summary.json") and first.lstrip()[:1] == b"{",
)
def read(path: Path) -> Iterator[Record]:
    """The last values as one training row and one of evaluations."""
    if path.stat().st_size > MAX_BYTES:
        return
    group = objects.load(b"".join(block.data for block in blocks(path))) or {}
    found = [(k, v) for k, v in objects.numbers(group) if not k.startswith("_") and k not in _STEPS]
    steps = [at for key in _STEPS if (at := objects.as_number(group.get(key))) is not None and abs(at) < 1e15]
    stamp = objects.as_number(group.get("_timestamp"))
    train = tuple(pair for pair in found if not pair[0].startswith(("eval", "val", "test")))
    held_out = tuple(pair for pair in found if pair not in train)
    step = int(steps[0]) if steps else None
    if train:
        yield Row(1, train, step, "train", time=stamp)
    if held_out:
        yield Row(1, held_out, step, "eval", time=stamp)
