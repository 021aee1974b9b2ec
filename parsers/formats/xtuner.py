"""XTuner v1: one loguru line a step.

Printed by `xtuner/v1/train/trainer.py`:

    [XTuner][RANK 0][2025-09-01 10:00:00][INFO] Epoch 1 Step 10/500 data_time: 0.0100 lr: 1.000000e-05 time: 0.5000
        text_tokens: 4096 total_loss: 2.12345678 grad_norm: 0.51234567 max_memory: 20.50 GB tgs: 8192.0 eta: 1:02:03

`tgs` is tokens per second and GPU, `time` seconds a step.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Fact, Record, Row
from parsers.pairs import numbers
from parsers.registry import text_reader

_HEAD = Lazy(r"Epoch (?P<epoch>\d{1,9}) Step (?P<step>\d{1,12})/(?P<total>\d{1,12}) (?P<rest>.*\btgs: .*)")
_RANK = Lazy(r"\[RANK (\d{1,6})\]\[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_ITEM = Lazy(r"(?P<name>[A-Za-z]\w{0,60}): (?P<value>[^\s,]{1,40})")
_CONVERT: Final = {
    "time": ("step_time", 1.0), "tgs": ("throughput_tokens", 1.0), "max_memory": ("memory_gpu", 1.0),
    "total_loss": ("loss", 1.0), "reduced_loss": ("loss", 1.0),
}  # fmt: skip


@text_reader(
    "xtuner",
    title="XTuner v1",
    hints=(" tgs: ",),
    example="[XTuner][RANK 0][2025-09-01 10:00:00][INFO] Epoch 1 Step 10/500 data_time: 0.0100 lr: 1.000000e-05 time: 0.5000 "
    "text_tokens: 4096 loss: 2.12345678 grad_norm: 0.51234567 max_memory: 20.50 GB tgs: 8192.0 eta: 1:02",
)
class XTuner:
    """Reads step lines."""

    hungry = False

    def __init__(self) -> None:
        self._total = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, and the plan once."""
        found = _HEAD.search(line.text)
        if not found:
            return
        items = ((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"]) if item["name"] != "eta")
        values = numbers(items, _CONVERT)
        if int(found["total"]) != self._total:
            self._total = int(found["total"])
            yield Fact("run:planned_steps", self._total, line.ref)
        head = _RANK.search(line.text)
        rank = int(head[1]) if head else line.rank
        yield Row(line.no, values, int(found["step"]), "train", rank, stamp(head[2]) if head else line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
