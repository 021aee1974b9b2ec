"""Progress bars that carry metrics: the postfix of tqdm and what scripts put into its description.

    Epoch 0:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, v_num=0, train_loss=0.520]
    Epoch 1 loss: 0.5123:  40%|████      | 2/5 [00:01<00:02,  1.31it/s]

A bar is redrawn several times at one count, and the postfix of the step may come only with a later redraw: the last one
of each count is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from parsers import metrics
from parsers.epochs import EpochClock
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row, Tick
from parsers.pairs import Numbers, numbers
from parsers.regular import values_of
from parsers.said import Rows, Ticks
from parsers.values import duration_seconds

_PERCENT: Final = "%|"
_REST = Lazy(r"[^|]{0,200}\| {0,8}(?P<at>\d{1,12})/(?P<of>\d{1,12}) \[(?P<inside>[^\]]{0,999})")
_TICK = Lazy(r"[^|]{0,200}\| (?P<step>\d{1,12})/(?P<total>\d{1,12}) \[(?P<time>[\d:]{1,30})[<, ]")
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


def tick_of(line: Line) -> Tick | None:
    """The count of the first bar of a fragment whose total is known."""
    text = line.text
    at = text.find(_PERCENT)
    while at >= 0:
        found = _TICK.match(text, at + len(_PERCENT))
        if found and at and text[at - 1] in "0123456789":
            return Tick(line.no, int(found["step"]), int(found["total"]), duration_seconds(found["time"]))
        at = text.find(_PERCENT, at + 1)
    return None


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
        epoch = _EPOCH.search(bar.label)
        self._step = self._count(bar.at, bar.of, int(epoch["epoch"]) if epoch else None, bool(epoch and epoch["slash"]))
        train = tuple(pair for pair in bar.values if not pair[0].startswith(("val", "eval", "test")))
        if train:
            yield Row(line.no, train, self._step, "train", line.rank, line.time)
        others = tuple(pair for pair in bar.values if pair not in train)
        if others and bar.at == bar.of:
            yield Row(line.no, others, self._step, "eval", line.rank, line.time)

    def columns(self, found: Sequence[Rows], rank: int | None, is_first: bool = False) -> list[Rows | Ticks]:
        """Takes many drawings, as `drawing` says them; what `feed` yields for them, and their counts.

        `is_first`: the rows of a line come before its count, as the readers are asked in the order of their names.
        """
        nth = 0 if is_first else 1
        own = [values_of(rows, ("@of", "@seconds", "@epoch", "@slash")) for rows in found]
        ticks: list[Rows | Ticks] = [
            Ticks(rows.at, rows.lines, rows.steps or (), list(map(int, of or ())), seconds or ())
            for rows, (of, seconds, *_) in own
        ]
        shown = [_Shown(rows, of or (), epoch, bool(slash)) for rows, (of, _, epoch, slash) in own]
        made: list[Rows | Ticks] = []
        if len(shown) == 1:
            if self._pending and (self._pending[0].at, self._pending[0].of) != shown[0].key(0):
                made = [_single(found[0].at[0], number, row) for number, row in enumerate(self.close(), nth)]
            self._step = shown[0].tell_all(self._count, self._step)
            self._pending = shown[0].bar(len(found[0].at) - 1, rank)
            made += [one.told(nth) for one in shown if one.places]
            return made + ticks if is_first else ticks + made
        order = [(at, which, place) for which, rows in enumerate(found) for place, at in enumerate(rows.at)]
        last: tuple[_Shown, int] | None = None
        for at, which, place in sorted(order) if len(found) > 1 else order:
            one = shown[which]
            if last is not None and last[0].key(last[1]) != one.key(place):
                self._step = last[0].tell(last[1], at, self._count)
            elif last is None and self._pending and (self._pending[0].at, self._pending[0].of) != one.key(place):
                made += [_single(at, number, row) for number, row in enumerate(self.close(), nth)]
            last = one, place
        if last is not None:
            self._pending = last[0].bar(last[1], rank)
        made += [one.told(nth) for one in shown if one.places]
        return made + ticks if is_first else ticks + made

    def _count(self, at: int, of: int, epoch: int | None, is_of_all: bool) -> int:
        if epoch is None:
            return at
        if self._clock is None:
            self._clock = EpochClock(None if is_of_all else self._first)
        return self._clock.step(epoch, at, of)


class _Shown:
    """Drawings of one form, and those of them that are rows."""

    def __init__(self, rows: Rows, of: Sequence[float], epoch: Sequence[float] | None, has_slash: bool) -> None:
        self._rows, self._steps, self._of, self._epoch, self._has_slash = rows, rows.steps or (), of, epoch, has_slash
        self._told: list[int] = []
        self._counts: list[int] = []
        self.places: list[int] = []
        """Where they are told: at the next count."""

    def key(self, place: int) -> tuple[int, int]:
        """The count of a drawing, and the bar's total."""
        return self._steps[place], int(self._of[place])

    def tell(self, place: int, at: int, count: Callable[[int, int, int | None, bool], int]) -> int:
        """The step of a drawing, which is told at a place."""
        epoch = None if self._epoch is None else int(self._epoch[place])
        step = count(*self.key(place), epoch, self._has_slash)
        self._told.append(place)
        self._counts.append(step)
        self.places.append(at)
        return step

    def tell_all(
        self, count: Callable[[int, int, int | None, bool], int], last: int | None
    ) -> int | None:  # fmt: skip
        """Each drawing but the last of all that is followed by another count; the step of the last one that is."""
        keys, ats = list(zip(self._steps, self._of, strict=True)), self._rows.at
        self._told = [place for place, (one, after) in enumerate(pairwise(keys)) if one != after]
        self.places = [ats[place + 1] for place in self._told]
        if self._epoch is None:
            self._counts = [self._steps[place] for place in self._told]
        else:
            epochs = self._epoch
            self._counts = [count(*self.key(place), int(epochs[place]), self._has_slash) for place in self._told]
        return self._counts[-1] if self._counts else last

    def told(self, nth: int) -> Rows:
        """The rows."""
        rows, told = self._rows, self._told
        columns = tuple([column[place] for place in told] for column in rows.columns)
        times = None if rows.times is None else [rows.times[place] for place in told]
        return rows._replace(
            at=self.places, lines=[rows.lines[place] for place in told], columns=columns, steps=self._counts, times=times, nth=nth
        )

    def bar(self, place: int, rank: int | None) -> tuple[Bar, Line]:
        """A drawing as it is remembered."""
        rows = self._rows
        values = tuple((name, column[place]) for name, column in zip(rows.names, rows.columns, strict=True))
        label = "" if self._epoch is None else f"Epoch {int(self._epoch[place])}{'/1' if self._has_slash else ''}"
        time = None if rows.times is None else rows.times[place]
        return Bar(label, *self.key(place), values), Line("", rows.lines[place], "", "", rank, _time=time)


def _single(at: int, nth: int, row: Row) -> Rows:
    names, columns = tuple(name for name, _ in row.values), tuple([value] for _, value in row.values)
    steps, times = None if row.step is None else [row.step], None if row.time is None else [row.time]
    return Rows([at], [row.line], names, columns, steps, times, row.rank, row.engine, row.kind, nth)


def drawing(line: Line) -> Iterator[Row]:
    """The one training bar of a line and nothing else, with what its step is counted from and what its count needs."""
    found = list(bars(line.text)) if line.text.count(_PERCENT) == 1 and not behind_bar(line.text) else []
    tick = tick_of(line) if len(found) == 1 else None
    if tick is None or tick.seconds is None or (tick.step, tick.total) != (found[0].at, found[0].of):
        return
    [bar] = found
    if bar.is_eval or any(name.startswith(("val", "eval", "test", "@")) for name, _ in bar.values):
        return
    counts = [("@of", float(bar.of)), ("@seconds", tick.seconds)]
    if epoch := _EPOCH.search(bar.label):
        counts += [("@epoch", float(epoch["epoch"]))] + ([("@slash", 1.0)] if epoch["slash"] else [])
    yield Row(line.no, (*bar.values, *counts), bar.at, "train", line.rank, line.time)
