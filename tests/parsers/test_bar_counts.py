"""Counts of bars that come as columns are kept as those that come one by one; NumPy changes nothing."""

from __future__ import annotations

import random
from array import array

import pytest

from parsers import many_steps
from parsers.model import Tick
from parsers.said import Ticks as Many
from parsers.table import FEW, SOME, Ticks


def redrawn(seed: int, size: int, often: float) -> tuple[list[int], Many]:
    """Counts of which some come again, right after the first or later, soon or late."""
    luck = random.Random(seed)
    seqs, steps, seconds = list[int](), list[int](), list[float]()
    seq, step, second = 0, 0, 0.0
    for _ in range(size):
        seq += luck.choice((1, 1, 1, 2))
        step += luck.random() >= often
        second += luck.choice((0.0, 1.0, 1.0, 70.0))
        seqs.append(seq)
        steps.append(step)
        seconds.append(second)
    totals = array("q", [luck.choice((100, 100, 100, 200)) for _ in range(size)])
    return seqs, Many((), array("q", range(size)), array("q", steps), totals, array("d", seconds))


@pytest.mark.parametrize("often", [0.0, 0.01, 0.5])
@pytest.mark.parametrize("size", [3, 100, 3 * SOME])
@pytest.mark.parametrize("seed", range(4))
def test_columns_are_kept_as_single_counts(seed: int, size: int, often: float) -> None:
    import numpy  # noqa: F401 - loaded: long columns go through it

    seqs, many = redrawn(seed, size, often)
    one_by_one, at_once, in_pieces = Ticks(), Ticks(), Ticks()
    for seq, line, step, total, seconds in zip(seqs, many.lines, many.steps, many.totals, many.seconds, strict=True):
        one_by_one.append(seq, Tick(line, step, total, seconds))
    at_once.extend(seqs, many)
    cut = size // 2
    for part in (slice(0, cut), slice(cut, size)):
        in_pieces.extend(seqs[part], Many((), many.lines[part], many.steps[part], many.totals[part], many.seconds[part]))
    assert one_by_one == at_once == in_pieces
    if often:
        assert len(one_by_one) <= size


def test_few_and_many_counts_are_dropped() -> None:
    dropped = [len(many[1]) - len(kept) for many, kept in map(_kept, (0.01, 0.5))]
    assert 0 < dropped[0] <= FEW < dropped[1]


def _kept(often: float) -> tuple[Many, Ticks]:
    seqs, many = redrawn(0, 1000, often)
    ticks = Ticks()
    ticks.extend(seqs, many)
    return many, ticks


@pytest.mark.parametrize("wanted", [[], [3], [3, 1, 7], list(range(40))])
def test_wanted_values_are_found_with_numpy_and_without(wanted: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    luck = random.Random(len(wanted))
    values = array("q", [luck.randrange(50) for _ in range(400)])
    plain = list(many_steps.among(values, wanted))
    monkeypatch.setattr(many_steps, "is_few", lambda rows: False)
    assert list(many_steps.among(values, wanted)) == plain
