"""The Trainer's end in files: `all_results.json`, `train_results.json`, `eval_results.json`, `predict_results.json`.

Written by `transformers/trainer_pt_utils.py` (`save_metrics`), indented:

    {
        "epoch": 3.0,
        "train_loss": 0.0,
        "train_runtime": 1234.5
    }

`train_loss` is the mean over the whole run (over the NaN-filtered losses), so it is a summary and no curve. A saved
`train_runtime` says that training came to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds, objects
from parsers.model import Event, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.source import blocks

_NAMES: Final = frozenset({"all_results.json", "train_results.json", "eval_results.json", "predict_results.json"})
MAX_BYTES: Final = 2**22


@file_reader(
    "hf_results_json",
    title="Hugging Face all_results.json and kin",
    example='{"epoch": 3.0, "train_loss": 1.23, "train_runtime": 1234.5}',
    matches=lambda path, first: path.name in _NAMES and first.lstrip()[:1] == b"{",
)
def read(path: Path) -> Iterator[Record]:
    """A summary, the evaluation's values, and the end."""
    if path.stat().st_size > MAX_BYTES:
        return
    data = b"".join(block.data for block in blocks(path))
    group = objects.load(data) or {}
    lines = {key: _line(data, key) for key in group}
    found = [(key, value) for key, value in objects.numbers(group) if "/" not in key]
    summary = tuple(pair for pair in found if not pair[0].startswith("eval_"))
    held_out = tuple(pair for pair in found if pair[0].startswith("eval_"))
    if summary:
        yield Row(lines.get(summary[0][0], 1), summary, None, "summary")
    for key, value in held_out:
        yield Row(lines.get(key, 1), ((key, value),), None, "eval")
    if "train_runtime" in group:
        known = dict(found)
        ref = SourceRef(str(path), lines["train_runtime"])
        yield Event(kinds.RUN_END, ref, data={"train_loss": known.get("train_loss"), "train_runtime": known.get("train_runtime")})


def _line(data: bytes, key: str) -> int:
    at = data.find(f'"{key}"'.encode())
    return data.count(b"\n", 0, max(at, 0)) + 1
