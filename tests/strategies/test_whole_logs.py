"""Whatever a log says: it is read strictly, judged, drawn harmlessly, and every cutting of it gives the same records."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings

from tests.fuzz import targets
from tests.strategies.logs import logs

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


@SETTINGS
@given(logs())
def test_any_log_is_judged_and_drawn(data: bytes) -> None:
    targets.run(data)


@SETTINGS
@given(logs())
def test_blocks_of_any_size_give_the_same_records(data: bytes) -> None:
    whole, pieces = targets._records(data, 2**21), targets._records(data, 7 + len(data) // 5)
    assert whole == pieces
