"""Keras 2 and 3: `fit`'s bar of each epoch.

Printed by `keras/utils/progbar_logger` (`Progbar`), redrawn with backspaces or carriage returns:

    Epoch 3/10
    100/100 [==============================] - 1s 5ms/step - loss: 0.3123 - accuracy: 0.9100 - val_loss: 0.2900      Keras 2
    100/100 ━━━━━━━━━━━━━━━━━━━━ 1s 5ms/step - accuracy: 0.9100 - loss: 0.3123 - val_loss: 0.2900                      Keras 3
    100/100 - 1s - loss: 0.3123 - accuracy: 0.9100 - 1s/epoch - 5ms/step                                             verbose=2
    Batch 5: Invalid loss, terminating training                                                                  TerminateOnNaN

The values are running means of the epoch, so only a bar that is full (or the last one of the file) is a record. Its step
is in batches. A full bar without an `Epoch` line before it is an evaluation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import kinds
from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row
from parsers.pairs import numbers
from parsers.registry import text_reader

_EPOCH = Lazy(r"^Epoch (?P<epoch>\d{1,9})/(?P<epochs>\d{1,9})$")
_BAR = Lazy(r"(?P<at>\d{1,12})/(?P<of>\d{1,12}) (?:\[[=>.]{3,80}\]|[━ ]{8,80}|(?=- \d+s -))(?P<rest>[^\[━]{0,2000})")
_ITEM = Lazy(r" - (?P<name>[A-Za-z][\w/@.\-]{0,60}): (?P<value>[-+\w.]{1,24})")
_NAN = Lazy(r"Batch \d+: Invalid loss, terminating training")


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    if text is None or b"Invalid loss" in text or (b" - " in text and b": " in text and b"/ " in text):
        return False
    return not text.rstrip().endswith(b"Epoch /")


@text_reader(
    "keras",
    title="Keras 2 and 3 (fit)",
    hints=("Epoch ", "s/step", " - loss: ", "Invalid loss, terminating training"),
    example="100/100 [==============================] - 1s 5ms/step - loss: 0.3123 - accuracy: 0.9100 - val_loss: 0.2900",
    is_by_rank=True,
    is_dull=_is_dull,
)
class Keras:
    """Reads the bars of the epochs."""

    hungry = False

    def __init__(self) -> None:
        self._epoch = 0
        self._epochs = 0
        self._planned = 0
        self._is_open = True
        self._partial: tuple[Line, int, int, str] | None = None
        self._step: int | None = None

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows of a full bar; the plan from the first epoch."""
        if "/" in line.text and (found := _EPOCH.match(line.text.strip())):
            self._epoch, self._is_open = int(found["epoch"]), True
            if not self._epochs:
                self._epochs = int(found["epochs"])
                yield Fact("run:planned_epochs", self._epochs, line.ref)
        elif " - " in line.text and ": " in line.text:
            for bar in _BAR.finditer(line.text):
                yield from self._bar(line, int(bar["at"]), int(bar["of"]), bar["rest"])
        if "Invalid loss" in line.text and (bad := _NAN.search(line.text)):
            yield Event(kinds.NAN_REPORT, line.ref, rank=line.rank, time=line.time, data={"message": bad[0]})

    def close(self) -> Iterable[Record]:
        """The epoch that was not finished."""
        if self._partial and self._epoch:
            yield from self._rows(*self._partial)

    def _bar(self, line: Line, at: int, of: int, rest: str) -> Iterator[Record]:
        if at < of:
            self._partial = (line, at, of, rest) if self._is_open else None
            return
        self._partial = None
        if _ITEM.search(rest):
            if self._epochs and self._is_open and self._epochs * of != self._planned:
                self._planned = self._epochs * of
                yield Fact("run:planned_steps", self._planned, line.ref)
            yield from self._rows(line, at, of, rest)
            self._is_open = False

    def _rows(self, line: Line, at: int, of: int, rest: str) -> Iterator[Record]:
        values = numbers((item["name"], item["value"]) for item in _ITEM.finditer(rest))
        train = tuple(pair for pair in values if not pair[0].startswith("val_")) if self._is_open else ()
        if train:
            self._step = max(0, self._epoch - 1) * of + at
            yield Row(line.no, train, self._step, "train", line.rank, line.time)
        others = tuple(pair for pair in values if pair not in train)
        if others:
            yield Row(line.no, others, self._step, "eval", line.rank, line.time)
