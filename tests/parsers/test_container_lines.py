"""Lines that a container runtime cut at 16 KB are whole again, wherever the file is cut into chunks."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parsers.source import Cutter
from tests.parsers.logs import points, records, run_of

STAMP = "2026-11-24T10:00:0{}.5Z"
PIECES = (
    f"{STAMP.format(1)} stdout F {{'loss': 2.0, 'learning_rate': 1e-05, 'epoch': 0.1}}",
    f"{STAMP.format(2)} stdout P {{'loss': 1.9, 'learni",
    f"{STAMP.format(2)} stderr F a warning between",
    f"{STAMP.format(3)} stdout P ng_rate': 1e-05, 'ep",
    f"{STAMP.format(3)} stdout F och': 0.2}}",
    f"{STAMP.format(4)} stdout F {{'loss': 1.8, 'learning_rate': 1e-05, 'epoch': 0.3}}",
)


def test_pieces_are_one_line_at_the_place_of_the_last() -> None:
    run = run_of("\n".join(PIECES) + "\n")
    loss = run.series("loss")
    assert loss is not None and list(loss.values) == [2.0, 1.9, 1.8] and list(loss.lines) == [1, 5, 6]


def test_a_bar_that_was_cut_is_one_bar() -> None:
    text = f"{STAMP.format(1)} stderr P \r 10%|█ | 10/100 [00:01<00:09,  9.8it/s, loss=2.5]\r 11%|█ | 11/1\n"
    text += f"{STAMP.format(2)} stderr F 00 [00:01<00:09,  9.8it/s, loss=2.4]\n"
    assert points(run_of(text), "loss") == [(10, 2.5), (11, 2.4)]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_line_whose_end_never_came_is_read_where_it_stands(end: str) -> None:
    text = PIECES[0] + "\n" + PIECES[1].replace("learni", "learning_rate': 1e-05, 'epoch': 0.2}") + end
    loss = run_of(text).series("loss")
    assert loss is not None and list(loss.lines) == [1, 2]


def test_pending_bytes_begin_the_line_that_comes_next() -> None:
    cutter, data = Cutter(), ("\n".join(PIECES) + "\n").encode()
    fed = 0
    for size in (70, 130, 150, 190, 250, 333):
        list(cutter.feed(data[fed:size]))
        fed = size
        if cutter.is_at_line_start:
            assert data.count(b"\n", 0, fed - cutter.pending) == cutter.lines


@given(st.lists(st.sampled_from(PIECES), max_size=12), st.lists(st.integers(0, 900), max_size=8), st.sampled_from(["\n", "\r\n"]))
@settings(max_examples=100, deadline=None)
@example([PIECES[1]], [5], "\n")
def test_any_chunks_give_the_same_records(lines: list[str], places: list[int], end: str) -> None:
    data = end.join([PIECES[0], *lines]).encode()
    cuts = tuple(sorted({place % (len(data) + 1) for place in places}))
    assert repr(records(data, cuts)) == repr(records(data))


def test_other_logs_pass_through_as_they_are() -> None:
    data = b"no container's line\n" + PIECES[1].encode() + b"\n"
    cutter = Cutter()
    blocks = [block for low, high in pairwise([0, 5, 40, len(data)]) for block in cutter.feed(data[low:high])]
    assert b"".join(block.data for block in [*blocks, *cutter.close()]) == data
