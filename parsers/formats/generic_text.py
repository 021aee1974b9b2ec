r"""Last resort: `step 100 loss=0.52 lr 1e-4`-like prints of own training loops.

    Epoch [1/5], Step [100/600], Loss: 0.5123                        PyTorch tutorials
    Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.290191                  PyTorch examples: samples in brackets, so no step
    Epoch: [0][  10/5005]\tTime  0.5 ( 1.2)\tLoss 6.9e+00 (7.0e+00)   ImageNet example
    step: 16 loss: 4.8503 grad_norm: 0.6420 lr: 3.000e-03            own loops
    Finish training epoch 0. loss: 0.0696

A fallback: its rows count only where no other reader found a training loss in the file. A line is claimed when it shows a
loss and a clock (a step, iteration, update, batch or epoch), begins with `Test`, `Validation` or the like, or is nothing
but a loss; never when it speaks of a best, final or target value, is a dict, a bar, a command or longer than 1,000
characters. Where a logger wrote behind a bar (tqdm ends no line) what it wrote is read. Only names that mean something
here are taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from parsers import metrics
from parsers.bars import behind_bar
from parsers.epochs import EpochClock
from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Record, Row, RowKind
from parsers.pairs import Numbers, numbers
from parsers.registry import text_reader

MAX_ACTORS: Final = 64
"""Actors of one log that count for themselves."""
MAX_LENGTH: Final = 1000
_NUMBER: Final = r"(?:tensor\([^)]{1,60}\)|[-+]?(?:nan|inf(?:inity)?|\d[\d,]*(?:\.\d*)?(?:e[-+]?\d{1,3})?|\.\d+))(?![\w.]*\w)"
_EPOCH = Lazy(r"(?<![\w])(?:epoch|ep)s?[\]:=#\s\[(]{0,6}(?P<epoch>\d{1,9})(?:\.\d+)?(?:\s{0,3}/\s{0,3}\d{1,9})?", 2)
_STEP = Lazy(
    r"(?<![A-Za-z])(?P<unit>global[ _-]?step|step|iteration|iter|update|batch|minibatch)s?(?:\s?(?:no|num|number)\.?)?"
    r"[\]:=#\s\[(]{0,6}"
    r"(?P<at>\d{1,3}(?:,\d{3}){1,5}|\d{1,15})(?![\d.]*\d)(?:\s{0,6}(?:/|of)\s{0,6}(?P<of>\d{1,15}))?", 2,
)  # fmt: skip
_BRACKET = Lazy(
    r"\[\s{0,12}(?P<at>\d{1,15})\s{0,3}/\s{0,12}(?P<of>\d{1,15})(?P<share>\s{0,3}\(\s{0,3}\d{1,3}(?:\.\d+)?%\))?\s{0,3}\]"
)
_PAIR = Lazy(
    r"(?<![\w.])(?P<name>[A-Za-z][\w/@.\-]{0,40}(?: (?:loss|norm|rate|scale|acc|accuracy|nll|perplexity))?)"
    rf"\s{{0,4}}(?P<mark>[:=]|is |->|→)?\s{{0,12}}(?P<value>{_NUMBER})", 2,
)  # fmt: skip
_NOT_A_RECORD = Lazy(
    r"\b(?:best|lowest|minimum|final|previous|target|expected|initial|saving|saved|early|baseline|improved|threshold)\b", 2
)
_ALONE = Lazy(rf"^(?:train(?:ing)?[ _])?loss\s{{0,4}}[:=]?\s{{0,4}}(?P<value>{_NUMBER})$", 2)
_EVAL_WORD = Lazy(r"(?<![A-Za-z])(?:val|valid|validation|eval|evaluation|test|dev)(?![A-Za-z])", 2)
_TRAIN_WORD = Lazy(r"(?<![A-Za-z])train(?:ing)?(?![A-Za-z])", 2)
_STAMP = Lazy(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?")
_ELSEWHERE: Final = ("{'", '{"', "%|", 'File "', " --")
"""A dict, JSON, a bar, a traceback, a command line: other readers' matters, or no record."""
_CONFIGURES: Final = ("weight", "coef", "num", "fn", "type", "factor", "ratio", "chunk", "reduction", "func")
_TELLING: Final = ("loss", "acc", "ppl", "perplexity", "reward", "kl", "entropy", "nll", "gradnorm", "grad_norm", "grad norm")
_PLAIN: Final = frozenset({"lr", "norm", "gnorm", "epoch_loss", "loss_scale", "loss scale", "learning rate", "learning_rate"})
_CONVERT: Final = {"norm": ("grad_norm", 1.0), "Norm": ("grad_norm", 1.0)}
_FILLERS: Final = frozenset({"with", "and", "has", "at", "of", "the", "a", "its", "current", "got", "had", "is"})
_UNITS_OF_STEP: Final = ("global", "step", "iteration", "iter", "update", "batch", "minibatch")


@text_reader(
    "generic_text",
    title="lines like `step 100 loss=0.52` (last resort)",
    hints=("loss", "Loss", "LOSS"),
    example="Epoch [1/5], Step [100/600], Loss: 0.5123",
    is_fallback=True,
    is_by_rank=True,
)
class GenericText:
    """Reads lines that show a clock and a loss."""

    hungry = False

    def __init__(self) -> None:
        self._clocks: dict[str, EpochClock] = {}
        self._first = ""

    def feed(self, line: Line) -> Iterable[Record]:
        """The rows of a line, if it is a record."""
        is_behind = "%|" in line.text
        if is_behind:
            line = replace(line, text=behind_bar(line.text), _time=-1.0)
        text = line.text
        if len(text) > MAX_LENGTH or any(mark in text for mark in _ELSEWHERE):
            return
        if not is_behind and (found := _ALONE.match(text.strip())):  # behind a bar it may be the bar's own
            engine = self._engine(line)
            yield Row(line.no, numbers([("loss", found["value"])]), None, "train", line.rank, _time(line), engine)
            return
        values = _metrics(text)
        if not any("loss" in name.lower() and "scale" not in name.lower() for name, _ in values) or _NOT_A_RECORD.search(text):
            return
        engine = self._engine(line)
        clock = self._step(text, self._clocks[engine]) or ((None, None) if _EVAL_WORD.match(text.strip()) else None)
        if clock is not None:
            yield from _rows(line, values, *clock, engine)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _engine(self, line: Line) -> str:
        """'' for the actor that trained first, the name of another: an actor and a critic in one log count for themselves."""
        if not self._clocks:
            self._first = line.actor
        is_one_of_many = len(self._clocks) >= MAX_ACTORS and line.actor not in self._clocks
        engine = "" if line.actor in ("", self._first) or is_one_of_many else line.actor
        self._clocks.setdefault(engine, EpochClock())
        return engine

    def _step(self, text: str, clock: EpochClock) -> tuple[int | None, int | None] | None:
        """(step, epoch), or None where the line has no clock."""
        found = _EPOCH.search(text)
        epoch = int(found["epoch"]) if found else None
        steps = sorted(_STEP.finditer(text), key=lambda m: _UNITS_OF_STEP.index(_unit(m["unit"])))
        if steps:
            of = int(steps[0]["of"]) if steps[0]["of"] else None
            at = int(steps[0]["at"].replace(",", ""))
            is_global = _unit(steps[0]["unit"]) == "global"
            return (at if is_global else clock.step(epoch, at, of)), epoch
        bracket = _BRACKET.search(text, found.end() if found else 0)
        if bracket and epoch is not None:
            return (None if bracket["share"] else clock.step(epoch, int(bracket["at"]), int(bracket["of"]))), epoch
        return None if epoch is None else (epoch, epoch)


def _unit(text: str) -> str:
    low = text.lower()
    return "global" if low.startswith("global") else low


def _metrics(text: str) -> Numbers:
    """The pairs whose name means something; without `:` or `=` between only the plainest names."""
    kept = []
    for found in _PAIR.finditer(text):
        name = found["name"].rstrip(".-_/")
        first, _, rest = name.partition(" ")
        name = rest if rest and first.lower() in _FILLERS else name
        low = name.lower()
        if "." in name or any(word in low for word in _CONFIGURES):
            continue
        is_known = low in _PLAIN or metrics.canonical(low) in metrics.UNITS or any(word in low for word in _TELLING)
        if low in ("epoch", "step", "iter", "iteration") or not is_known:
            continue
        if found["mark"] or low in _PLAIN or low.endswith(("loss", "acc", "norm")):
            kept.append((name, found["value"]))
    return numbers(kept, _CONVERT)


def _rows(line: Line, values: Numbers, step: int | None, epoch: int | None, engine: str) -> Iterator[Row]:
    """Training and evaluation values as rows of their own."""
    is_eval_line = bool(_EVAL_WORD.search(line.text)) and not _TRAIN_WORD.search(line.text)
    groups: dict[RowKind, list[tuple[str, float]]] = {"train": [], "eval": []}
    for pair in values:
        groups["eval" if is_eval_line or _EVAL_WORD.match(pair[0]) else "train"].append(pair)
    for kind, pairs in groups.items():
        if pairs:
            extra = [("epoch", float(epoch))] if epoch is not None and kind == "train" else []
            yield Row(line.no, tuple(pairs + extra), step, kind, line.rank, _time(line), engine)


def _time(line: Line) -> float | None:
    found = _STAMP.search(line.text[:80])
    return line.time or (stamp(found[0]) if found else None)
