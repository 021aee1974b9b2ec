"""Reads with the extension or without it, whatever is built here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from parsers.registry import Router

ENGINES = ("native", "pure")
NOT_BUILT = "the extension parsers/_lines.c is not built here: CONTRIBUTING.md says how"


@contextmanager
def used(engine: str) -> Iterator[None]:
    """Everything inside is read so. A data descriptor goes before what routers remember, in other processes too."""
    with pytest.MonkeyPatch.context() as patch:
        if engine == "pure":
            patch.setattr(Router, "sorter", property(lambda _: None))
            patch.setattr("parsers.said.extension", lambda: None)
        yield
