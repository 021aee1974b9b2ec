"""Coqui Trainer (TTS, XTTS): a head line with the step and a metric a line below it.

Printed by `trainer/logging/console_logger.py` (`trainer_0_log.txt`), with ANSI colours:

     --> TIME: 2026-02-11 01:08:46 -- STEP: 150/24940 -- GLOBAL_STEP: 150
     | > loss_mel_ce: 4.714635848999023  (4.657325814565025)         the step's value, and in brackets the epoch's mean so far
     | > loss: 0.05637720599770546  (0.05573831414182981)
     | > current_lr: 5e-06
     --> EVAL PERFORMANCE
     | > avg_loss: 2.75422106896128 (-2.1270983971300574)            in brackets the change since the evaluation before

The training `loss` is divided by the number of gradient-accumulation steps; the evaluation's is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Event, Record, Row
from parsers.registry import text_reader
from parsers.values import number

_HEAD = Lazy(r"--> TIME: (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) -- STEP: \d+/\d+ -- GLOBAL_STEP: (?P<step>\d{1,15})")
_METRIC = Lazy(r"^\s*\| > (?P<name>[\w/.\-]{1,80}): *(?P<value>[-+\w.]{1,40})")
_NAMES: Final = {"avg_loss": "eval_loss", "current_lr": "lr", "amp_scaler": "loss_scale", "step_time": "step_time"}


@text_reader(
    "coqui",
    title="Coqui Trainer (TTS)",
    hints=("GLOBAL_STEP: ", "EVAL PERFORMANCE", "> TRAINING (", "| > "),
    example="   --> TIME: 2026-02-11 01:08:46 -- STEP: 150/24940 -- GLOBAL_STEP: 150",
    is_by_rank=True,
)
class Coqui:
    """Reads metric lines below a head; other `| > ` lines (the environment, the configuration) are not metrics."""

    hungry = False

    def __init__(self) -> None:
        self._mode = ""
        self._step: int | None = None
        self._time: float | None = None
        self._has_started = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A row from a metric line; the start once."""
        if len(line.text) > 1000:
            return
        if found := _HEAD.search(line.text):
            self._mode, self._step, self._time = "train", int(found["step"]), stamp(found["time"])
        elif "EVAL PERFORMANCE" in line.text:
            self._mode, self._time = "eval", None
        elif "> TRAINING (" in line.text:
            self._mode = ""
            if not self._has_started:
                self._has_started = True
                yield Event(kinds.RUN_START, line.ref, data={"framework": "coqui"})
        elif self._mode:
            yield from self._metric(line)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _metric(self, line: Line) -> Iterator[Record]:
        found = _METRIC.match(line.text)
        value = number(found["value"]) if found else None
        if found is None or value is None:
            return
        name = _NAMES.get(found["name"].removesuffix("_0"), found["name"])
        yield Row(line.no, ((name, value),), self._step, "eval" if self._mode == "eval" else "train", line.rank, self._time)
