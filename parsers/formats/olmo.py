"""OLMo and OLMo-core: a head with the step and an indented metric a line below it.

Printed by `olmo/train.py` (`log_metrics_to_console`) and `olmo_core/train/callbacks/console_logger.py`, by rank 0:

    2024-03-01 12:00:00.123 host:0 olmo.train:967 INFO [step=1/1907]
        train/CrossEntropyLoss=11.23
        optim/total_grad_norm=1.234
        throughput/device/tokens_per_second=12,345
    … INFO [step=10/1907,epoch=0]                                          2024 on; other ranks print the head alone
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row
from parsers.registry import text_reader
from parsers.values import number

_HEAD = Lazy(r"\[step=(?P<step>[\d,]{1,18}?)(?:/(?P<total>[\d,]{1,18}?))?(?:,epoch=\d+)?\]$")
_METRIC = Lazy(r"^\s+(?P<name>[A-Za-z][\w/ .()@\-]{1,120})=(?P<value>\S{1,40})$")
_UNITS: Final = {
    "throughput/device/tokens_per_second": "throughput_tokens", "throughput/device/TPS": "throughput_tokens",
    "System/Peak GPU Memory (MB)": "memory_gpu",
}  # fmt: skip


@text_reader(
    "olmo",
    title="OLMo, OLMo-core",
    hints=("[step=",),
    example="2024-03-01 12:00:00.123 host:0 olmo.train:967 INFO [step=1/1907]",
    is_by_rank=True,
)
class Olmo:
    """Reads heads, and is hungry for the metric lines below one."""

    hungry = False

    def __init__(self) -> None:
        self._step = 0
        self._total = ""

    def feed(self, line: Line) -> Iterable[Record]:
        """The plan from a head, a row from a metric line."""
        found = _HEAD.search(line.text)
        if found:
            self.hungry = True
            self._step = int(found["step"].replace(",", "") or 0)
            if found["total"] and found["total"] != self._total and found["total"].replace(",", ""):
                self._total = found["total"]
                yield Fact("run:planned_steps", int(self._total.replace(",", "")), line.ref)
            return
        item = _METRIC.match(line.text) if self.hungry else None
        if item is None:
            self.hungry = False
            return
        value = number(item["value"])
        if value is not None:
            name = _UNITS.get(item["name"], item["name"])
            value = value / 1024 if name == "memory_gpu" else value
            kind = "eval" if name.startswith("eval") else "train"
            yield Row(line.no, ((name, value),), self._step, "eval" if kind == "eval" else "train", line.rank, line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
