"""ms-swift's `logging.jsonl` in the output directory: the Trainer's values with the step.

Written by `swift/trainers/callback.py` (older: `swift/trainers/mixin.py`), appended:

    {"loss": 1.2345, "grad_norm": 0.51, "learning_rate": 9.8e-05, "epoch": 0.1, "global_step/max_steps": "10/100",
     "elapsed_time": "1m 2s", "memory(GiB)": 31.02, "train_speed(iter/s)": 0.16}                           2.0.5 – 3.12.4
    {…, "train_speed(s/it)": 6.2}                                                                          3.12.5 on
    {"loss": 4.4561, "learning_rate": 5.46e-06, "epoch": 0.0, "global_step": 10}                           before 2.0
    {…, "steps[global_step/max_steps]": "60/61", …}  and with the Megatron backend  {…, "iteration": "10/1000"}

Both speeds are means since the start; the first is a rate, the second its inverse: both become `step_time` (seconds).
The last line of a run names checkpoints (`last_model_checkpoint`) and ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers import kinds, objects
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, plan_of, planned, rows_of
from parsers.said import Rows

_STEP_KEYS: Final = ("global_step/max_steps", "steps[global_step/max_steps]", "iteration", "global_step")
_DROPPED: Final = frozenset({*_STEP_KEYS, "percentage", "elapsed_time", "remaining_time"})


def _parse(line: Line) -> Iterator[Row]:
    """The row of an object."""
    group = objects.load(line.text) if line.text.startswith("{") else None
    if group is None or _is_end(group):
        return
    step, total = _step(group)
    if step is None or not group.keys() & {"loss", "eval_loss", "train_speed(iter/s)", "train_speed(s/it)"}:
        return
    is_eval = "loss" not in group and any(key.startswith("eval_") for key in group)
    plan = (("@total", float(total)),) if total else ()
    yield Row(line.no, (*_values(group), *plan), step, "eval" if is_eval else "train", line.rank, line.time)


@text_reader(
    "swift_jsonl",
    title="ms-swift logging.jsonl",
    hints=('"global_step/max_steps"', '[global_step/max_steps]"', '"memory(GiB)"', '"global_step":', '"last_model_checkpoint"'),
    example='{"loss": 1.2345, "grad_norm": 0.51, "learning_rate": 9.8e-05, "epoch": 0.1, "global_step/max_steps": "10/100", '
    '"elapsed_time": "1m 2s", "remaining_time": "9m 18s", "memory(GiB)": 31.02, "train_speed(s/it)": 6.2}',
    parse=_parse,
    silent=("generic_text", "generic_jsonl", "progress_bar", "tqdm_postfix", "lightning"),
)
class Swift(RegularReader):
    """Reads the objects."""

    def __init__(self) -> None:
        self._total = 0.0

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, the plan once, and the end."""
        if "last_model_checkpoint" in line.text and line.text.startswith("{"):
            group = objects.load(line.text)
            if group is not None and _is_end(group):
                yield Event(kinds.RUN_END, line.ref, rank=line.rank)
                return
        for shown in _parse(line):
            row, total = plan_of(shown)
            if total and total != self._total:
                self._total = total
                yield Fact("run:planned_steps", int(total), line.ref)
            if row.values:
                yield row

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one plan."""
        return planned([rows for part in parts for rows in rows_of(part, self.file_rank)], self._total)


def _is_end(group: dict[str, object]) -> bool:
    return "last_model_checkpoint" in group and "loss" not in group


def _step(group: dict[str, object]) -> tuple[int | None, int]:
    """(step, planned steps or 0) from whichever key holds them."""
    for key in _STEP_KEYS:
        at, _, of = str(group.get(key, "")).partition("/")
        if at.isdecimal() and len(at) < 16:
            return int(at), int(of) if of.isdecimal() and len(of) < 16 else 0
    return None, 0


def _values(group: dict[str, object]) -> Iterator[tuple[str, float]]:
    for key, value in objects.numbers(group):
        if key == "train_speed(iter/s)":
            if value > 0:
                yield "step_time", 1 / value
        elif key == "train_speed(s/it)":
            yield "step_time", value
        elif key not in _DROPPED:
            yield key, value
