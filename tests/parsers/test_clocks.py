"""Several kinds of stamps in one log: one order where the log allows it, none where it does not."""

from __future__ import annotations

import pytest

from analyzer.clock import Clocks
from parsers import Run, kinds
from tests.parsers.logs import run_of

AGENT = (
    "E0624 12:00:05.123000 140 torch/distributed/elastic/multiprocessing/api.py:869] failed (exitcode: 1) local_rank: 0 "
    "(pid: 200) of binary: /usr/bin/python\n"
)
WATCHDOG = (
    "[rank0]:[E624 12:00:04.000000000 ProcessGroupNCCL.cpp:616] [Rank 0] Watchdog caught collective operation timeout: "
    "WorkNCCL(SeqNum=81, OpType=ALLREDUCE, NumelIn=65536, NumelOut=65536, Timeout(ms)=15000) ran for 15022 milliseconds "
    "before timing out.\n"
)
ZONED = "".join(
    f"2024-06-24T14:00:03.000+02:00 [rank1]: {line}\n"
    for line in ("Traceback (most recent call last):", '  File "t.py", line 3, in <module>', "ValueError: bad")
)
ENGINE = "[2024-06-24 12:00:01,500] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=0, lr=[1e-05], mom=[(0.9, 0.999)]\n"
BARE = 'Traceback (most recent call last):\n  File "t.py", line 3, in <module>\nValueError: bad\n'


def order(run: Run) -> list[str]:
    """Kinds of the events that have a time, in its order."""
    clocks = Clocks(run)
    timed = [(time, event.kind) for event in run.events if (time := clocks.time(event)) is not None]
    return [kind for _, kind in sorted(timed)]


@pytest.mark.parametrize("parts", [(AGENT, ENGINE, ZONED, WATCHDOG), (WATCHDOG, ZONED, AGENT, ENGINE)])
def test_stamps_of_four_kinds_have_one_order(parts: tuple[str, ...]) -> None:
    assert order(run_of("".join(parts))) == [kinds.TRACEBACK, kinds.COLLECTIVE_TIMEOUT, kinds.CHILD_FAILED]


def test_without_a_year_anywhere_there_is_no_time() -> None:
    assert order(run_of(AGENT + WATCHDOG + BARE)) == []


def test_what_has_no_stamp_has_no_time() -> None:
    assert order(run_of(ENGINE + AGENT + BARE)) == [kinds.CHILD_FAILED]


def test_the_container_s_clock_puts_the_program_s_right() -> None:
    shipped = "".join(f"2024-06-24T10:00:04.100Z stdout F {line}\n" for line in (WATCHDOG + AGENT).splitlines())
    run = run_of(shipped)
    clocks = Clocks(run)
    times = [clocks.time(event) for event in run.events]
    assert all(time is not None and abs(time - 1719223204) < 2 for time in times)
