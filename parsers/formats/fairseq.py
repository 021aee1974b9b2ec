"""fairseq and metaseq: JSON (or `simple`) progress lines of the `train_inner`, `train` and `valid` loggers, overflow notes.

Printed by `fairseq/logging/progress_bar.py` and `fairseq/trainer.py`, behind `YYYY-MM-DD HH:MM:SS | INFO | train_inner | `
or, under hydra, `[YYYY-MM-DD HH:MM:SS,mmm][train_inner][INFO] - `. All values are strings:

    … | INFO | train_inner | {"epoch": 1, "update": 0.12, "loss": "12.345", "ppl": "5203.5", "num_updates": "200", "gnorm": "3.4"}
    … | INFO | valid | {"epoch": 1, "valid_loss": "6.681", "valid_num_updates": "695"}
    … | INFO | train_inner | epoch 001:    200 / 5000 loss=12.345, ppl=5203.5, gnorm=3.456, loss_scale=128        simple
    … | INFO | fairseq_cli.train | done training in 63.1 seconds
    … | INFO | fairseq.trainer | NOTE: gradient overflow detected, ignoring gradient, setting loss scale to: 64.0

Losses are in bits (base 2). A key that is missing (`gnorm`) was not finite. The `train` line is a mean over the epoch: a
summary. The overflow note names the new scale; the one that was tried is twice that (`scale_factor` is 2). At its
minimum fairseq raises `FloatingPointError: Minimum loss scale reached`; metaseq goes on skipping.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds, metrics, objects
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Row, RowKind
from parsers.pairs import numbers, split
from parsers.registry import text_reader
from parsers.regular import RegularReader
from parsers.values import number

_SCALE = Lazy(r"overflow detected, ignoring gradient, setting loss scale to: (?P<to>[\d.e+-]+)")
_SIMPLE = Lazy(r"epoch (?P<epoch>\d{1,9}):? +(?:(?P<at>\d{1,15}) / (?P<of>\d{1,15})|\|) (?P<rest>(?:loss|valid)\b.*)")
_RENAMED: Final = {"gnorm": "grad_norm", "num_updates": "", "update": "", "wps": "throughput_tokens"}
_NOTES: Final = ("overflow detected", "Minimum loss scale reached", "done training in ")
_HYDRA: Final = "_name"


def _parse(line: Line) -> Iterator[Row]:
    """The row of a progress line."""
    text = line.text
    if 'num_updates"' in text:
        yield from _json(line)
    elif not any(mark in text for mark in _NOTES):
        yield from _simple(line)


@text_reader(
    "fairseq",
    title="fairseq, metaseq",
    hints=(
        'num_updates"',
        ", num_updates=",
        "overflow detected, ignoring gradient",
        "Minimum loss scale reached",
        "gnorm=",
        "| num_updates ",
        "done training in ",
    ),
    example='2023-01-05 10:00:00 | INFO | train_inner | {"epoch": 1, "update": 0.123, "loss": "12.345", "wps": "54321", '
    '"num_updates": "200", "lr": "2.5e-06", "gnorm": "3.456", "loss_scale": "128", "train_wall": "120", "wall": "150"}',
    parse=_parse,
    silent=("generic_text", "generic_jsonl"),
)
class Fairseq(RegularReader):
    """Reads progress lines and overflow notes."""

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, an overflow, or nothing."""
        text = line.text
        if 'num_updates"' in text:
            yield from _json(line)
        elif "overflow detected" in text:
            yield from _overflow(line)
        elif "Minimum loss scale reached" in text and "FloatingPointError" in text:
            yield Event(kinds.SCALE_MINIMUM, line.ref, rank=line.rank, time=line.time)
        elif "done training in " in text:
            if "fairseq_cli.train" in text or "metaseq" in text:
                yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=line.time)
        else:
            yield from _simple(line)


def _json(line: Line) -> Iterator[Row]:
    group = objects.within(line.text)
    if group is None:
        return
    kind, prefix = _kind(group)
    step = objects.as_number(group.get(f"{prefix}num_updates"))
    values = tuple((_name(key, kind), value) for key, value in objects.numbers(group) if _name(key, kind))
    if step is not None and values:
        yield Row(line.no, values, int(step) if abs(step) < 1e15 else None, kind, line.rank, line.time)


def _kind(group: dict[str, object]) -> tuple[RowKind, str]:
    for key in group:
        if key.endswith("_num_updates"):
            return ("summary" if key.startswith("train_") else "eval"), key.removesuffix("num_updates")
    return "train", ""


def _name(key: str, kind: RowKind) -> str:
    if kind == "train":
        return _RENAMED.get(key, key)
    return "" if key.endswith(("num_updates", "_wps", "_wpb", "_bsz")) else key


def _overflow(line: Line) -> Iterator[Record]:
    found = _SCALE.search(line.text)
    to = number(found["to"]) if found else None
    if to is None:
        return
    yield Row(line.no, ((metrics.OVERFLOW, to * 2),), None, "train", line.rank, line.time)
    yield Event(kinds.OVERFLOW, line.ref, None, line.rank, line.time, {"scale_from": to * 2, "scale_to": to})


def _summary(text: str) -> list[tuple[str, str]]:
    """`valid on 'valid' subset | loss 2.319 | num_updates 141` → its names and values, `valid_` before held-out ones."""
    prefix = "valid_" if text.startswith("valid") else ""
    parts = (part.strip().partition(" ") for part in text.split("|"))
    return [(prefix + name, value) for name, _, value in parts if value]


def _simple(line: Line) -> Iterator[Row]:
    found = _SIMPLE.search(line.text)
    if not found:
        return
    pairs = split(found["rest"], ",", "=") if found["at"] else _summary(found["rest"])
    values = dict(numbers(pairs))
    step = values.pop("num_updates", None)
    if step is None and not found["at"]:
        step = values.pop("valid_num_updates", None)
    kept = tuple((_RENAMED.get(key, key), value) for key, value in values.items() if _RENAMED.get(key, key))
    kind: RowKind = "train" if found["at"] else ("eval" if "valid" in found["rest"][:8] else "summary")
    if kept:
        yield Row(line.no, kept, int(step) if step is not None and abs(step) < 1e15 else None, kind, line.rank, line.time)
