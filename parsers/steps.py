"""True global steps for rows that were printed without one (the Trainer's dict lines, OVERFLOW lines).

In order of trust: the count of the progress bar that is redrawn right after a dict line (`tqdm.write` redraws it, so it
shows that line's own step), the rows' order times `logging_steps`, the epoch times steps per epoch, the mere count.

Where standard output was buffered, dict lines come in bunches and the bars say nothing about any one of them: a bar is
believed only where most rows are followed by one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from parsers import many_steps
from parsers.asides import Anchors, resolve_aside
from parsers.bar_clock import MIN_TICKED, Clock, Clocks, all_votes, is_aside
from parsers.copies import drop_copies
from parsers.model import Environment
from parsers.pace import COUNTED, Group, first_is_one, first_step, pace_of, restart_step
from parsers.past import Past, Writer, WriterKey
from parsers.table import UNKNOWN, Table, Tables


def resolve(tables: Tables, environment: Environment, clocks: Clocks | None = None) -> str:
    """Fills in missing steps of a file's tables in place and says how: see `Run.step_source`."""
    return _resolved(tables, clocks or Clocks(environment), environment).source


def settle(tables: Tables, environment: Environment) -> Past:
    """Makes the steps of all rows so far final, so that some of them may be dropped: later calls count on from here."""
    before = tables.past or Past()
    train = [(key, t) for key, t in tables.by_key.items() if t.kind == "train" and len(t) and not is_aside(t)]
    unprinted = before.unprinted | {key for key, table in train if not table.has_steps}
    now = _resolved(tables, Clocks(environment), environment)
    now.votes, now.voters = all_votes(tables, [table for key, table in train if key in unprinted], True)
    now.all_votes, now.all_voters = all_votes(tables, [table for _, table in train], False)
    now.levels, now.dropped = before.levels, before.dropped
    tables.past = now
    return now


def _resolved(tables: Tables, clocks: Clocks, environment: Environment) -> Past:
    """The state after all steps were filled in."""
    drop_copies(tables)
    before = tables.past or Past()
    stepless = {key: table for key, table in tables.by_key.items() if not table.has_steps}
    readers = {table.reader for table in tables.by_key.values()}
    writers = {writer: counted for writer, counted in before.writers.items() if writer[0] in readers}  # fallbacks may be gone
    kept = before.source if writers or not before.writers else "none"
    now = Past(tables.seq, kept, dict(writers), unprinted=before.unprinted | set(stepless))
    if not stepless and not writers:
        is_any = tables.by_key or tables.bulk
        now.source = kept if kept != "none" else "printed" if is_any else "none"
        return now
    aside = [table for table in stepless.values() if is_aside(table)]
    set_aside = {id(table) for table in aside}  # by identity: to compare tables is to compare all their rows
    train = [table for table in stepless.values() if table.kind == "train" and id(table) not in set_aside]
    done = set_aside | {id(table) for table in train}
    clock = clocks.of(tables, train, is_unprinted=True)
    source = "none"
    groups = _groups(train, tables)
    for writer, group in groups.items():
        how = now.writers[writer] = _resolve_group(group, clock, tables, environment, writers.get(writer))
        source = how.source
        clock = clock if how.is_believed else Clock((), (), clock.total)
    for writer, counted in writers.items():
        if writer not in groups and counted.source in COUNTED:  # a later line may say how many steps lie between two rows
            last = _last_settled(tables, writer, before.seq)
            rest = Group((), (), last)
            how = now.writers[writer] = _resolve_group(rest, Clock((), (), clock.total), tables, environment, counted)
            source = how.source if source == "none" else source
    if not now.writers and any(table.has_steps for table in tables.by_key.values()):
        source = "printed"
    now.source = source if source != "none" else kept
    now.under_way = dict(tables.past.under_way) if tables.past else {}
    if len(train) == len(stepless):
        return now
    anchors = _anchors(tables, clock)
    by_epoch: dict[float, int] | None = None
    for table in stepless.values():
        if id(table) not in done:
            by_epoch = _by_epoch(train) if by_epoch is None else by_epoch
            _resolve_eval(table, clock, anchors, by_epoch)
    own = {} if clock.seq else _anchors_by_rank(tables)
    for rank in dict.fromkeys(table.rank for table in aside):
        of_rank = own.get(rank) or (own.get(0) if rank is None else None) or anchors
        resolve_aside([table for table in aside if table.rank == rank], of_rank, tables.past, now.under_way)
    return now


def _groups(train: Sequence[Table], tables: Tables) -> dict[WriterKey, Group]:
    """Rows of one writer each, in order: copies by other ranks must not count twice. Rows that were settled are left out."""
    begin = tables.past.seq if tables.past else -1
    several: dict[WriterKey, list[Table]] = {}
    for table in train:
        several.setdefault((table.reader, table.rank, table.engine), []).append(table)
    found = {}
    for writer, group in several.items():
        starts = [bisect_right(table.seq, begin) for table in group]
        found[writer] = Group(group, starts, _last_settled(tables, writer, begin))
    return found


def _last_settled(tables: Tables, writer: WriterKey, begin: int) -> tuple[Table, int] | None:
    """The last of a writer's rows whose steps are final, where it is counted."""
    if not tables.past or writer not in tables.past.writers:
        return None
    own = [
        table
        for key, table in tables.by_key.items()
        if key in tables.past.unprinted and (table.reader, table.rank, table.engine) == writer
        if table.kind == "train" and not is_aside(table) and len(table) and table.seq[0] <= begin
    ]
    last = max(own, key=lambda table: table.seq[bisect_right(table.seq, begin) - 1], default=None)
    return (last, bisect_right(last.seq, begin) - 1) if last else None


def _resolve_group(rows: Group, clock: Clock, tables: Tables, environment: Environment, earlier: Writer | None) -> Writer:
    """Fills in the steps of one writer's rows; how they were counted."""
    known = len(rows) - rows.has_context
    before = earlier or Writer(0, 0)
    seen = many_steps.taken(clock.step, many_steps.first_after(clock.seq, rows.seq, tables.seq + 1))
    if rows.has_context:
        seen[0] = UNKNOWN
    ticked = before.ticked + len(seen) - seen.count(UNKNOWN)
    is_believed = ticked >= MIN_TICKED * (known + before.rows)
    if not is_believed:
        seen = array("q", [UNKNOWN]) * len(rows)
    is_seen = is_believed and ticked > 0
    gaps = many_steps.rises(seen) + before.gaps
    pace, source = pace_of(rows, gaps if is_believed else Counter(), is_seen, clock, tables, environment, earlier)
    if earlier and earlier.pace != pace and source in COUNTED and not earlier.ticked:
        _scale(tables, pace, earlier.pace)
    if rows.has_context:
        seen[0] = rows.step(0)
    elif len(rows) and not is_seen and first_is_one(rows, pace, environment):
        seen[0] = 1
    if len(rows):
        rows.fill(_counted(rows, seen, pace, clock, tables))
    return Writer(known + before.rows, ticked, gaps, pace, source, is_believed)


def _counted(rows: Group, seen: array[int], pace: int, clock: Clock, tables: Tables) -> array[int]:
    """The steps of rows, piece by piece between restarts."""
    borders = [0, *sorted(_pieces(rows, tables.starts)), len(rows)]
    steps = array("q")
    for begin, end in pairwise(borders):
        piece, last = seen[begin:end], steps[-1] if begin else 0
        if piece[0] == UNKNOWN:
            found = restart_step(rows, begin, pace, last) if begin else first_step(rows, seen, pace, clock)
            piece[0] = last + pace - last % pace if found is None else found
        steps += many_steps.stepped(piece, pace)
    return steps


def _pieces(rows: Group, starts: Sequence[int]) -> set[int]:
    """Rows before which the program started again (a banner, or an epoch that goes back)."""
    begins = {bisect_right(rows.seq, start) for start in starts}
    begins.update(many_steps.drops(rows.epoch))
    return {k for k in begins if 0 < k < len(rows)}


def _scale(tables: Tables, pace: int, assumed: int) -> None:
    """Puts right the steps of rows that were settled before it was known how many steps lie between two of them.

    Messages keep their distance from the row before them.
    """
    past = tables.past
    assert past is not None
    settled = [(key, table) for key, table in tables.by_key.items() if key in past.unprinted and len(table)]
    ends = {key: bisect_right(table.seq, past.seq) for key, table in settled}
    counted = [(t.seq[: ends[key]], t.step[: ends[key]], 0) for key, t in settled if t.kind == "train" and not is_aside(t)]
    seqs, steps = many_steps.sorted_pairs(counted)
    for key, table in settled:
        before = many_steps.last_at(seqs, table.seq[: ends[key]]) if is_aside(table) else None
        for at in range(ends[key]):
            anchor = table.step[at] if before is None else steps[before[at] - 1] if before[at] else 0
            table.step[at] += anchor * pace // assumed - anchor
    under_way = {}
    for writer, (seq, attempt) in past.under_way.items():
        at = bisect_right(seqs, seq)
        anchor = steps[at - 1] if at else 0
        under_way[writer] = seq, attempt + anchor * pace // assumed - anchor
    tables.past = replace(past, under_way=under_way)


def _by_epoch(train: Sequence[Table]) -> dict[float, int]:
    """epoch → the last step that was logged with it."""
    known: dict[float, int] = {}
    for table in train:
        if "epoch" in table.names:
            column = table.columns[table.names.index("epoch")]
            for epoch, step in zip(column, table.step, strict=True):
                known[epoch] = max(step, known.get(epoch, 0))
    return known


def _anchors(tables: Tables, clock: Clock) -> Anchors:
    """Rows with a step and the bar's counts."""
    known = [(seqs, steps, shift) for _, seqs, steps, shift in _known(tables)]
    return many_steps.sorted_pairs([*known, (clock.seq, clock.step, 0)])


def _anchors_by_rank(tables: Tables) -> dict[int | None, Anchors]:
    """Rank → its rows that have a step: where ranks write side by side, each has its own clock."""
    known: dict[int | None, list[tuple[Sequence[int], Sequence[int], int]]] = {}
    for rank, seqs, steps, shift in _known(tables):
        known.setdefault(rank, []).append((seqs, steps, shift))
    return {rank: many_steps.sorted_pairs(rows) for rank, rows in known.items()}


def _known(tables: Tables) -> Iterator[tuple[int | None, array[int], array[int], int]]:
    """(rank, seq, step, what to take off the steps) of tables that may have steps, on the axis of the losses.

    A script that prints its first step as 0 counts one less than the engine (`step=10` is its step 9). What was given the
    step of another row is no anchor.
    """
    losses = [table for table in tables.by_key.values() if table.kind == "train" and table.holds_loss and len(table)]
    is_from_zero = bool(losses) and min((table.seq[0], table.step[0]) for table in losses)[1] == 0
    past = tables.past or Past(-1)
    for key, table in tables.by_key.items():
        shift = 1 if is_from_zero and not table.holds_loss and table.has_steps else 0
        if key in past.unprinted and (table.kind != "train" or is_aside(table)):
            begin = bisect_right(table.seq, past.seq)
            yield table.rank, table.seq[begin:], table.step[begin:], shift
        else:
            yield table.rank, table.seq, table.step, shift


def _resolve_eval(table: Table, clock: Clock, anchors: Anchors, by_epoch: dict[float, int]) -> None:
    """An evaluation belongs to the step that its bar is redrawn at, to its epoch, or to the last step before it."""
    seqs, steps = anchors
    epochs = table.columns[table.names.index("epoch")] if "epoch" in table.names else None
    for index in range(len(table)):
        if table.step[index] != UNKNOWN:
            continue
        seq = table.seq[index]
        at = bisect_right(seqs, seq)
        last = steps[at - 1] if at else 0
        shown = clock.after(seq, seq + 3)
        if shown is not None and shown >= last:
            table.step[index] = shown
        elif not clock.seq and epochs is not None and last < by_epoch.get(epochs[index], last):
            table.step[index] = by_epoch[epochs[index]]
        else:
            table.step[index] = last
