"""Whole logs: lines of every reader, real ones among them, in any order and state, and bytes of any kind between them."""

from __future__ import annotations

import random

from hypothesis import strategies as st

from tests.fuzz.seeds import NASTY, as_logs_suffer, lines

ENDS = (b"\n", b"\r\n", b"\r", b"\n\n", b"\x1b[0m\n")


@st.composite
def hf_curves(draw: st.DrawFn) -> bytes:
    """A Trainer's records: a curve that goes anywhere, NaN and zero included."""
    values = draw(
        st.lists(st.one_of(st.floats(0, 20), st.sampled_from([0.0, float("nan"), float("inf"), 1e300])), min_size=1, max_size=60)
    )
    return b"\n".join(
        f"{{'loss': {value}, 'grad_norm': {abs(value) + 1}, 'learning_rate': 1e-05, 'epoch': {at / 10}}}".encode()
        for at, value in enumerate(values)
    )


def any_line() -> st.SearchStrategy[bytes]:
    """A line that some reader knows, or none."""
    return st.one_of(
        st.sampled_from(lines()), st.sampled_from(lines()), st.binary(max_size=80), st.sampled_from(NASTY), hf_curves()
    )


@st.composite
def logs(draw: st.DrawFn, max_lines: int = 40) -> bytes:
    """A whole log; half of them have suffered."""
    end = draw(st.sampled_from(ENDS))
    data = end.join(draw(st.lists(any_line(), max_size=max_lines)))
    if draw(st.booleans()):
        data = as_logs_suffer(data, random.Random(draw(st.integers(0, 2**32))), lines())
    return data[:60_000]
