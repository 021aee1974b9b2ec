"""LLaMA-Factory's `trainer_log.jsonl` in the output directory: one object a logging step, with the step in it.

Written by `llamafactory/train/callbacks.py` (`LogCallback`), appended:

    {"current_steps": 10, "total_steps": 100, "loss": 1.2345, "lr": 9.8e-05, "epoch": 0.1, "percentage": 10.0,
     "elapsed_time": "0:01:02", "remaining_time": "0:09:18", "throughput": 1234.56, "total_tokens": 76800}
    {"current_steps": 10, "total_steps": 100, "loss": 1.2, "eval_loss": null, "learning_rate": 9.8e-05, …}     before 0.9.1

The values are the Trainer's, so its NaN filter applies: a loss of exactly 0 mostly means NaN. No gradient norm is in it.
`throughput` is tokens per second since the start.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers import objects
from parsers.line import Line
from parsers.model import Fact, Problem, Record, Row, RowKind
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, plan_of, planned, rows_of
from parsers.said import Rows

_DROPPED: Final = frozenset({"current_steps", "total_steps", "percentage", "elapsed_time", "remaining_time"})


def _parse(line: Line) -> Iterator[Row]:
    """The row of an object."""
    group = objects.within(line.text)
    step = objects.as_number(group.get("current_steps")) if group else None
    if group is None or step is None or abs(step) > 1e15:
        return
    total = objects.as_number(group.get("total_steps"))
    values = tuple((_name(key), value) for key, value in objects.numbers(group) if key not in _DROPPED)
    if values:
        plan = (("@total", total),) if total is not None and 0 < total < 1e15 else ()
        yield Row(line.no, values + plan, int(step), _kind(group), line.rank, line.time)


@text_reader(
    "llamafactory_jsonl",
    title="LLaMA-Factory trainer_log.jsonl",
    hints=('"current_steps":',),
    example='{"current_steps": 10, "total_steps": 100, "loss": 1.2345, "lr": 9.8e-05, "epoch": 0.1, "percentage": 10.0, '
    '"elapsed_time": "0:01:02", "remaining_time": "0:09:18"}',
    parse=_parse,
    silent=("generic_text", "generic_jsonl"),
)
class LlamaFactory(RegularReader):
    """Reads the objects."""

    def __init__(self) -> None:
        self._total = math.nan

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, and the plan once."""
        for shown in _parse(line):
            row, total = plan_of(shown)
            if total is not None and total != self._total:
                self._total = total
                yield Fact("run:planned_steps", int(total), line.ref)
            yield row
            return
        if not _is_whole(line):
            yield Problem(line.ref, "llamafactory_jsonl", "no whole object: torn or still being written")

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one plan."""
        return planned([rows for part in parts for rows in rows_of(part, self.file_rank)], self._total)


def _is_whole(line: Line) -> bool:
    group = objects.within(line.text)
    step = objects.as_number(group.get("current_steps")) if group else None
    return step is not None and abs(step) <= 1e15


def _name(key: str) -> str:
    return "throughput_tokens" if key == "throughput" else key


def _kind(group: dict[str, object]) -> RowKind:
    if group.get("loss") is not None:
        return "train"
    if any(key.startswith(("eval_", "predict_")) and value is not None for key, value in group.items()):
        return "eval"
    return "train"
