"""Rotated logs: which files are one text that was cut into pieces, and in which order they were written.

    run.log.2.gz  run.log.1  run.log            logrotate, RotatingFileHandler: the higher the number, the older
    run.log-20261123.gz  run.log                logrotate with `dateext`
    run.log.2026-11-23_22  run.log              TimedRotatingFileHandler

Only a name that is there without a suffix has pieces: `log.1` and `log.2` alone are two ranks' or two jobs' files. Pieces that
were read file by file are put together here, so that they have one step axis: a log without printed steps would count
from the beginning in each. A log that is named alone brings the pieces beside it along.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final, NamedTuple

from parsers.past import Past, WriterKey
from parsers.source import STDIN
from parsers.table import Table, Tables

_COMPRESSED: Final = r"(?:\.(?:gz|zst|xz|bz2))?"
_NUMBERED: Final = re.compile(rf"(?P<base>.+)\.(?P<age>[1-9]\d{{0,3}}){_COMPRESSED}")
_DATED: Final = re.compile(rf"(?P<base>.+)[.-](?P<date>20\d\d-?[01]\d-?[0-3]\d(?:[-_T]?\d\d(?:[-_:]?\d\d){{0,2}})?){_COMPRESSED}")
NEWEST: Final = (2, 0, "")


@lru_cache(maxsize=2**12)
def piece(path: str) -> tuple[str, tuple[int, int, str]] | None:
    """(the log that a path is an old piece of, its place in time), or None where its name is no rotated one's."""
    if found := _DATED.fullmatch(path):
        return found["base"], (0, 0, re.sub(r"\D", "", found["date"]))
    if found := _NUMBERED.fullmatch(path):
        return found["base"], (1, -int(found["age"]), "")
    return None


def pieces(paths: Iterable[str]) -> dict[str, list[str]]:
    """log → its pieces and itself, oldest first; only logs that were rotated."""
    known = list(dict.fromkeys(paths))
    if not any(map(piece, known)):
        return {}
    plain = {re.sub(_COMPRESSED + "$", "", path): path for path in known if piece(path) is None}
    found: dict[str, list[tuple[tuple[int, int, str], str]]] = {}
    for path in known:
        cut = piece(path)
        if cut and cut[0] in plain:
            found.setdefault(plain[cut[0]], []).append((cut[1], path))
    return {log: [path for _, path in sorted([*old, (NEWEST, log)])] for log, old in found.items()}


def with_pieces(log: str) -> list[str]:
    """A log that was named alone, behind the rotated pieces that lie beside it: its run's beginning is in them.

    A piece that is named itself is read alone.
    """
    folder, name = os.path.split(log)
    if log == STDIN or "tfevents" in name or piece(log):
        return [log]
    try:
        beside = [entry.name for entry in os.scandir(folder or ".") if entry.name.startswith(name) and entry.is_file()]
    except OSError:
        return [log]
    return pieces([log, *(os.path.join(folder, other) for other in beside if piece(other))]).get(log, [log])


def oldest_first(paths: Sequence[str]) -> list[str]:
    """The paths with the pieces of each rotated log together, where the first of them stood, in the order of writing."""
    rotated = pieces(paths)
    log_of = {path: log for log, several in rotated.items() for path in several}
    ordered: dict[str, None] = {}
    for path in paths:
        ordered.update(dict.fromkeys(rotated[log_of[path]] if path in log_of else [path]))
    return list(ordered)


def join(tables: Sequence[Tables]) -> list[Tables]:
    """The tables of each file, those of a rotated log's pieces as one; the given ones are left as they are."""
    if len(tables) < 2:
        return list(tables)
    rotated = pieces(table.file for table in tables)
    if not rotated:
        return list(tables)
    log_of = {path: log for log, several in rotated.items() for path in several}
    by_file = {table.file: table for table in tables}
    joined: list[Tables] = []
    done: set[str] = set()
    for table in tables:
        log = log_of.get(table.file)
        if log is None:
            joined.append(table)
        elif log not in done:
            done.add(log)
            joined.append(_chained([by_file[path] for path in rotated[log]]))
    return joined


def _chained(several: Sequence[Tables]) -> Tables:
    whole = Tables(several[0].file)
    thinned = [part for part in several if part.past]
    if thinned and thinned == list(several[: len(thinned)]):  # counting goes on behind the pieces that were counted
        whole.past = Past()
    for part in several:
        whole.parts.append((whole.seq, part.file))
        counted = _counted_before(whole.past, part.past) if whole.past and part.past else None
        for key, table in part.by_key.items():
            known = whole.by_key.setdefault(key, _empty(table))
            writer = (table.reader, table.rank, table.engine)
            is_counted = counted and part.past and key in part.past.unprinted
            _extend(
                known, table, whole.seq, counted.get(writer, next(iter(counted.values()))) if counted and is_counted else None
            )
        for name in ("line", "step", "total", "seconds"):
            getattr(whole.ticks, name).extend(getattr(part.ticks, name))
        whole.ticks.seq.extend(seq + whole.seq for seq in part.ticks.seq)
        whole.ticks.cuts.extend(seq + whole.seq for seq in part.ticks.cuts)
        whole.starts += [start + whole.seq for start in part.starts]
        whole.bulk += part.bulk
        if whole.past and part.past:
            whole.past = _joined(whole.past, part.past, whole.seq)
        whole.seq += part.seq
    return whole


class _Count(NamedTuple):
    """How a writer's steps in a piece become those of the whole log."""

    offset: int
    pace: int
    assumed: int


def _counted_before(before: Past, piece: Past) -> dict[WriterKey, _Count]:
    """Writers of a piece whose rows were counted from its beginning: what their steps are in the whole log."""
    found = {}
    for writer, now in piece.writers.items():
        known = before.writers.get(writer)
        if not now.ticked:
            pace = known.pace if known else now.pace
            found[writer] = _Count(known.rows * pace if known else 0, pace, now.pace)
    return found


def _joined(before: Past, piece: Past, seq: int) -> Past:
    """What is known at the end of a piece that begins behind `seq`."""
    writers = dict(before.writers)
    for writer, now in piece.writers.items():
        known = writers.get(writer)
        rows, ticked, gaps = (known.rows, known.ticked, known.gaps) if known else (0, 0, Counter[int]())
        pace = known.pace if known else now.pace
        writers[writer] = replace(now, rows=rows + now.rows, ticked=ticked + now.ticked, gaps=gaps + now.gaps, pace=pace)
    return replace(
        before,
        seq=seq + piece.seq,
        source=before.source if before.source != "none" else piece.source,
        writers=writers,
        unprinted=before.unprinted | piece.unprinted,
        votes=before.votes + piece.votes,
        voters=before.voters + piece.voters,
        all_votes=before.all_votes + piece.all_votes,
        all_voters=before.all_voters + piece.all_voters,
    )


def _empty(table: Table) -> Table:
    return Table(table.file, table.reader, table.kind, table.rank, table.engine, table.names, table.is_text)


def _extend(whole: Table, part: Table, shift: int, count: _Count | None) -> None:
    whole.seq.extend(seq + shift for seq in part.seq)
    whole.cuts.extend(seq + shift for seq in part.cuts)
    whole.dropped += part.dropped
    whole.step.extend(part.step if count is None else [count.offset + one * count.pace // count.assumed for one in part.step])
    for name in ("line", "time"):
        getattr(whole, name).extend(getattr(part, name))
    for column, more in zip(whole.columns, part.columns, strict=True):
        column.extend(more)
