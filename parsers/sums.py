"""Arithmetic with the columns that a reader gets: at once where NumPy is loaded, plain loops elsewhere. Both give the same."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from operator import add
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from numpy.typing import NDArray

SOME: Final = 500
"""Values from which on the detour costs less than it saves."""


def thousandths(values: Sequence[float]) -> array[float]:
    """Milliseconds as seconds."""
    if not _are_many(values):
        return array("d", [value / 1000 for value in values])
    import numpy as np

    return _column(np.frombuffer(values, np.float64) / 1000)  # type: ignore[call-overload]


def sums(some: Sequence[float], others: Sequence[float]) -> array[float]:
    """The sums of the values of two columns of the same length."""
    if not _are_many(some) or not _are_many(others):
        return array("d", map(add, some, others))
    import numpy as np

    return _column(np.frombuffer(some, np.float64) + np.frombuffer(others, np.float64))  # type: ignore[call-overload]


def _are_many(values: Sequence[float]) -> bool:
    return isinstance(values, array) and values.typecode == "d" and len(values) > SOME and "numpy" in sys.modules


def _column(values: NDArray[Any]) -> array[float]:
    made = array("d")
    made.frombytes(values.tobytes())
    return made
