"""Progress bars that carry metrics: the postfix of tqdm and what scripts put into its description.

    Epoch 0:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, v_num=0, train_loss=0.520]
    Epoch 1 loss: 0.5123:  40%|████      | 2/5 [00:01<00:02,  1.31it/s]

A bar is redrawn several times at one count, and the postfix of the step may come only with a later redraw: the last one
of each count is taken.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from parsers import metrics
from parsers.epochs import EpochClock
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.pairs import Numbers, numbers

_PERCENT: Final = "%|"
_REST = Lazy(r"[^|]{0,200}\| {0,8}(?P<at>\d{1,12})/(?P<of>\d{1,12}) \[(?P<inside>[^\]]{0,999})")
_LABEL: Final = 120
"""Characters before the percentage that are looked at."""
_POSTFIX = Lazy(r"(?P<name>[A-Za-z_][\w/.\-]{0,60})=(?P<value>tensor\([^)]{0,80}\)|[^,\]\s]{1,60})")
_IN_LABEL = Lazy(r"(?P<name>[A-Za-z_]{0,30}(?:loss|lr|acc|ppl|grad_norm))\s{0,3}[:= ]\s{0,3}(?P<value>[-+\d.naife]{1,24})", 2)
_EPOCH = Lazy(r"[Ee]poch[\s:\[(#=]{0,4}(?P<epoch>\d{1,9})(?P<slash>\s?/\s?\d)?")
_EVAL = Lazy(r"\b(?:val|valid|validation|validating|eval|evaluating|evaluation|test|testing|predicting)\b", 2)
_TELLING: Final = ("loss", "reward", "acc", "ppl", "kl", "norm")

_BEHIND = Lazy(r"[^|]{0,200}\| {0,8}\d{1,12}/\d{1,12} \[[^\]]{0,999}\]\s{0,8}(?P<text>\S.{0,999})$")


@dataclass(frozen=True, slots=True)
class Bar:
    """One drawing of a bar that carries metrics."""

    label: str
    at: int
    of: int
    values: Numbers

    @property
    def is_eval(self) -> bool:
        """Whether its description says that this is no training."""
        return _EVAL.search(self.label) is not None


def bars(text: str) -> Iterator[Bar]:
    """The bars with metrics in a fragment (several where redraws are glued)."""
    start, at = 0, text.find(_PERCENT)
    while at >= 0:
        found = _REST.match(text, at + len(_PERCENT))
        if found:
            label = text[max(start, at - _LABEL) : at].rstrip("0123456789").strip()
            start = found.end()
            yield from _bar(label, int(found["at"]), int(found["of"]), found["inside"])
        at = text.find(_PERCENT, max(start, at + 1))


def behind_bar(text: str) -> str:
    """What a logger wrote behind the last bar of a fragment, on its line (`…, lr=0.003] 11/24/2026 07:34:03 - INFO …`); or ""."""
    at = text.rfind(_PERCENT)
    found = _BEHIND.match(text, at + len(_PERCENT)) if at >= 0 else None
    return found["text"] if found else ""


def _bar(label: str, at: int, of: int, inside: str) -> Iterator[Bar]:
    items = [(m["name"], m["value"]) for m in _POSTFIX.finditer(inside)]
    items += [(m["name"], m["value"]) for m in _IN_LABEL.finditer(label)]
    values = numbers((name, text.removesuffix(".0")) for name, text in items if name != "v_num")  # Lightning: nan.0
    if any(_is_telling(name) for name, _ in values):
        yield Bar(label, at, of, values)


def _is_telling(name: str) -> bool:
    return metrics.canonical(name) in metrics.UNITS or any(word in name.lower() for word in _TELLING)


class BarRows:
    """Bars → rows, the last drawing of each count, with a step that goes on over epochs."""

    def __init__(self, first_epoch: int | None = None) -> None:
        self._first = first_epoch
        self._clock: EpochClock | None = None
        self._pending: tuple[Bar, Line] | None = None
        self._step: int | None = None

    def feed(self, line: Line, bar: Bar) -> Iterator[Row]:
        """Takes a drawing; yields the row of the count before it."""
        if self._pending and (self._pending[0].at, self._pending[0].of) != (bar.at, bar.of):
            yield from self.close()
        self._pending = bar, line

    def close(self) -> Iterator[Row]:
        """The row of the last count."""
        if self._pending is None:
            return
        (bar, line), self._pending = self._pending, None
        if bar.is_eval:
            if bar.at == bar.of:
                yield Row(line.no, bar.values, self._step, "eval", line.rank, line.time)
            return
        self._step = self._count(bar)
        train = tuple(pair for pair in bar.values if not pair[0].startswith(("val", "eval", "test")))
        if train:
            yield Row(line.no, train, self._step, "train", line.rank, line.time)
        others = tuple(pair for pair in bar.values if pair not in train)
        if others and bar.at == bar.of:
            yield Row(line.no, others, self._step, "eval", line.rank, line.time)

    def _count(self, bar: Bar) -> int:
        found = _EPOCH.search(bar.label)
        if not found:
            return bar.at
        if self._clock is None:
            self._clock = EpochClock(self._first if found["slash"] is None else None)
        return self._clock.step(int(found["epoch"]), bar.at, bar.of)
