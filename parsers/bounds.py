"""Keeps what is held of one file small while it is read: the only place that decides when to thin."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from parsers import kinds, steps
from parsers.collect import Collected
from parsers.model import Environment, Problem, SourceRef
from parsers.table import Tables
from parsers.thin import WHOLE, Sizes, size, thin

READER: Final = "thinning"
"""Stands for a reader where a document says that rows were dropped."""
MANY_TABLES: Final = 500
SELDOM: Final = 8
"""Of files with more tables every so many blocks are looked at: to add up the lengths of thousands takes milliseconds."""
MAX_PLACES: Final = 1000
"""First and last events beside which rows are kept."""
_COMMON: Final = frozenset({kinds.SIGNATURE, kinds.WARNING})


class Bounds:
    """Thins the tables of a file whenever they have become too large."""

    def __init__(self, collected: Collected, tables: Tables, fallbacks: Set[str], sizes: Sizes | None = None) -> None:
        """`fallbacks`: readers whose rows are dropped where others found losses."""
        self._collected, self._tables, self._fallbacks = collected, tables, fallbacks
        self._sizes = sizes or WHOLE
        self._limits = self._sizes.rows, self._sizes.cells
        self._blocks = 0

    @property
    def is_thinned(self) -> bool:
        """Whether rows were dropped."""
        return self._tables.past is not None

    def check(self) -> None:
        """To be called after each block."""
        self._blocks += 1
        if len(self._tables.by_key) > MANY_TABLES and self._blocks % SELDOM:
            return
        if any(held > limit for held, limit in zip(size(self._tables), self._limits, strict=True)):
            self._thin()
            rows, cells = size(self._tables)
            self._limits = max(self._sizes.rows, 2 * rows), max(self._sizes.cells, 2 * cells)

    def end(self) -> None:
        """To be called when all of the file was read: rows of its end are thinned as those before, and a note says so."""
        if not self.is_thinned:
            return
        dropped, kept = self._thin(), size(self._tables)[0]
        self._collected.problems.insert(0, Problem(SourceRef(self._tables.file, 0), READER, note(kept, kept + dropped)))

    def _thin(self) -> int:
        """How many rows are gone by now."""
        self._tables.drop_fallbacks(self._fallbacks)
        past = steps.settle(self._tables, Environment(self._collected.facts))
        thin(self._tables, self._sizes, _places(self._collected))
        return past.dropped


def note(kept: int, whole: int) -> str:
    """What a document says about a file whose rows were thinned."""
    return (
        f"The log is long: of its {whole:,} rows of metrics and counts of bars {kept:,} were kept, those around every change "
        "and an even share of the others. Numbers of records are of these."
    )


def _places(collected: Collected) -> list[int]:
    """The lines of events, in order."""
    late = (event for events in collected.late.values() for event in events)
    lines = sorted({event.ref.line for event in (*collected.events, *late) if event.kind not in _COMMON})
    return lines if len(lines) <= 2 * MAX_PLACES else lines[:MAX_PLACES] + lines[-MAX_PLACES:]
