"""True global steps for rows that were printed without one (the Trainer's dict lines, OVERFLOW lines).

In order of trust: the count of the progress bar that is redrawn right after a dict line (`tqdm.write` redraws it, so it
shows that line's own step), the rows' order times `logging_steps`, the epoch times steps per epoch, the mere count.

Where standard output was buffered, dict lines come in bunches and the bars say nothing about any one of them: a bar is
believed only where most rows are followed by one.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, NamedTuple

from parsers.copies import drop_copies
from parsers.model import Environment
from parsers.table import UNKNOWN, Table, Tables

ASIDE: Final = frozenset(
    {"overflow", "overflow_hysteresis", "labels_masked", "memory_gpu", "memory_host", "timer_forward", "throughput_samples"}
)
"""Rows with one of these and no loss are messages between the training rows: they never count steps for others."""
ATTEMPTS: Final = frozenset({"overflow", "overflow_hysteresis", "timer_forward"})
"""Each of these rows is an optimizer step of its own: the one after the last that is known."""

MIN_TICKED: Final = 0.5
"""Share of rows that a bar must follow before bars are believed row by row."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The training bar's counts of one file, as parallel tuples ordered by `seq`; `at` are their places among the ticks."""

    seq: tuple[int, ...]
    step: tuple[int, ...]
    total: int | None
    at: tuple[int, ...] = ()

    def after(self, seq: int, until: int) -> int | None:
        """The count first drawn after `seq` and before `until`."""
        index = bisect_right(self.seq, seq)
        return self.step[index] if index < len(self.seq) and self.seq[index] < until else None

    def before(self, seq: int) -> int | None:
        """The last count drawn before `seq`."""
        index = bisect_left(self.seq, seq)
        return self.step[index - 1] if index else None


class _Row(NamedTuple):
    seq: int
    table: Table
    at: int

    def value(self, name: str) -> float | None:
        """The row's value of a metric, or None where it has none that is finite."""
        if name not in self.table.names:
            return None
        found = self.table.columns[self.table.names.index(name)][self.at]
        return found if math.isfinite(found) else None


def resolve(tables: Tables, environment: Environment) -> str:
    """Fills in missing steps of a file's tables in place and says how: see `Run.step_source`."""
    drop_copies(tables)
    stepless = [table for table in tables.by_key.values() if not table.has_steps]
    if not stepless:
        return "printed" if tables.by_key or tables.bulk else "none"
    aside = [table for table in stepless if _is_aside(table)]
    set_aside = {id(table) for table in aside}  # by identity: to compare tables is to compare all their rows
    train = [table for table in stepless if table.kind == "train" and id(table) not in set_aside]
    done = set_aside | {id(table) for table in train}
    clock = training_clock(tables, train, environment)
    source = "none"
    for group in _groups(train):
        source, is_believed = _resolve_group(group, clock, tables, environment)
        clock = clock if is_believed else Clock((), (), clock.total)
    if not train and any(table.has_steps for table in tables.by_key.values()):
        source = "printed"
    anchors = _anchors(tables, clock)
    by_epoch = _by_epoch(train)
    for table in stepless:
        if id(table) not in done:
            _resolve_eval(table, clock, anchors, by_epoch)
    own = {} if clock.seq else _anchors_by_rank(tables)
    for rank in dict.fromkeys(table.rank for table in aside):
        of_rank = own.get(rank) or (own.get(0) if rank is None else None) or anchors
        _resolve_aside([table for table in aside if table.rank == rank], of_rank)
    return source


def _is_aside(table: Table) -> bool:
    names = set(table.names)
    return not table.holds_loss and (bool(ASIDE & names) or names == {"loss_scale"})


def training_clock(tables: Tables, train: Sequence[Table], environment: Environment) -> Clock:
    """The bars that count training steps: those whose total is planned, or that are redrawn after training rows.

    `total` is None where no training row says which bar that is.
    """
    ticks = tables.ticks
    train = [table for table in train if not _is_aside(table)]
    if not len(ticks):
        return Clock((), (), None)
    votes = _votes(tables, train)
    planned = environment.number("run:planned_steps") or environment.number("arg:max_steps")
    if planned and planned > 0 and int(planned) in ticks.total:
        total = int(planned)
    elif votes and sum(votes.values()) >= MIN_TICKED * sum(len(table) for table in train):
        total = max(votes, key=lambda total: (votes[total], total))
    else:
        total = _longest(tables)
    # A sweep or a second stage has a bar of its own: every total that follows many rows counts training steps.
    enough = max(2.0, 0.1 * max(votes.values(), default=0))
    totals = {total, *(other for other, count in votes.items() if count >= enough)}
    chosen = [i for i in range(len(ticks)) if ticks.total[i] in totals]
    seq, step = tuple(ticks.seq[i] for i in chosen), tuple(ticks.step[i] for i in chosen)
    return Clock(seq, step, total if train else None, tuple(chosen))


def _longest(tables: Tables) -> int:
    """The total that the whole run's speed gives, else that of the bar that ran longest (evaluations are shorter)."""
    ticks, last = tables.ticks, _last_by_speed(tables)
    if last and round(last) in ticks.total:
        return round(last)
    seconds = [0.0 if math.isnan(s) else s for s in ticks.seconds]
    return ticks.total[max(range(len(ticks)), key=lambda i: (seconds[i], ticks.step[i]))]


def _votes(tables: Tables, train: Sequence[Table]) -> Counter[int]:
    """total → how many training rows a bar with that total was the first to follow."""
    ticks = tables.ticks
    votes: Counter[int] = Counter()
    seqs = sorted(seq for table in train for seq in table.seq)
    for seq, following in pairwise([*seqs, tables.seq + 1]):
        index = bisect_right(ticks.seq, seq)
        if index < len(ticks) and ticks.seq[index] < following:
            votes[ticks.total[index]] += 1
    return votes


def _groups(train: Sequence[Table]) -> list[list[_Row]]:
    """Rows of one writer each, in order: copies by other ranks must not count twice."""
    groups: dict[tuple[str, int | None, str], list[_Row]] = {}
    for table in train:
        rows = groups.setdefault((table.reader, table.rank, table.engine), [])
        rows += [_Row(table.seq[i], table, i) for i in range(len(table))]
    return [sorted(rows, key=lambda row: row.seq) for rows in groups.values()]


def _resolve_group(rows: list[_Row], clock: Clock, tables: Tables, environment: Environment) -> tuple[str, bool]:
    """Fills in the steps of one writer's rows: (how, whether bars were believed)."""
    following = [*(row.seq for row in rows[1:]), tables.seq + 1]
    seen = [clock.after(row.seq, until) for row, until in zip(rows, following, strict=True)]
    is_believed = sum(s is not None for s in seen) >= MIN_TICKED * len(rows)
    if not is_believed:
        seen = [None] * len(rows)
    pace, source = _pace(rows, seen, clock, tables, environment)
    pieces = _pieces(rows, tables.starts)
    if not any(s is not None for s in seen) and _first_is_one(rows, pace, environment):
        seen[0] = 1
    step = 0
    for k, row in enumerate(rows):
        shown = seen[k]
        if shown is None and (k == 0 or k in pieces):
            shown = _restart(rows, k, pace) if k else _first(rows, seen, pace, clock)
        step = shown if shown is not None else step + pace - step % pace
        row.table.step[row.at] = step
    return source, is_believed


def _pieces(rows: list[_Row], starts: Sequence[int]) -> set[int]:
    """Rows before which the program started again (a banner, or an epoch that goes back)."""
    begins = {bisect_right([row.seq for row in rows], start) for start in starts}
    for k, (earlier, later) in enumerate(pairwise(rows)):
        was, now = earlier.value("epoch"), later.value("epoch")
        if was is not None and now is not None and now < was:
            begins.add(k + 1)
    return {k for k in begins if 0 < k < len(rows)}


def _first(rows: list[_Row], seen: Sequence[int | None], pace: int, clock: Clock) -> int:
    """The step of a first row that no bar follows: from the next row that one follows, else from the bar before it."""
    known = next((k for k, step in enumerate(seen) if step is not None), None)
    if known is not None and known < 20:
        return max(1, (seen[known] or 0) - known * pace)
    before = clock.before(rows[0].seq)
    if before is None or not any(step is not None for step in seen):
        return pace
    return max(pace, before + pace - 1 - (before - 1) % pace)


def _restart(rows: list[_Row], k: int, pace: int) -> int | None:
    """The step of the first row after a restart: that of an earlier row with its epoch, else in proportion to it."""
    epoch, before = rows[k].value("epoch"), rows[k - 1].value("epoch")
    last = rows[k - 1].table.step[rows[k - 1].at]
    if epoch is None or before is None or before <= 0:
        return None
    if epoch >= before:
        return last + max(pace, round((epoch - before) * last / before / pace) * pace)
    return max(pace, round(epoch * last / before / pace) * pace)


def _first_is_one(rows: list[_Row], pace: int, environment: Environment) -> bool:
    """`logging_first_step`: the first row is step 1 and the second the first multiple of the pace."""
    if environment.value("arg:logging_first_step") is True:
        return pace > 1
    epochs = [row.value("epoch") for row in rows[:4]]
    if pace < 2 or len(epochs) < 4 or any(e is None for e in epochs):
        return False
    first, second, third, fourth = (e or 0.0 for e in epochs)
    usual = (fourth - second) / 2
    return usual > 0.05 and first < 0.5 * usual and abs(third - second - usual) < 0.02 and second - first < usual


def _pace(
    rows: list[_Row], seen: Sequence[int | None], clock: Clock, tables: Tables, environment: Environment
) -> tuple[int, str]:
    """(steps between two rows, source): from the bar's counts, `logging_steps`, the whole run's speed, the epochs, or 1."""
    starts = [start for start in tables.starts if rows and start > rows[0].seq]
    gaps = Counter(b - a for a, b in pairwise(seen) if a is not None and b is not None and b > a)
    if gaps:
        return gaps.most_common(1)[0][0], "progress-bar"
    stated = _stated(clock, environment)
    if stated:
        return stated, "logging_steps"
    last = _last_by_speed(tables)
    if last and len(rows) > 2 and not starts:
        return _roundest(last / (len(rows) + 1) + 1e-9, last / len(rows) + 0.02), "speed"
    by_epoch = _pace_by_epoch(rows, clock, environment)
    if by_epoch:
        return by_epoch, "epoch"
    if clock.step and len(rows) > 2:
        return _roundest(max(clock.step) / (len(rows) + 1) + 1e-9, max(clock.step) / len(rows)), "progress-bar"
    return 1, "progress-bar" if any(s is not None for s in seen) else "count"


def _stated(clock: Clock, environment: Environment) -> int | None:
    """`logging_steps` as stated; below 1 it is a share of all steps."""
    stated = environment.number("arg:logging_steps") or environment.number("run:logging_steps")
    strategy = environment.value("arg:logging_strategy")
    if not stated or stated <= 0 or not math.isfinite(stated) or (strategy and not str(strategy).lower().endswith("steps")):
        return None
    if stated >= 1:
        return int(stated)
    planned = environment.number("run:planned_steps") or environment.number("arg:max_steps") or clock.total
    return max(1, math.ceil(stated * planned)) if planned and planned > 0 else None


def _last_by_speed(tables: Tables) -> float | None:
    """The steps of a whole run, from the final dict: its seconds times its steps a second."""
    for table in tables.by_key.values():
        if table.kind == "summary" and {"train_runtime", "train_steps_per_second"} <= set(table.names):
            seconds, speed = (table.columns[table.names.index(name)] for name in ("train_runtime", "train_steps_per_second"))
            steps = seconds[0] * speed[0]
            if len(set(seconds)) == 1 and math.isfinite(steps) and steps >= 1 and speed[0] >= 0.02:
                return steps
    return None


def _pace_by_epoch(rows: list[_Row], clock: Clock, environment: Environment) -> int | None:
    """From the epochs that the rows show and the steps of one epoch; what the epochs' rounding leaves open is rounded."""
    per_epoch = _steps_per_epoch(clock, environment)
    if not per_epoch or len(rows) < 3:
        return None
    epochs = [e for row in rows if (e := row.value("epoch")) is not None and math.isfinite(e)]
    rises = [b - a for a, b in pairwise(epochs) if b >= a]
    if not rises or not sum(rises):
        return None
    pace, unsure = sum(rises) / len(rises) * per_epoch, 0.01 / len(rises) * per_epoch
    return _roundest(max(1.0, pace - unsure), pace + unsure) if unsure > 0.5 else max(1, round(pace))


def _steps_per_epoch(clock: Clock, environment: Environment) -> float | None:
    stated = environment.number("run:steps_per_epoch")
    examples, batch = environment.number("run:train_examples"), environment.number("run:train_batch_size")
    if stated or (examples and batch):
        return stated or math.ceil((examples or 0) / (batch or 1))
    planned = clock.total or environment.number("run:planned_steps")
    epochs = environment.number("run:planned_epochs") or environment.number("arg:num_train_epochs")
    limit = environment.number("arg:max_steps")
    return planned / epochs if planned and epochs and epochs > 0 and not (limit and limit > 0) else None


def _roundest(low: float, high: float) -> int:
    """The roundest whole number within two bounds, or the nearest to them."""
    first, last = math.ceil(low), math.floor(high)
    if first > last:
        return max(1, round((low + high) / 2))
    if last - first > 10_000:
        return max(1, last)
    return max(range(max(1, first), max(1, last) + 1), key=lambda pace: (_roundness(pace), -pace))


def _roundness(value: int) -> int:
    return next((r for r in (1000, 500, 100, 50, 20, 10, 5, 2) if value % r == 0), 3 if value == 1 else 1)


def _by_epoch(train: Sequence[Table]) -> dict[float, int]:
    """epoch → the last step that was logged with it."""
    known: dict[float, int] = {}
    for table in train:
        if "epoch" in table.names:
            column = table.columns[table.names.index("epoch")]
            for epoch, step in zip(column, table.step, strict=True):
                known[epoch] = max(step, known.get(epoch, 0))
    return known


def _anchors(tables: Tables, clock: Clock) -> tuple[list[int], list[int]]:
    """(seq, step) of everything in the file that has a step by now, in order."""
    known = [(seq, step) for _, seq, step in _known(tables)]
    known += zip(clock.seq, clock.step, strict=True)
    return _split(known)


def _anchors_by_rank(tables: Tables) -> dict[int | None, tuple[list[int], list[int]]]:
    """Rank → (seq, step) of its rows that have a step: where ranks write side by side, each has its own clock."""
    known: dict[int | None, list[tuple[int, int]]] = {}
    for rank, seq, step in _known(tables):
        known.setdefault(rank, []).append((seq, step))
    return {rank: _split(rows) for rank, rows in known.items()}


def _split(rows: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
    rows.sort()
    return [seq for seq, _ in rows], [step for _, step in rows]


def _known(tables: Tables) -> Iterator[tuple[int | None, int, int]]:
    """(rank, seq, step) of rows with a step, on the axis of the losses.

    A script that prints its first step as 0 counts one less than the engine (`step=10` is its step 9).
    """
    losses = [table for table in tables.by_key.values() if table.kind == "train" and table.holds_loss and len(table)]
    is_from_zero = bool(losses) and min((table.seq[0], table.step[0]) for table in losses)[1] == 0
    for table in tables.by_key.values():
        shift = 1 if is_from_zero and not table.holds_loss and table.has_steps else 0
        for seq, step in zip(table.seq, table.step, strict=True):
            if step != UNKNOWN:
                yield table.rank, seq, step - shift


def _resolve_eval(table: Table, clock: Clock, anchors: tuple[list[int], list[int]], by_epoch: dict[float, int]) -> None:
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


def _resolve_aside(tables: Sequence[Table], anchors: tuple[list[int], list[int]]) -> None:
    """Messages: each overflow is the next step after the last one known, others belong to the step that is under way."""
    seqs, steps = anchors
    rows = sorted((table.seq[i], k, i) for k, table in enumerate(tables) for i in range(len(table)))
    under_way: dict[tuple[str, int | None, bool], tuple[int, int]] = {}
    for seq, k, index in rows:
        table = tables[k]
        if table.step[index] != UNKNOWN:
            continue
        at = bisect_left(seqs, seq)
        last = steps[at - 1] if at else 0
        writer = (table.reader, table.rank, "timer_forward" in table.names)
        if ATTEMPTS & set(table.names):
            anchor, attempt = under_way.get(writer, (-1, 0))
            is_first_of_zero = not at and steps[:1] == [0]  # a script that counts from 0 may skip its step 0
            attempt = attempt + 1 if anchor == at else last + (not is_first_of_zero)
            under_way[writer] = (at, attempt)
            table.step[index] = _bounded(attempt, last, steps, at)
        else:
            anchor, attempt = under_way.get(writer, (-1, 0))
            table.step[index] = attempt if anchor == at else last


def _bounded(attempt: int, last: int, steps: Sequence[int], at: int) -> int:
    """A step between the last that is known and the next, where the next is later at all."""
    following = steps[at] if at < len(steps) else None
    return min(attempt, following) if following is not None and following > last else attempt
