"""TensorBoard event files → scalars, texts, hyperparameters, restarts, and what could not be read.

`decode(path)` keeps every point that stands in the file, in the order of the file; `shown(files)` drops what
TensorBoard purges when a writer restarts. Small files are decoded in plain Python; from `FAST_BYTES` on the columns of
`tfevents_fast` take over, which need NumPy. Both give the same, and `tensorboard` is asked only for records that
neither understands.
"""

from __future__ import annotations

import os
from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from parsers import tfevents_crc, tfevents_proto
from parsers.tfevents_fields import MalformedError, UnusualError
from parsers.tfevents_frames import Framer, Frames, Losses
from parsers.tfevents_proto import Entry, HParams, Item

FAST_BYTES: Final = 2**20
"""Files from this size on are decoded with NumPy: importing it costs what plain Python needs for about so many bytes."""
START: Final = 1
_FIRST: Final = 64
"""Records at the beginning that are always taken one by one: they tell the file's version."""
_BATCH: Final = 4096
_SCALAR_PLUGINS: Final = frozenset({"", "scalars", "scalar"})
_NUMBERLESS_PLUGINS: Final = frozenset(
    {"histograms", "images", "audio", "text", "pr_curves", "mesh", "hparams", "custom_scalars", "graphs", "profile", "projector"}
)
MAX_TEXTS: Final = 5000
"""Text summaries that are kept: Megatron writes some 700, a run that logs samples of its output many more."""
MAX_TEXT_BYTES: Final = 2**20


@dataclass(slots=True)
class Scalars:
    """The points of one tag in the order of the file. `is_tensor`: stored as a tensor (TF2, torch's `new_style`)."""

    tag: str
    is_tensor: bool = False
    lines: array[int] = field(default_factory=lambda: array("i"))
    """Ordinals of the records, from 1."""
    steps: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    """Seconds since the epoch."""
    values: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.steps)

    def pick(self, indexes: Iterable[int]) -> Scalars:
        """These points only, in this order."""
        chosen = list(indexes)
        return Scalars(
            self.tag,
            self.is_tensor,
            array("i", [self.lines[i] for i in chosen]),
            array("q", [self.steps[i] for i in chosen]),
            array("d", [self.times[i] for i in chosen]),
            array("d", [self.values[i] for i in chosen]),
        )


class Text(NamedTuple):
    """A text summary."""

    line: int
    step: int
    tag: str
    text: str


class Purge(NamedTuple):
    """A sign that the writer restarted at `step`: what came before `line` with that step or a later one is void.

    `tags` limits it to these (the rule for files without a version), None means all. Only a `SessionLog` START
    (`tags` None) is a sign that the writer itself gave.
    """

    line: int
    step: int
    tags: frozenset[str] | None = None

    def voids(self, tag: str) -> bool:
        """Whether points of this tag are meant; TensorBoard takes an empty tag for all of them."""
        return self.tags is None or tag in self.tags or "" in self.tags


@dataclass(slots=True)
class EventFile:
    """Everything that one event file holds and we look at."""

    path: str
    scalars: dict[tuple[str, bool], Scalars] = field(default_factory=dict)
    texts: list[Text] = field(default_factory=list)
    hparams: list[tuple[int, HParams]] = field(default_factory=list)
    purges: list[Purge] = field(default_factory=list)
    version: float | None = None
    writer: str = ""
    records: int = 0
    passed_over: Counter[str] = field(default_factory=Counter)
    """Kinds of summaries and events that were recognised and not opened."""
    losses: Losses = field(default_factory=Losses)
    grown: int = 0
    """Bytes that were added to the file while it was read."""
    plugins: dict[str, str] = field(default_factory=dict)
    """Tag → plugin, from the first metadata: later values of the tag come without."""
    last_step: int = -1

    @property
    def is_legacy(self) -> bool:
        """Whether restarts show by steps that go back (no version, or one below 2) rather than by a START."""
        return self.version is None or self.version < 2

    def column(self, tag: str, is_tensor: bool) -> Scalars:
        """The points of a tag, to add to."""
        key = (tag, is_tensor)
        found = self.scalars.get(key)
        if found is None:
            found = self.scalars[key] = Scalars(tag, is_tensor)
        return found

    def add(self, line: int, entry: Entry) -> None:
        """Files one record."""
        self.writer = entry.writer or self.writer
        if entry.what == "version":
            self.version = _version(entry.version)
        self._watch_restart(line, entry)
        for item in entry.items:
            self._add_item(line, entry, item)
        if entry.what in ("graph", "metagraph", "run", "log"):
            self.passed_over[entry.what] += 1

    def _watch_restart(self, line: int, entry: Entry) -> None:
        if not self.is_legacy:
            if entry.what == "session" and entry.status == START:
                self.purges.append(Purge(line, entry.step))
        elif entry.step < self.last_step and entry.what == "summary":
            self.purges.append(Purge(line, entry.step, frozenset(item.tag for item in entry.items)))
        else:
            self.last_step = entry.step

    def _add_item(self, line: int, entry: Entry, item: Item) -> None:
        if item.plugin is not None:
            self.plugins.setdefault(item.tag, item.plugin)
        plugin = self.plugins.get(item.tag, "")
        if item.plugin == "hparams" and item.content:
            self.hparams.append((line, tfevents_proto.hparams(item.content)))
        elif item.number is not None and (item.what == "simple" or is_scalar_plugin(plugin)):
            column = self.column(item.tag, item.what == "tensor")
            column.lines.append(line)
            column.steps.append(entry.step)
            column.times.append(entry.time)
            column.values.append(item.number)
        elif item.strings and plugin in ("text", ""):
            if len(self.texts) < MAX_TEXTS:
                text = b"\n".join(item.strings)[:MAX_TEXT_BYTES].decode("utf-8", "replace")
                self.texts.append(Text(line, entry.step, item.tag, text))
        elif item.what:
            self.passed_over[item.what] += 1

    def add_payload(self, line: int, payload: bytes) -> None:
        """Files one record whose checksum is right."""
        try:
            try:
                entry = tfevents_proto.entry(payload)
            except UnusualError:
                entry = by_protobuf(payload)
            self.add(line, entry)
        except (MalformedError, UnusualError) as error:
            self.losses.add(line, f"the record is no event: {error}")


def is_scalar_plugin(plugin: str) -> bool:
    """Whether a single number under this plugin is a point of a curve; unknown plugins are believed."""
    return plugin in _SCALAR_PLUGINS or plugin not in _NUMBERLESS_PLUGINS


def _version(text: str) -> float:
    try:
        return float(text.split("brain.Event:")[-1])
    except ValueError:
        return -1.0


def by_protobuf(payload: bytes) -> Entry:
    """The same record as protobuf's own parser reads it. Raises MalformedError where it cannot either."""
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.event_pb2 import Event

    try:
        event = Event.FromString(payload)
    except DecodeError as error:
        raise MalformedError(str(error)) from None
    event.DiscardUnknownFields()  # groups among them
    return tfevents_proto.entry(event.SerializeToString())


def decode(path: str | Path, fast: bool | None = None, after: EventFile | None = None) -> EventFile:
    """Reads an event file. `fast`: with NumPy (True), in plain Python (False), or by size (None). Raises OSError.

    `after`: the file before it in its directory, whose version and last step TensorBoard still goes by.
    """
    found = EventFile(str(path))
    if after is not None:
        found.version, found.last_step = after.version, after.last_step
    with Path(path).open("rb") as file:
        framer = Framer(file, losses=found.losses)
        is_fast = framer.size >= FAST_BYTES if fast is None else fast
        if is_fast:
            from parsers.tfevents_numpy import long_crc

            framer.checksum = long_crc
        add_frames(framer, found, framer.take(_FIRST))
        if is_fast and not found.is_legacy:
            from parsers.tfevents_fast import decode_rest

            decode_rest(framer, found)
        while (frames := framer.take(_BATCH)).starts:
            add_frames(framer, found, frames)
        found.records = framer.records
        found.losses.settle()
        found.grown = max(0, os.fstat(file.fileno()).st_size - framer.size)
    return found


def add_frames(framer: Framer, found: EventFile, frames: Frames) -> None:
    """Checks and files these records one by one."""
    data, (starts, lengths, first) = framer.data, frames
    bad = tfevents_crc.wrong(data, starts, lengths, framer.checksum)
    for index, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        if index in bad:
            found.losses.add(first + index, f"a record of {length:,} bytes fails its checksum")
        else:
            found.add_payload(first + index, data[start : start + length])


def shown(files: Sequence[EventFile]) -> dict[str, Scalars]:
    """What TensorBoard's `EventAccumulator` shows as scalars of these files of one directory, in the order of names.

    Each but the first is to be decoded `after` the one before. Only points stored as `simple_value`: it keeps tensors
    apart and never purges them. Lines are those of their files.
    """
    tags: dict[str, list[tuple[int, Scalars]]] = {}
    for number, file in enumerate(files):
        for (tag, is_tensor), column in file.scalars.items():
            if not is_tensor:
                tags.setdefault(tag, []).append((number, column))
    purges = [((number, purge.line), purge) for number, file in enumerate(files) for purge in file.purges]
    joined: dict[str, Scalars] = {}
    for tag, columns in tags.items():
        whole = Scalars(tag)
        for number, column in columns:
            kept = _survivors(column, number, [(at, p.step) for at, p in purges if p.voids(tag)])
            part = column if kept is None else column.pick(kept)
            whole.lines += part.lines
            whole.steps += part.steps
            whole.times += part.times
            whole.values += part.values
        joined[tag] = whole
    return joined


def _survivors(column: Scalars, number: int, purges: list[tuple[tuple[int, int], int]]) -> list[int] | None:
    """The points that no later purge voids, or None for all of them."""
    if not purges:
        return None
    places = [at for at, _ in purges]
    lowest = [step for _, step in purges]
    for index in range(len(lowest) - 2, -1, -1):
        lowest[index] = min(lowest[index], lowest[index + 1])
    kept = []
    for index in range(len(column)):
        later = bisect_right(places, (number, column.lines[index]))
        if later == len(places) or column.steps[index] < lowest[later]:
            kept.append(index)
    return kept
