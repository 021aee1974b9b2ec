"""Columns are added up the same with NumPy and without."""

from __future__ import annotations

import math
import random
import sys
from array import array

import pytest

from parsers.sums import SOME, sums, thousandths


@pytest.mark.parametrize("size", [0, 1, SOME, SOME + 1, 3_000])
def test_both_ways_give_the_same(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy  # noqa: F401 - loaded: long columns go through it

    luck = random.Random(size)
    some, others = (array("d", [luck.choice((luck.uniform(-1e6, 1e6), 0.0, math.inf)) for _ in range(size)]) for _ in range(2))
    fast = thousandths(some), sums(some, others)
    monkeypatch.delitem(sys.modules, "numpy")
    assert (thousandths(some), sums(some, others)) == fast
    assert fast[0] == array("d", [value / 1000 for value in some])


def test_whole_numbers_are_taken_too() -> None:
    assert thousandths([1500, 250]) == array("d", [1.5, 0.25])
    assert sums(array("q", range(2 * SOME)), array("d", [0.5] * 2 * SOME))[-1] == 2 * SOME - 0.5
