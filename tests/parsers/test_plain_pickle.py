"""Pickles of plain data are read like `pickle.loads` reads them, and nothing else is: no code runs, no file costs more than its size."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from typing import Any

import pytest

from parsers.plain_pickle import MAX_DEPTH, NotPlainError, load

PLAIN: tuple[Any, ...] = (
    None, True, 0, 255, 65_535, -1, 2**31 - 1, 2**70, -(2**70), 0.5, float("inf"), "", "é" * 300, [], {}, (),
    {"a": [1, (2,), (2, 3), (2, 3, 4), (2, 3, 4, 5)], "b": {"c": None, "d": [False, 1.5]}, 7: ["x", "x"]},
)  # fmt: skip


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("value", PLAIN, ids=lambda value: repr(value)[:20])
def test_plain_values_are_what_pickle_makes_of_them(value: Any, protocol: int) -> None:
    assert load(pickle.dumps(value, protocol)) == value


class Runs:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch /tmp/a-pickle-was-run",)


@pytest.mark.parametrize("value", [Runs(), OrderedDict(a=1), {1, 2}, b"bytes", 1j, os.getcwd, {"a": [Runs()]}, {(1, 2): 3}])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_everything_else_is_refused(value: object, protocol: int) -> None:
    with pytest.raises(NotPlainError):
        load(pickle.dumps(value, protocol))
    assert not os.path.exists("/tmp/a-pickle-was-run")


def test_no_beginning_of_a_pickle_raises_anything_else() -> None:
    whole = pickle.dumps(PLAIN, 2)
    for end in range(len(whole)):
        with pytest.raises(NotPlainError):
            load(whole[:end])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b".",
        b"\x80\x02.",
        b"(" * (MAX_DEPTH + 1),
        b"X\xff\xff\xff\xff",
        b"\x8d" + b"\xff" * 8,
        b"]Na]s.",
        b"h\x07.",
        b"}K\x01u.",
    ],
)
def test_hostile_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(NotPlainError):
        load(data)
