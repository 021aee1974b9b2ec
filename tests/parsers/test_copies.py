"""Rows that several nodes print alike into one log count once."""

from __future__ import annotations

import pytest

from tests.parsers.logs import run_of, steps


def row(step: int, loss: float | None = None, epoch: float | None = None) -> str:
    """A line as transformers up to 4.36 prints it."""
    shown = 3 - 0.01 * step if loss is None else loss
    return f"{{'loss': {shown:.4f}, 'learning_rate': 1e-05, 'epoch': {0.01 * step if epoch is None else epoch:.2f}}}\n"


@pytest.mark.parametrize("nodes", [2, 3, 8])
def test_each_row_counts_once(nodes: int) -> None:
    run = run_of("".join(row(step) * nodes for step in range(1, 21)))
    assert steps(run, "loss") == list(range(1, 21)) and run.segments == 1


def test_nodes_may_be_a_row_apart() -> None:
    first, second = range(1, 21), range(1, 21)
    order = [1, 2, *(step for pair in zip(first[2:], second, strict=False) for step in pair), 19, 20]
    assert steps(run_of("".join(map(row, order))), "loss") == list(range(1, 21))


def test_the_last_copies_may_be_missing() -> None:
    assert steps(run_of("".join(row(step) * 2 for step in range(1, 11)) + row(11)), "loss") == list(range(1, 12))


def test_zeros_repeat_by_themselves() -> None:
    text = row(1) + row(2) + row(3) + "".join(row(step, 0.0, 0.05 * (1 + step // 10)) for step in range(4, 40))
    assert steps(run_of(text), "loss") == list(range(1, 40))


def test_zeros_of_several_nodes_count_once() -> None:
    text = "".join(row(step) * 2 for step in range(1, 11)) + "".join(row(step, 0.0, 0.5) * 2 for step in range(11, 31))
    assert steps(run_of(text), "loss") == list(range(1, 31))


def test_a_second_run_of_the_same_numbers_is_no_copy() -> None:
    once = "".join(row(step) for step in range(1, 21))
    run = run_of(once + once)
    assert len(steps(run, "loss")) == 40 and run.segments == 2
