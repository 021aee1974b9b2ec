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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from parsers import metrics
from parsers.bars import behind_bar
from parsers.dull import shown
from parsers.epochs import EpochClock
from parsers.lazy import Lazy
from parsers.line import Line, stamp
from parsers.model import Row, RowKind
from parsers.pairs import Numbers, numbers
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, recounted, rows_of
from parsers.said import Rows

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
_MAYBE = Lazy(
    r"ep|step|iter|update|batch|(?:val|valid|validation|eval|evaluation|test|dev)(?![a-z])"
    r"|loss\s{0,4}[:=]?\s{0,4}[-+.]{0,2}(?:tensor\([^)]{0,60}\)|nan|inf(?:inity)?|[-+.e]{0,4})\s{0,20}$", 2,
)  # fmt: skip
"""What stands in the skeleton of every record."""
_COUNTS: Final = ("@epoch", "@of")
_Place = tuple[int | None, int | None, Numbers]
_UNITS_OF_STEP: Final = ("global", "step", "iteration", "iter", "update", "batch", "minibatch")


def _parse(line: Line) -> Iterator[Row]:
    """The rows of a line, if it is a record: of the actor that wrote it, with what their step is counted from (`_COUNTS`)."""
    is_behind = "%|" in line.text
    if is_behind:
        line = replace(line, text=behind_bar(line.text), _time=-1.0)
    text = line.text
    if len(text) > MAX_LENGTH or any(mark in text for mark in _ELSEWHERE):
        return
    if not is_behind and (found := _ALONE.match(text.strip())):  # behind a bar it may be the bar's own
        yield Row(line.no, numbers([("loss", found["value"])]), None, "train", line.rank, _time(line), line.actor)
        return
    values = _metrics(text)
    if not any("loss" in name.lower() and "scale" not in name.lower() for name, _ in values) or _NOT_A_RECORD.search(text):
        return
    place = _place(text) or ((None, None, ()) if _EVAL_WORD.match(text.strip()) else None)
    if place is not None:
        yield from _rows(line, values, place)


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    if text is None:
        return False
    if b"%|" not in text and any(mark in text for mark in (b"{'", b'{"', b'File "', b" --")):
        return True
    return _MAYBE.search(text.decode("utf-8", "replace")) is None


@text_reader(
    "generic_text",
    title="lines like `step 100 loss=0.52` (last resort)",
    hints=("loss", "Loss", "LOSS"),
    example="Epoch [1/5], Step [100/600], Loss: 0.5123",
    is_fallback=True,
    is_by_rank=True,
    parse=_parse,
    is_dull=_is_dull,
)
class GenericText(RegularReader):
    """Reads lines that show a clock and a loss."""

    def __init__(self) -> None:
        self._clocks: dict[str, EpochClock] = {}
        self._first = ""

    def feed(self, line: Line) -> Iterable[Row]:
        """The rows of a line, if it is a record."""
        for row in _parse(line):
            engine = self._engine(row.engine)
            values = tuple(pair for pair in row.values if pair[0] not in _COUNTS)
            counts = dict(pair for pair in row.values if pair[0] in _COUNTS)
            step = self._count(engine, row.step, *(counts.get(name) for name in _COUNTS))
            yield row._replace(step=step, values=values, engine=engine)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one actor."""
        found = [rows for part in parts for rows in rows_of(part, self.file_rank)]
        if any(rows.engine for rows in found):
            return None
        self._engine("")
        if not any(name in rows.names for rows in found for name in _COUNTS):
            return found
        return recounted(found, partial(self._count, ""), *_COUNTS)

    def _engine(self, actor: str) -> str:
        """'' for the actor that trained first, the name of another: an actor and a critic in one log count for themselves."""
        if not self._clocks:
            self._first = actor
        is_one_of_many = len(self._clocks) >= MAX_ACTORS and actor not in self._clocks
        engine = "" if actor in ("", self._first) or is_one_of_many else actor
        self._clocks.setdefault(engine, EpochClock())
        return engine

    def _count(self, engine: str, at: int | None, epoch: float | None, of: float | None) -> int | None:
        """The step of a line whose count starts again with every epoch."""
        if at is None or epoch is None:
            return at
        return self._clocks[engine].step(int(epoch), at, None if of is None else int(of))


def _place(text: str) -> _Place | None:
    """The step, the epoch, and what the step is counted from; None where a line has no clock."""
    found = _EPOCH.search(text)
    epoch = int(found["epoch"]) if found else None
    steps = sorted(_STEP.finditer(text), key=lambda m: _UNITS_OF_STEP.index(_unit(m["unit"])))
    if steps:
        at = int(steps[0]["at"].replace(",", ""))
        is_global = _unit(steps[0]["unit"]) == "global"
        return at, epoch, () if is_global else _counts(epoch, steps[0]["of"])
    bracket = _BRACKET.search(text, found.end() if found else 0)
    if bracket and epoch is not None:
        return (None, epoch, ()) if bracket["share"] else (int(bracket["at"]), epoch, _counts(epoch, bracket["of"]))
    return None if epoch is None else (epoch, epoch, ())


def _counts(epoch: int | None, of: str | None) -> Numbers:
    shown = (("@epoch", epoch), ("@of", int(of) if of else None))
    return tuple((name, float(value)) for name, value in shown if value is not None and epoch is not None)


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


def _rows(line: Line, values: Numbers, place: _Place) -> Iterator[Row]:
    """Training and evaluation values as rows of their own."""
    step, epoch, counts = place
    is_eval_line = bool(_EVAL_WORD.search(line.text)) and not _TRAIN_WORD.search(line.text)
    groups: dict[RowKind, list[tuple[str, float]]] = {"train": [], "eval": []}
    for pair in values:
        groups["eval" if is_eval_line or _EVAL_WORD.match(pair[0]) else "train"].append(pair)
    for kind, pairs in groups.items():
        if pairs:
            extra = [("epoch", float(epoch))] if epoch is not None and kind == "train" else []
            yield Row(line.no, (*pairs, *extra, *counts), step, kind, line.rank, _time(line), line.actor)


def _time(line: Line) -> float | None:
    found = _STAMP.search(line.text[:80])
    return line.time or (stamp(found[0]) if found else None)
