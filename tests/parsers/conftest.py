"""Both ways of reading: with the extension, and without it (`engine`)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from parsers.native import extension
from tests.parsers.engines import ENGINES, NOT_BUILT, used


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of the way in which everything is read while a module's tests run."""
    if request.param == "native" and extension() is None:
        pytest.skip(NOT_BUILT)
    with used(request.param):
        yield request.param
