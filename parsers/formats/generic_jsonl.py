"""Any other JSON lines of metrics: one object a line with a count and a loss (mmengine's scalars, own loops).

    {"lr": 0.0001, "data_time": 0.01, "loss": 1.23, "time": 0.5, "epoch": 1, "iter": 100, "memory": 10240, "step": 100}
    {"step": 100, "train": {"loss": 1.23}, "lr": 1e-4}                       groups are joined: `train/loss`

A fallback: its rows count only where no other reader found a loss in the file. An object without a count, or with text
around it, is not claimed. Bare NaN and Infinity are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers import objects
from parsers.epochs import EpochClock
from parsers.line import Line, stamp
from parsers.model import Row, RowKind
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, recounted, rows_of
from parsers.said import Rows

_STEPS: Final = ("global_step", "trainer/global_step", "step", "_step", "iteration", "iter", "num_updates", "update", "batch")
_ENGINE_OF_OTHERS: Final = frozenset({"current_steps", "global_step/max_steps", "num_updates"})
_TIMES: Final = ("_timestamp", "timestamp", "time", "ts", "wall_time")
_DROPPED: Final = frozenset({*_STEPS, "_timestamp", "_runtime", "timestamp", "ts", "wall_time"})


def _parse(line: Line) -> Iterator[Row]:
    """The rows of an object; where its count starts again with every epoch, with that epoch as `@epoch`."""
    text = line.text.strip()
    if not (text.startswith("{") and text.endswith("}")):
        return
    group = objects.load(text)
    if group is None or group.keys() & _ENGINE_OF_OTHERS:
        return
    values = [(name, value) for name, value in objects.numbers(group) if name not in _DROPPED]
    if not any("loss" in name.lower() and "scale" not in name.lower() for name, _ in values) or not _is_record(group):
        return
    is_eval_line = str(group.get("mode", group.get("split", group.get("phase", "")))).lower() in _EVAL_MODES
    step, within = _step(group)
    counted = (("@epoch", float(within)),) if within is not None else ()
    for kind, pairs in _kinds(values, is_eval_line):
        yield Row(line.no, pairs + counted, step, kind, line.rank, _time(group))


@text_reader(
    "generic_jsonl",
    title="JSON lines with a step and a loss",
    hints=('step":', '"iter":', '"iteration":', '"epoch":', '"batch":', '"update":'),
    example='{"step": 100, "loss": 1.23, "lr": 0.0001}',
    is_fallback=True,
    parse=_parse,
)
class GenericJsonl(RegularReader):
    """Reads objects that fill their line."""

    def __init__(self) -> None:
        self._clock = EpochClock()

    def feed(self, line: Line) -> Iterable[Row]:
        """The rows of an object."""
        for row in _parse(line):
            epoch = row.values[-1][1] if row.values[-1][0] == "@epoch" else None
            values = row.values if epoch is None else row.values[:-1]
            yield row._replace(step=self._count(row.step, epoch), values=values)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines."""
        found = [rows for part in parts for rows in rows_of(part, self.file_rank)]
        return recounted(found, self._count, "@epoch") if any("@epoch" in rows.names for rows in found) else found

    def _count(self, at: int | None, epoch: float | None) -> int | None:
        return at if at is None or epoch is None else self._clock.step(int(epoch), at)


def _is_record(group: dict[str, object]) -> bool:
    return any(objects.as_number(group.get(key)) is not None for key in (*_STEPS, "epoch"))


def _step(group: dict[str, object]) -> tuple[int | None, int | None]:
    """(the count, the epoch within which it counts)."""
    for key in _STEPS:
        at = objects.as_number(group.get(key))
        if at is not None and abs(at) < 1e15:
            epoch = objects.as_number(group.get("epoch")) if key in ("iter", "batch") else None
            return int(at), int(epoch) if epoch is not None and abs(epoch) < 1e9 else None
    epoch = objects.as_number(group.get("epoch"))
    return int(epoch) if epoch is not None and abs(epoch) < 1e15 and epoch == int(epoch) else None, None


_EVAL_MODES: Final = frozenset({"val", "valid", "validation", "eval", "test", "dev"})


def _kinds(values: list[tuple[str, float]], is_eval: bool) -> Iterator[tuple[RowKind, tuple[tuple[str, float], ...]]]:
    train = tuple(pair for pair in values if not is_eval and not pair[0].lower().startswith(("val", "eval", "test", "dev")))
    if any(name != "epoch" for name, _ in train):
        yield "train", train
    others = tuple(pair for pair in values if pair not in train)
    if others:
        yield "eval", others


def _time(group: dict[str, object]) -> float | None:
    for key in _TIMES:
        value = group.get(key)
        if isinstance(value, str) and (found := stamp(value)):
            return found
        if isinstance(value, float | int) and 1e9 < value < 1e10:
            return float(value)
    return None
