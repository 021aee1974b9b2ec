"""Tables of all files of a run → one `Run`: names mapped, steps recovered, restarts numbered, sources ordered."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence, Set
from itertools import accumulate, pairwise
from operator import itemgetter
from typing import Final

from parsers import many_steps, metrics, steps
from parsers.align import align
from parsers.bar_clock import Clocks
from parsers.bulk import bulk_tracks, join_restarts
from parsers.model import Columns, Environment, Event, Fact, Problem, Run, Series, SourceFile
from parsers.processes import with_ranks
from parsers.progress import bars
from parsers.rotation import join
from parsers.table import MAX_STEP, Table, Tables

PRECEDENCE: Final = ("aligned text", "trainer_state", "text", "csv and jsonl", "tensorboard", "last values")
"""Whose samples are preferred where several files hold a metric: a log that agrees with the Trainer's state (its lines can
be read by a person), what the program wrote itself, what it printed, tables, event files (their steps may be samples),
files that hold nothing but the last value."""

_TRACKERS: Final = frozenset({"wandb_run", "mlflow", "mlflow_db"})
_LAST_VALUES: Final = frozenset({"wandb_summary", "hf_results_json"})

_PLAIN_METRICS: Final = frozenset(metrics.UNITS)


def assemble(
    source: str,
    files: Sequence[SourceFile],
    readers: Iterable[str],
    tables: Sequence[Tables],
    events: Sequence[Event],
    facts: Sequence[Fact],
    problems: Sequence[Problem],
    failures: Sequence[tuple[str, str]],
) -> Run:
    """The run that these parts make. Pure: the same parts in the same order give the same run."""
    environment = Environment(facts)
    tables, clocks = join(tables), Clocks(environment)
    sources = [steps.resolve(table, environment, clocks) for table in tables]
    aligned = align(tables)
    tracks = [track for table in tables for track in _tracks(table)]
    tracks += join_restarts([track for table in tables for track in bulk_tracks(table, _metric, _series_name)])
    tracks.sort(key=lambda track: _precedence(track, aligned))
    planned = _planned(environment, tables, clocks)
    return Run(
        source=source,
        files=tuple(files),
        readers=tuple(sorted(set(readers))),
        tracks=tuple(tracks),
        events=tuple(with_ranks(events, environment.value("run:tasks_are_nodes") is True)),
        bars=tuple(bars(tables, clocks)),
        environment=environment,
        problems=tuple(problems),
        planned_steps=planned,
        step_source=next((s for s in sources if s not in ("none",)), "none"),
        segments=1 + max((track.segments[-1] for track in tracks if len(track)), default=0),
        failures=tuple(failures),
    )


def _planned(environment: Environment, tables: Sequence[Tables], clocks: Clocks) -> int | None:
    stated = environment.number("run:planned_steps") or environment.number("arg:max_steps")
    if stated and 0 < stated <= MAX_STEP:
        return int(stated)
    for table in tables:
        train = [t for t in table.by_key.values() if t.kind == "train" and len(t)]
        total = clocks.of(table, train).total if train else None
        if total and all(many_steps.highest(t.step) <= total for t in train):  # a bar of one epoch plans no run
            return total
    return None


def _precedence(track: Series, aligned: Set[str]) -> tuple[int, int, int, bool, str]:
    if track.file in aligned:
        kind = "aligned text"
    elif track.reader in ("trainer_state", "tensorboard"):
        kind = track.reader
    else:
        kind = "csv and jsonl" if track.reader.endswith(("_csv", "_jsonl")) or track.reader in _TRACKERS else "text"
        kind = "last values" if track.reader in _LAST_VALUES else kind
    order = PRECEDENCE.index(kind)
    return order, 0 if track.rank is None else track.rank, -len(track) - track.dropped, track.name != track.metric, track.name


def _tracks(tables: Tables) -> list[Series]:
    """The series of one file: tables of the same writer joined per metric, in the order of the file."""
    merged: dict[tuple[str, str, int | None, str], list[tuple[Table, int]]] = {}
    for table in tables.by_key.values():
        if table.kind == "summary":
            continue
        for column, name in enumerate(table.names):
            merged.setdefault((table.reader, _series_name(name, table), table.rank, table.engine), []).append((table, column))
    series = []
    shared: Shared = {}
    for (reader, name, rank, engine), parts in merged.items():
        track = Series(_metric(name, engine), name, reader, tables.file, rank, engine, parts[0][0].is_text)
        _fill(track, parts, tables, shared)
        track.dropped = sum(table.dropped for table, _ in parts)
        series.append(track)
    return series


def _metric(name: str, engine: str) -> str:
    metric = metrics.canonical(name)
    return f"{engine}/{metric}" if engine and metric in _PLAIN_METRICS else metric


def _series_name(name: str, table: Table | Columns) -> str:
    if table.kind == "eval" and not re.match(r"eval|val|test", name, re.IGNORECASE) and name != "epoch":
        return f"eval_{name}"
    return name


Shared = dict[int, tuple["array[int]", frozenset[int]]]
"""Table → the segments and cuts of its rows."""


def _share(track: Series, table: Table, column: int, known: Shared) -> None:
    """The series of one table's column: nothing is copied. `known`: of tables that were shared before."""
    track.steps, track.values, track.lines, track.times = table.step, table.columns[column], table.line, table.time
    if id(table) not in known:
        steps = table.step
        is_plain = many_steps.never_falls(steps)
        falls = () if is_plain else accumulate((b < a for a, b in pairwise(steps)), initial=0)
        segments = array("i", bytes(4 * len(steps)) if is_plain else falls)
        places = [bisect_left(table.seq, seq) for seq in table.cuts]
        cuts = frozenset(at for at, seq in zip(places, table.cuts, strict=True) if at < len(steps) and table.seq[at] == seq)
        known[id(table)] = segments, cuts
    track.segments, track.cuts = known[id(table)]


def _fill(track: Series, parts: list[tuple[Table, int]], tables: Tables, known: Shared) -> None:
    if len(parts) == 1 and not tables.starts and not tables.parts:
        _share(track, *parts[0], known)
        return
    order = [(seq, table, column, i) for table, column in parts for i, seq in enumerate(table.seq)]
    if len(parts) > 1:
        order.sort(key=itemgetter(0))
    if tables.parts:
        track.parts = tables.parts_of([seq for seq, *_ in order])
    cuts = {seq for table, _ in parts for seq in table.cuts}
    if cuts:
        track.cuts = frozenset(place for place, (seq, *_) in enumerate(order) if seq in cuts)
    segment, highest, pending = 0, None, list(reversed(tables.starts))
    started, leader, segments = False, None, track.segments
    for seq, table, _, index in order:
        while pending and pending[-1] < seq:
            pending.pop()
            started = True
        step = table.step[index]
        # Lines of two kinds may count from 0 and from 1 (a script's and its engine's): one less is no restart between them.
        is_other_count = table is not leader and not started and step + 1 == highest
        if highest is not None and not is_other_count and (step < highest or (started and step <= highest)):
            segment += 1
        started = False
        if not is_other_count:
            highest, leader = step, table
        segments.append(segment)
    track.steps = array("q", [table.step[index] for _, table, _, index in order])
    track.values = array("d", [table.columns[column][index] for _, table, column, index in order])
    track.lines = array("q", [table.line[index] for _, table, _, index in order])
    track.times = array("d", [table.time[index] for _, table, _, index in order])
