"""Curves whose x is no step: samples and tokens, turned into steps.

DeepSpeed's monitor (`deepspeed/runtime/engine.py`) writes `Train/Samples/train_loss` at the samples seen *before* the
step (0, B, 2B …) and `Train/Samples/lr` and `loss_scale` at those seen after it (B, 2B …); B is the train batch size and
hence the smallest distance of two points. Megatron-LM writes each curve again as `… vs samples` and, in the DeepSpeed
fork, `… vs tokens`.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Mapping
from typing import Final

from parsers.tfevents import Scalars

_MONITOR: Final = ("Train/Samples/", "Train/Eigenvalues/")
_BEFORE_THE_STEP: Final = "Train/Samples/train_loss"
_AXES: Final = (" vs samples", " vs tokens", " vs gradient_accumulation_steps")
_VALUE_IS_STEP: Final = ("y=steps,x=samples", "y=steps,x=tokens")


def is_monitor(tag: str) -> bool:
    """Whether DeepSpeed's monitor wrote this tag, with samples for x."""
    return tag.startswith(_MONITOR)


def batch_size(columns: Iterable[Scalars]) -> int | None:
    """Samples of one step of DeepSpeed's monitor: the smallest distance of two points, or None where none is seen."""
    seen = sorted({step for column in columns if is_monitor(column.tag) for step in column.steps})
    if len(seen) == 1 and seen[0] > 0:
        return seen[0]
    return min((later - earlier for earlier, later in itertools.pairwise(seen)), default=None)


def steps(column: Scalars, size: int | None, by_tag: Mapping[str, Scalars]) -> array[int]:
    """The steps of a curve's points. `size`: what `batch_size` found; `by_tag`: all curves of the file."""
    tag = column.tag
    if is_monitor(tag):
        if not size:
            return column.steps
        offset = 1 if tag == _BEFORE_THE_STEP else 0
        return array("q", [step // size + offset for step in column.steps])
    if tag.endswith(_VALUE_IS_STEP):
        return array("q", [int(value) if abs(value) < 2**53 else 0 for value in column.values])
    axis = next((axis for axis in _AXES if tag.endswith(axis)), None)
    if axis is None:
        return column.steps
    twin = by_tag.get(tag.removesuffix(axis))
    if twin is not None and len(twin) == len(column):
        return twin.steps
    seen = sorted(set(column.steps))
    gap = min((later - earlier for earlier, later in itertools.pairwise(seen)), default=0)
    return array("q", [step // gap for step in column.steps]) if gap else column.steps
