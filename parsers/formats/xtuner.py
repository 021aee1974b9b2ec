"""XTuner v1: one loguru line a step.

Printed by `xtuner/v1/train/trainer.py`:

    [XTuner][RANK 0][2025-09-01 10:00:00][INFO] Epoch 1 Step 10/500 data_time: 0.0100 lr: 1.000000e-05 time: 0.5000
        text_tokens: 4096 total_loss: 2.12345678 grad_norm: 0.51234567 max_memory: 20.50 GB tgs: 8192.0 eta: 1:02:03

`tgs` is tokens per second and GPU, `time` seconds a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Fact, Record, Row
from parsers.pairs import numbers
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, plan_of, planned, rows_of
from parsers.said import Rows

_HEAD = Lazy(r"Epoch (?P<epoch>\d{1,9}) Step (?P<step>\d{1,12})/(?P<total>\d{1,12}) (?P<rest>.*\btgs: .*)")
_RANK = Lazy(r"\[RANK (\d{1,6})\]\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_ITEM = Lazy(r"(?P<name>[A-Za-z]\w{0,60}): (?P<value>[^\s,]{1,40})")
_CONVERT: Final = {
    "time": ("step_time", 1.0), "tgs": ("throughput_tokens", 1.0), "max_memory": ("memory_gpu", 1.0),
    "total_loss": ("loss", 1.0), "reduced_loss": ("loss", 1.0),
}  # fmt: skip


def _parse(line: Line) -> Iterator[Row]:
    """The row of a step."""
    found = _HEAD.search(line.text)
    if not found:
        return
    items = ((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"]) if item["name"] != "eta")
    values = (*numbers(items, _CONVERT), ("@total", float(found["total"])))
    head = _RANK.search(line.text)
    rank = int(head[1]) if head else line.rank
    yield Row(line.no, values, int(found["step"]), "train", rank, stamp(head[2]) if head else line.time)


@text_reader(
    "xtuner",
    title="XTuner v1",
    hints=(" tgs: ",),
    example="[XTuner][RANK 0][2025-09-01 10:00:00][INFO] Epoch 1 Step 10/500 data_time: 0.0100 lr: 1.000000e-05 time: 0.5000 "
    "text_tokens: 4096 loss: 2.12345678 grad_norm: 0.51234567 max_memory: 20.50 GB tgs: 8192.0 eta: 1:02",
    parse=_parse,
    silent=("generic_text",),
)
class XTuner(RegularReader):
    """Reads step lines."""

    def __init__(self) -> None:
        self._total = 0.0

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, and the plan once."""
        for shown in _parse(line):
            row, total = plan_of(shown)
            if total is not None and total != self._total:
                self._total = total
                yield Fact("run:planned_steps", int(total), line.ref)
            yield row

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one plan."""
        return planned([rows for part in parts for rows in rows_of(part, self.file_rank)], self._total)
