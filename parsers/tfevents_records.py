"""A decoded event file → records: curves as columns, facts, restarts, the Trainer's end, what could not be read."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from typing import Final

from parsers import kinds, tfevents_axis, tfevents_place, tfevents_texts
from parsers.lazy import Lazy
from parsers.model import Columns, Event, Fact, Problem, Record, RowKind, SourceRef
from parsers.tfevents import EventFile, Scalars

_EVAL: Final = Lazy(r"(?i)(eval|val|test)")
_TRAIN: Final = Lazy(r"(?i)train")
_RUNTIME: Final = "train/train_runtime"


def records(found: EventFile, reader: str) -> Iterator[Record]:
    """What an event file says; `reader` is named in its problems."""
    yield from _curves(found)
    yield from tfevents_texts.facts(found)
    yield from _events(found)
    yield from _problems(found, reader)


def _curves(found: EventFile) -> Iterator[Record]:
    columns = list(found.scalars.values())
    by_tag = {column.tag: column for column in columns}
    size = tfevents_axis.batch_size(columns)
    curve = tfevents_place.curve(found.path, by_tag)
    split = None if curve else tfevents_place.split(found.path)  # a curve's key is part of its name
    starts = tuple(purge.line for purge in found.purges if purge.tags is None)
    for column in _whole(columns):
        steps = tfevents_axis.steps(column, size, by_tag)
        name = f"{column.tag}/{curve}" if curve else column.tag
        kind = _kind(column.tag, split)
        yield Columns(name, steps, column.values, column.lines, column.times, kind, starts=starts)
    if size:
        column = next(column for column in columns if tfevents_axis.is_monitor(column.tag))
        text = f"{column.tag}: points are {size} samples apart"
        yield Fact("run:train_batch_size", size, SourceRef(found.path, column.lines[0], text), weight=0)


def _whole(columns: list[Scalars]) -> Iterator[Scalars]:
    """One column a tag: points that were stored as tensors join those that were not, in the order of the file."""
    by_tag: dict[str, list[Scalars]] = {}
    for column in columns:
        by_tag.setdefault(column.tag, []).append(column)
    for tag, parts in by_tag.items():
        if len(parts) == 1:
            yield parts[0]
            continue
        order = sorted((line, part, index) for part, c in enumerate(parts) for index, line in enumerate(c.lines))
        yield Scalars(
            tag,
            False,
            array("i", [line for line, _, _ in order]),
            array("q", [parts[part].steps[index] for _, part, index in order]),
            array("d", [parts[part].times[index] for _, part, index in order]),
            array("d", [parts[part].values[index] for _, part, index in order]),
        )


def _kind(tag: str, split: str | None) -> RowKind:
    if _EVAL.match(tag) or (split == "eval" and not _TRAIN.match(tag)):
        return "eval"
    if split == "summary":
        return "summary"
    return "train"


def _events(found: EventFile) -> Iterator[Record]:
    for purge in found.purges:
        if purge.tags is None and purge.step > 0:
            ref = SourceRef(found.path, purge.line, f"SessionLog START at step {purge.step}")
            yield Event(kinds.RESUME, ref, purge.step, data={"step": purge.step})
    end = found.scalars.get((_RUNTIME, False))
    if end is not None:
        loss = found.scalars.get(("train/train_loss", False))
        data = {"train_runtime": end.values[-1], "train_loss": loss.values[-1] if loss else None}
        ref = SourceRef(found.path, end.lines[-1], f"{_RUNTIME} = {end.values[-1]:.6g} at step {end.steps[-1]}")
        yield Event(kinds.RUN_END, ref, end.steps[-1], time=end.times[-1], data=data)


def _problems(found: EventFile, reader: str) -> Iterator[Record]:
    for line, reason in found.losses.kept:
        yield Problem(SourceRef(found.path, line, f"record {line}"), reader, reason)
    more = found.losses.count - len(found.losses.kept)
    if more > 0:
        yield Problem(
            SourceRef(found.path, found.records, f"record {found.records}"), reader, f"{more:,} more records are damaged"
        )
    if found.grown:
        reason = f"the file grew by {found.grown:,} bytes while it was read: what came is not in this report"
        yield Problem(SourceRef(found.path, found.records, f"record {found.records}"), reader, reason)
