"""The compiled extension (`_lines.c`), where there is one.

Everything works without it: it is left out where it could not be built (no compiler) and where `NANALYZE_PURE` is set.
"""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import Final, Protocol, cast

INTERFACE: Final = 1
"""Of the extension that these sources go with: one that was built before a clone was updated is left alone."""
Gathered = tuple[int, bytes, bytes, bytes, bytes, "tuple[bytes, ...] | None", bool]
"""(group, places, starts, stops, numbers of lines, columns, whether nothing watched for is held): see `gather`."""


class Sorter(Protocol):
    """Sorts the lines of blocks by their skeletons; for one thread at a time."""

    def sort(self, data: bytes, is_crlf: bool, /) -> tuple[int, int, int, bytes]:
        """(fragments, line feeds, first fresh kind, fresh skeletons with a line feed each) of a block."""

    def line(self, kind: int, /) -> bytes:
        """The first line of a fresh kind."""

    def tell(
        self, kind: int, group: int, stretches: bytes = b"", fields: bytes = b"", watches: bytes = b"", texts: bytes = b"", /
    ) -> None:
        """Says which group a kind's lines belong to, and their form (`forms.Form`). Raises ValueError for what is none."""

    def gather(self, first: int, wanted: bytes, /) -> list[Gathered]:
        """The lines of the sorted block whose groups are wanted (a byte each). `first`: the number of its first line."""

    def forget(self) -> None:
        """Forgets all kinds."""

    def size(self) -> tuple[int, int]:
        """(kinds, bytes of their skeletons)."""


class Native(Protocol):
    """What the extension offers."""

    def Sorter(self, seed: int, key: int, /) -> Sorter:  # noqa: N802
        """A sorter; `seed` and `key` are secret."""

    def numbered(self, size: int, first: int, places: list[bytes], /) -> bytes:
        """The number of each fragment's row and the one that follows (64 bits); `places`: of the rows (32 bits)."""

    def picked(self, items: bytes, places: bytes, /) -> bytes:
        """The items (64 bits) at these places (32 bits)."""


@cache
def extension() -> Native | None:
    """The module, or None."""
    if os.environ.get("NANALYZE_PURE"):
        return None
    try:
        module = import_module("parsers._lines")
    except ImportError:
        return None
    return cast("Native", module) if getattr(module, "INTERFACE", 0) == INTERFACE else None
