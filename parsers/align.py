"""Printed rows get the steps that the Trainer's own state holds, where both tell the same story value by value.

A log is the better evidence (a person can read its lines) and `trainer_state.json` the better clock. Where their losses
agree row by row, the log takes the state's steps and is preferred from then on; where they differ both stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from parsers.table import Table, Tables

STATE: Final = "trainer_state"
PRINTED: Final = "hf_trainer"
TOLERANCE: Final = 1e-3
"""Relative: transformers 5 prints four significant digits; an absolute 1e-4 covers the four decimals of 4.x."""


def align(tables: Sequence[Tables]) -> frozenset[str]:
    """Gives text files of the Trainer the steps of the state beside them, in place; the files that were aligned."""
    state = [row for tables_ in tables for row in _losses(tables_, STATE)]
    if not state:
        return frozenset()
    aligned = set()
    for tables_ in tables:
        printed = _losses(tables_, PRINTED)
        if len(printed) != len(state) or not all(_is_same(a[1], b[1]) for a, b in zip(printed, state, strict=True)):
            continue
        for (table, index), step in ((a[0], b[0][0].step[b[0][1]]) for a, b in zip(printed, state, strict=True)):
            table.step[index] = step
        aligned.add(tables_.file)
    return frozenset(aligned)


def _losses(tables: Tables, reader: str) -> list[tuple[tuple[Table, int], float]]:
    """((table, row), loss) of a reader's training rows, in the order of the file."""
    rows = [
        (table.seq[index], (table, index), table.columns[table.names.index("loss")][index])
        for table in tables.by_key.values()
        if table.reader == reader and table.kind == "train" and "loss" in table.names
        for index in range(len(table))
    ]
    rows.sort(key=lambda row: row[0])
    return [(place, loss) for _, place, loss in rows]


def _is_same(printed: float, held: float) -> bool:
    if math.isnan(printed) or math.isnan(held):
        return math.isnan(printed) and math.isnan(held)
    return printed == held or abs(printed - held) <= max(TOLERANCE * abs(held), 1e-4)
