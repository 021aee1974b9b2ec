"""What is known of the rows of a file that have their steps for good and may have been thinned: how counting goes on.

Steps that are not printed are counted (`steps.py`). Where older rows are dropped before the file ends, the counts go on from
what is kept here: per writer how many rows there were and where it stood, which bars were redrawn after rows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

WriterKey = tuple[str, int | None, str]
"""(reader, rank, engine): whose rows are counted together."""


@dataclass(frozen=True, slots=True)
class Writer:
    """How far one writer's rows were counted: `ticked` of `rows` were followed by a bar; `pace` steps lie between two rows."""

    rows: int = 0
    ticked: int = 0
    gaps: Counter[int] = field(default_factory=Counter)
    """Differences between the counts of bars after neighbouring rows → how often."""
    pace: int = 1
    source: str = "count"
    is_believed: bool = False
    """Whether the bars were followed row by row."""


@dataclass(slots=True)
class Past:
    """The state at `seq`: all rows up to there have steps."""

    seq: int = 0
    source: str = "none"
    writers: dict[WriterKey, Writer] = field(default_factory=dict)
    votes: Counter[int] = field(default_factory=Counter)
    """Total of a bar → rows without printed steps that it was the first to follow."""
    voters: int = 0
    all_votes: Counter[int] = field(default_factory=Counter)
    """The same for all rows of training."""
    all_voters: int = 0
    unprinted: set[tuple[object, ...]] = field(default_factory=set)
    """Keys of tables in which a step was filled in."""
    under_way: dict[tuple[str, int | None, bool], tuple[int, int]] = field(default_factory=dict)
    """Writer of messages → (`seq` of the row before, the attempt that is under way)."""
    levels: dict[object, int] = field(default_factory=dict)
    """Table's key → how often its rows were halved; None stands for the bars."""
    dropped: int = 0
    """Rows and counts of bars that are gone."""
