"""What a training run left behind: samples, events, facts, and what was not understood.

Everything here points back to a line of a file (`SourceRef`); nothing here judges.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

if TYPE_CHECKING:
    import polars as pl

MAX_TEXT: Final = 300
"""Characters of a line that are kept as evidence: a config dump or a base64 blob must not fill the report."""

Value = str | int | float | bool | None
"""A value of a fact or of an event's data."""

RowKind = Literal["train", "eval", "summary"]


@dataclass(frozen=True, slots=True, order=True)
class SourceRef:
    """One place in one file: every statement we make points at one of these.

    `line` counts from 1 and counts line feeds only, as editors and `grep -n` do; a progress bar's redraws share one
    line. In a binary file it is the number of the record. `text` is empty until the line has been quoted.
    """

    file: str
    line: int
    text: str = ""
    rank: int | None = None


class Row(NamedTuple):
    """Metrics that were logged together: one dict line of the Trainer, one iteration line of Megatron.

    `values` are (name as logged, value). `step` is the run's own global step or None where the format does not
    print it; `steps.py` recovers it. `time` is in seconds since the epoch; zone-less stamps are read as UTC.
    `engine` tells several models in one log apart (actor, critic).
    """

    line: int
    values: tuple[tuple[str, float], ...]
    step: int | None = None
    kind: RowKind = "train"
    rank: int | None = None
    time: float | None = None
    engine: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Many points of one metric at once: what `Row` says of a line, for millions of them (event files).

    All arrays have the same length and the order of the file; each point comes with its step. `starts` are lines at
    which the writer said that it (re)started.
    """

    name: str
    steps: array[int]
    values: array[float]
    lines: array[int]
    times: array[float]
    """Seconds since the epoch, NaN where unknown."""
    kind: RowKind = "train"
    rank: int | None = None
    engine: str = ""
    starts: tuple[int, ...] = ()


class Tick(NamedTuple):
    """A progress bar's count: the run (or an evaluation) was at `step` of `total` when this line was drawn."""

    line: int
    step: int
    total: int
    seconds: float | None = None
    """Elapsed time that the bar shows, in seconds."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened: an overflow, a traceback, a start, an exit. `kind` is one of `kinds.py`."""

    kind: str
    ref: SourceRef
    step: int | None = None
    rank: int | None = None
    time: float | None = None
    data: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing known about the environment, e.g. `package:deepspeed` = `0.14.0`.

    Keys: `package:<name>`, `config:<dotted ds_config key>`, `arg:<training argument>`, `model:<config key>`,
    `hardware:<name>`, `run:<name>` (world_size, script, logging_steps, planned_steps), `project:<name>`.
    `weight` orders sources that disagree: 3 printed by the running process, 2 saved by the run, 1 pasted or beside
    the log, 0 implied (a framework's or project's default). `given` marks what the user stated.
    """

    key: str
    value: Value
    ref: SourceRef
    weight: int = 3
    given: bool = False

    @property
    def is_implied(self) -> bool:
        """Whether the value is a default that somebody else's file holds rather than something this run printed."""
        return self.weight == 0


@dataclass(frozen=True, slots=True)
class Problem:
    """A line (or a file) that a reader claimed and did not understand: counted and shown, never raised."""

    ref: SourceRef
    reader: str
    reason: str


Record = Row | Columns | Tick | Event | Fact | Problem


class Environment:
    """The facts of a run; asks answer with the fact or None, never with a default of ours."""

    def __init__(self, facts: Iterable[Fact] = ()) -> None:
        told: dict[tuple[str, Value, int, bool], Fact] = {}
        for fact in facts:
            told.setdefault((fact.key, fact.value, fact.weight, fact.given), fact)
        self._by_key: dict[str, list[Fact]] = {}
        for fact in told.values():
            self._by_key.setdefault(fact.key, []).append(fact)

    def get(self, key: str) -> Fact | None:
        """The best-sourced fact under `key`: what the user gave, then the highest weight, then the first seen."""
        facts = self._by_key.get(key)
        if not facts:
            return None
        return facts[0] if len(facts) == 1 else max(facts, key=lambda f: (f.given, f.weight))

    def some(self, keys: Iterable[str]) -> list[Fact]:
        """The best-sourced facts under those of the keys that are known, in the order of the keys."""
        return [fact for key in keys if key in self._by_key and (fact := self.get(key)) is not None]

    def value(self, key: str) -> Value:
        """The value of `get(key)`, or None where nothing is known."""
        fact = self.get(key)
        return fact.value if fact else None

    def number(self, key: str) -> float | None:
        """The value as a finite number, or None where it is unknown, `auto` or no number."""
        value = self.value(key)
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            return None
        try:
            found = float(value)
        except (ValueError, OverflowError):
            return None
        return found if math.isfinite(found) else None

    def all(self, key: str) -> tuple[Fact, ...]:
        """Every source of `key`, as seen: more than one value is a contradiction worth showing."""
        return tuple(self._by_key.get(key, ()))

    def keys(self) -> Iterable[str]:
        """Every key under which something is known."""
        return self._by_key.keys()

    def under(self, prefix: str) -> Iterator[tuple[str, Fact]]:
        """(key without `prefix`, best fact) of every key that begins with it, sorted."""
        for key in sorted([key for key in self._by_key if key.startswith(prefix)]):
            fact = self.get(key)
            if fact is not None:
                yield key[len(prefix) :], fact

    def __iter__(self) -> Iterator[Fact]:
        for facts in self._by_key.values():
            yield from facts

    def __len__(self) -> int:
        return len(self._by_key)


@dataclass(slots=True)
class Series:
    """One metric of one writer in the order of the log: plain arrays, so that rules stay cheap on small runs.

    All arrays have the same length. `values` hold NaN and infinities where they were logged; a step that was not
    logged has no entry. `times` is NaN where no clock was printed. `segments` counts restarts from 0.
    """

    metric: str
    name: str
    reader: str
    file: str
    rank: int | None = None
    engine: str = ""
    is_text: bool = True
    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    lines: array[int] = field(default_factory=lambda: array("q"))
    times: array[float] = field(default_factory=lambda: array("d"))
    segments: array[int] = field(default_factory=lambda: array("i"))
    parts: tuple[tuple[int, str], ...] = ()
    """(first point, file) of each file, where the points come from several: a run that was resumed."""
    cuts: frozenset[int] = frozenset()
    """Points before which others were dropped, as the log is long: more of the same stood there (`thin.py`)."""
    dropped: int = 0
    """How many points were."""

    def __len__(self) -> int:
        return len(self.values)

    def append(self, step: int, value: float, line: int, time: float | None = None, segment: int = 0) -> None:
        """Adds one point at the end."""
        self.steps.append(step)
        self.values.append(value)
        self.lines.append(line)
        self.times.append(math.nan if time is None else time)
        self.segments.append(segment)

    def ref(self, index: int) -> SourceRef:
        """Where point `index` stands. The text of a text log is filled in by `source.quote`."""
        text = "" if self.is_text else f"{self.name} = {self.values[index]:.6g} at step {self.steps[index]}"
        return SourceRef(self.file_of(index) if self.parts else self.file, self.lines[index], text, self.rank)

    def file_of(self, index: int) -> str:
        """The file that point `index` stands in."""
        if not self.parts:
            return self.file
        index = range(len(self))[index]
        return next((file for first, file in reversed(self.parts) if first <= index), self.file)

    @property
    def non_finite(self) -> int:
        """How many points are NaN or infinite: none where their sum is finite."""
        values = self.values
        return 0 if math.isfinite(sum(values)) else len(values) - sum(map(math.isfinite, values))


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was read: `lines` is 0 for binary files, `digest` is `sha256:…` of its bytes as stored."""

    path: str
    bytes: int
    lines: int
    digest: str


class _Index:
    """The tracks and events of a run by what they are: rules and causes ask a hundred times."""

    def __init__(self, tracks: tuple[Series, ...], events: tuple[Event, ...]) -> None:
        self.tracks, self.events = tracks, events
        by_metric: dict[str, list[Series]] = {}
        for track in tracks:
            by_metric.setdefault(track.metric, []).append(track)
        by_kind: dict[str, list[Event]] = {}
        for event in events:
            by_kind.setdefault(event.kind, []).append(event)
        self.by_metric = {metric: tuple(found) for metric, found in by_metric.items()}
        self.by_kind = {kind: tuple(found) for kind, found in by_kind.items()}

    @cached_property
    def last_step(self) -> int | None:
        """The highest step; tracks of one table share their steps."""
        columns = {id(track.steps): track.steps for track in self.tracks if len(track)}
        return max(map(max, columns.values()), default=None)


@dataclass(slots=True)
class Run:
    """Everything that was read of one run."""

    source: str
    files: tuple[SourceFile, ...] = ()
    readers: tuple[str, ...] = ()
    tracks: tuple[Series, ...] = ()
    events: tuple[Event, ...] = ()
    bars: tuple[Series, ...] = ()
    """Per file the training bar as a clock: see `progress.py`."""
    environment: Environment = field(default_factory=Environment)
    problems: tuple[Problem, ...] = ()
    planned_steps: int | None = None
    step_source: str = "none"
    """How steps were found: printed, trainer_state, progress-bar, logging_steps, speed, epoch, count, or none."""
    segments: int = 1
    failures: tuple[tuple[str, str], ...] = ()
    """(reader, text) of readers of ours that raised."""
    remembered: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What others worked out about this run and will be asked again."""
    _index: _Index | None = field(default=None, init=False, repr=False, compare=False)

    def series(self, metric: str) -> Series | None:
        """The preferred series of a metric of the contract, or None where it was never logged.

        Tracks come ordered by precedence (`assemble.py`), so the first one is preferred.
        """
        found = self._indexed().by_metric.get(metric)
        return found[0] if found else None

    def all_series(self, metric: str) -> tuple[Series, ...]:
        """Every writer's series of a metric: ranks, engines, files."""
        return self._indexed().by_metric.get(metric, ())

    def events_of(self, *kinds: str) -> tuple[Event, ...]:
        """The events of these kinds in the order of the log."""
        by_kind = self._indexed().by_kind
        if len(kinds) == 1:
            return by_kind.get(kinds[0], ())
        if by_kind.keys().isdisjoint(kinds):
            return ()
        return tuple([event for event in self.events if event.kind in kinds])

    @property
    def by_kind(self) -> Mapping[str, tuple[Event, ...]]:
        """The events of each kind, in the order of the log."""
        return self._indexed().by_kind

    @property
    def metrics(self) -> Set[str]:
        """The metrics that were logged."""
        return self._indexed().by_metric.keys()

    @property
    def kinds(self) -> Set[str]:
        """The kinds of its events."""
        return self._indexed().by_kind.keys()

    @property
    def first_step(self) -> int | None:
        """The first step of any metric."""
        return min((track.steps[0] for track in self.tracks if len(track)), default=None)

    @property
    def last_step(self) -> int | None:
        """The highest step of any metric."""
        return self._indexed().last_step

    def _indexed(self) -> _Index:
        index = self._index
        if index is None or index.tracks is not self.tracks or index.events is not self.events:
            index = self._index = _Index(self.tracks, self.events)
        return index

    @property
    def is_understood(self) -> bool:
        """Whether at least one metric or event was recognised: without, nothing may be judged."""
        return bool(self.tracks) or bool(self.events)

    def frame(self) -> pl.DataFrame:
        """All samples as one tidy long frame.

        Columns: `step` i64, `metric` str, `name` str (as logged), `value` f64, `time` f64 (seconds since the epoch,
        null where unknown), `rank` i32?, `segment` i32, `reader` str, `file` str, `line` i64.
        """
        import polars as pl

        schema = {
            "step": pl.Int64, "metric": pl.String, "name": pl.String, "value": pl.Float64, "time": pl.Float64,
            "rank": pl.Int32, "segment": pl.Int32, "reader": pl.String, "file": pl.String, "line": pl.Int64,
        }  # fmt: skip
        if not self.tracks:
            return pl.DataFrame(schema=schema)
        return pl.concat([_frame(track).cast(schema) for track in self.tracks])  # type: ignore[arg-type]


def _frame(track: Series) -> pl.DataFrame:
    import polars as pl

    columns: Mapping[str, Sequence[object]] = {
        "step": track.steps, "value": track.values, "time": track.times, "segment": track.segments, "line": track.lines,
    }  # fmt: skip
    return pl.DataFrame(columns).select(
        "step",
        pl.lit(track.metric).alias("metric"),
        pl.lit(track.name).alias("name"),
        "value",
        pl.col("time").fill_nan(None),
        pl.lit(track.rank, dtype=pl.Int32).alias("rank"),
        "segment",
        pl.lit(track.reader).alias("reader"),
        pl.lit(track.file).alias("file"),
        "line",
    )
