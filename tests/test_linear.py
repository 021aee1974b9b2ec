"""What a diagnosis costs grows with what there is to read and no faster: counted in calls, not in time."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import pytest

from analyzer import diagnose
from benchmarks import logs

MOST = 1.3
"""How much more the second half of a growth may cost than the first."""


def calls(work: Callable[[], object]) -> int:
    """Functions called, ours and those written in C, while `work` runs."""
    count = 0

    def note(_: FrameType, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def text(size: int, density: float) -> bytes:
    return b"".join(logs.pieces(size, density))[:size]


def warnings(lines: int) -> bytes:
    return b"".join(
        b"tokenization mismatch: %d vs. %d. (ignored)\nERROR: [Errno 5] Input/output error %d\n" % (i, i + 1, i)
        for i in range(lines)
    )


def versions(lines: int) -> bytes:
    return b"".join(b"- DeepSpeed version: 0.%d.%d\n" % divmod(i, 1000) for i in range(lines))


WAY = 8_000
"""Calls that a whole log may take more or less as another way is taken (a hint that is found, a series that is long enough)."""


def remarks(lines: int) -> bytes:
    return b"".join(b"# run %d: with overlap_comm false it trains fine\n" % i for i in range(lines))


def tracebacks(number: int) -> bytes:
    raised = 'Traceback (most recent call last):\n  File "train.py", line {0}, in step\n    loss.backward()\nValueError: bad sample {0}\n'
    return "".join(
        raised.format(i) + f"{{'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.{i:04d}}}\n"
        for i in range(number)
    ).encode()


def ranks(folder: Path, number: int) -> list[Path]:
    paths = []
    for rank in range(number):
        path = folder / f"{number}" / "attempt_0" / str(rank) / "stderr.log"
        path.parent.mkdir(parents=True)
        path.write_bytes(text(20_000, 0.2))
        paths.append(path)
    return paths


def growth(tmp_path: Path, make: Callable[[int], bytes], unit: int) -> tuple[int, int]:
    """(calls that the second unit adds, half of what the third and fourth add)."""
    found = []
    for units in (1, 2, 4):
        path = tmp_path / f"{units}.log"
        path.write_bytes(make(units * unit))
        diagnose([path])  # patterns are compiled, forms are learned
        found.append(calls(lambda path=path: diagnose([path])))
    return found[1] - found[0], (found[2] - found[1]) // 2


@pytest.mark.parametrize(
    ("make", "unit"),
    [
        pytest.param(lambda size: text(size, 0.05), 300_000, id="bytes, few metrics"),
        pytest.param(lambda size: text(size, 1.0), 1_000_000, id="bytes, metrics only"),
        pytest.param(warnings, 3000, id="warnings"),
        pytest.param(versions, 2000, id="versions of one package"),
        pytest.param(remarks, 1500, id="remarks"),
        pytest.param(tracebacks, 500, id="tracebacks"),
        pytest.param(lambda size: b"\n" * size, 100_000, id="empty lines"),
    ],
)
def test_the_cost_of_a_log_grows_with_its_length(tmp_path: Path, make: Callable[[int], bytes], unit: int) -> None:
    first, second = growth(tmp_path, make, unit)
    assert second <= MOST * first + WAY


def test_the_cost_grows_with_the_ranks(tmp_path: Path) -> None:
    found = []
    for number in (4, 8, 16):
        paths = ranks(tmp_path, number)
        diagnose(paths)
        found.append(calls(lambda paths=paths: diagnose(paths)))
    assert (found[2] - found[1]) / 2 <= MOST * (found[1] - found[0])


def test_a_plain_line_costs_a_few_calls(tmp_path: Path) -> None:
    """A line that says nothing is not looked at by itself, one with metrics costs a handful of calls per value."""
    one, two = tmp_path / "one.log", tmp_path / "two.log"
    one.write_bytes(text(300_000, 0.05))
    two.write_bytes(text(600_000, 0.05))
    lines = two.read_bytes().count(b"\n") - one.read_bytes().count(b"\n")
    for path in (one, two):
        diagnose([path])
    more = calls(lambda: diagnose([two])) - calls(lambda: diagnose([one]))
    assert more / lines < 40
