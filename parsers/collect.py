"""What the readers of a file found, filed and bounded; parts of several files joined in their order.

Of a run of thousands of rank files the first are kept whole, of the others what tells how far they came and how they
ended (`is_slim`): memory must not grow with the number of ranks times the length of their logs.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Final

from parsers import kinds, steps
from parsers.model import Columns, Environment, Event, Fact, Problem, Record, Row, SourceFile, Tick, Value
from parsers.said import Said
from parsers.table import Tables

MAX_EVENTS: Final = 400
"""First events of one kind that are kept per file; the rest is counted: 10,000 equal warnings add no evidence."""
MAX_LATE: Final = 200
"""Last events of one kind that are kept beside them: thousands of caught exceptions must not hide the one that was not."""
MAX_PROBLEMS: Final = 100
"""Places of one file that could not be read which are named; how many more there are is said once."""
MAX_VALUES: Final = 100
"""First values of one fact, of one weight, that are kept per file: no run has more versions of a package."""
MAX_FACTS: Final = 20_000
"""Facts of one file that are kept: the largest configurations have a thousand settings."""
MAX_ALWAYS: Final = 5_000
"""The same of starts and ends of programs, which are kept beyond `MAX_EVENTS`."""
WHOLE_FILES: Final = 64
"""Files of a run, in their order, of which everything is kept."""
SLIM_EVENTS: Final = 8
"""First and last events of one kind that are kept of each further file."""
SLIM_FIRST: Final = 16
SLIM_LAST: Final = 128
"""First and last rows of each table that are kept of each further file, and `SLIM_FIRST` rows that are not finite."""

_COUNTABLE: Final = (Row, Tick, Columns)
_ALWAYS_KEPT: Final = frozenset({kinds.RUN_START, kinds.RUN_END, kinds.SCALE_MINIMUM})


@dataclass
class Collected:
    """What the readers have found so far, of one file or of all files of a run."""

    is_slim: bool = False
    files: list[SourceFile] = field(default_factory=list)
    readers: set[str] = field(default_factory=set)
    tables: list[Tables] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    late: dict[str, deque[Event]] = field(default_factory=dict)
    unnamed: int = 0
    """Problems that are not kept."""
    counts: Counter[str] = field(default_factory=Counter)
    _told: set[tuple[str, Value, int, bool]] = field(default_factory=set, repr=False)
    _values: Counter[tuple[str, int]] = field(default_factory=Counter, repr=False)

    def add(self, tables: Tables, reader: str, record: Record, is_text: bool) -> None:
        """Files one record."""
        if isinstance(record, _COUNTABLE):
            tables.add(reader, record, is_text)
            return
        if isinstance(record, Problem):
            self._add_problem(record)
            return
        if isinstance(record, Fact):
            self._add_fact(record)
            self.readers.add(reader)
            return
        if record.kind == kinds.RUN_START:
            tables.mark_start()
        self._add_event(record)
        if record.kind not in (kinds.SIGNATURE, kinds.WARNING):
            self.readers.add(reader)

    def _add_fact(self, fact: Fact) -> None:
        """Keeps a fact the first time that it is told."""
        told = (fact.key, fact.value, fact.weight, fact.given)
        if told in self._told or self._values[fact.key, fact.weight] >= MAX_VALUES or len(self._told) >= MAX_FACTS:
            return
        self._told.add(told)
        self._values[fact.key, fact.weight] += 1
        self.facts.append(fact)

    def __copy__(self) -> Collected:
        """A twin with the same lists, which counts what it is told for itself."""
        twin = object.__new__(Collected)
        twin.__dict__.update(self.__dict__, _told=set(self._told), _values=self._values.copy())
        return twin

    def add_said(self, tables: Tables, said: Said) -> None:
        """Files what was said of a block of text."""
        tables.place(said, lambda reader, record: self.add(tables, reader, record, is_text=True))

    def _add_problem(self, problem: Problem) -> None:
        if len(self.problems) < (SLIM_EVENTS if self.is_slim else MAX_PROBLEMS):
            self.problems.append(problem)
        else:
            self.unnamed += 1

    def _add_event(self, event: Event) -> None:
        self.counts[event.kind] += 1
        most = MAX_ALWAYS if event.kind in _ALWAYS_KEPT else SLIM_EVENTS if self.is_slim else MAX_EVENTS
        if self.counts[event.kind] <= most:
            self.events.append(event)
        else:
            size = SLIM_EVENTS if self.is_slim else MAX_LATE
            self.late.setdefault(event.kind, deque(maxlen=size)).append(event)

    def end_file(self, tables: Tables, file: SourceFile, rank: int | None = None) -> None:
        """Closes the file: its events in the order of their lines, its rank on what names none, slim if it must be."""
        self.events += [event for events in self.late.values() for event in events]
        self.events.sort(key=lambda event: event.ref.line)
        self.late.clear()
        if rank is not None:
            self.events = [replace(e, rank=rank) if e.rank is None and e.ref.rank == rank else e for e in self.events]
            tables.set_rank(rank)
        if self.unnamed and not self.is_slim:
            last = self.problems[-1]
            self.problems.append(Problem(last.ref, last.reader, f"{self.unnamed} places more of this file could not be read."))
            self.unnamed = 0
        if self.is_slim:
            steps.resolve(tables, Environment(self.facts))
            tables.thin(SLIM_FIRST, SLIM_LAST)
        self.readers |= tables.readers
        self.tables.append(tables)
        self.files.append(file)

    def join(self, part: Collected, known: set[tuple[str, Value, int, bool]]) -> None:
        """Adds another file's part. `known`: facts that are here already; the same word of a thousand ranks is kept once."""
        for fact in part.facts:
            key = (fact.key, fact.value, fact.weight, fact.given)
            if key not in known:
                known.add(key)
                self.facts.append(fact)
        self.files += part.files
        self.readers |= part.readers
        self.tables += part.tables
        self.events += part.events
        self.problems += part.problems
        self.failures += part.failures
