"""The bytes of a log may arrive in any pieces, with any line ends: the run is the same. Watching a file rests on it."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from parsers.model import Event, Record, Row, Tick
from tests.parsers.logs import records, run_of

pytestmark = pytest.mark.usefixtures("engine")
LINES = (
    "{'loss': 4.163, 'grad_norm': 0.7598933577537537, 'learning_rate': 0.0005, 'epoch': 0.17}",
    "{'loss': '0', 'grad_norm': 'nan', 'learning_rate': '1e-05', 'epoch': '0.5'}",
    "{'eval_loss': 2.5, 'eval_runtime': 1.0, 'epoch': 0.5}",
    "  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]",
    " 12%|█▏        | 30/250 [01:29<11:40,  2.92s/it]        {'loss': 1.5, 'epoch': 0.1}{'loss': 1.4, 'epoch': 0.2}",
    "[2023-12-08 10:10:49,003] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=2, lr=[5e-06], mom=[(0.9, 0.999)]",
    "[rank0]: [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768",
    "\x1b[93m[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, but hysteresis is 2. Reducing hysteresis to 1\x1b[0m",
    "[2023-12-08 10:10:22,001] [INFO] [config.py:970:print_user_config]   json = {",
    '    "zero_optimization": {',
    '        "stage": 2',
    "    }",
    "}",
    "TrainingArguments(",
    "bf16=True,",
    ")",
    "deepspeed train.py \\",
    "    --bf16 True",
    "WARNING: tokenization mismatch: 1 vs. 62. (ignored)",
    "Traceback (most recent call last):",
    '  File "/x/train.py", line 3, in <module>',
    "RuntimeError: CUDA out of memory. Tried to allocate 1.95 GiB",
    "",
    "naïve ünïcode ▍ and no metric",
)
TEXTS = st.lists(st.sampled_from(LINES), max_size=25)
CUTS = st.lists(st.integers(0, 4000), max_size=12)


def cut(data: bytes, at: list[int]) -> tuple[int, ...]:
    return tuple(sorted({place % (len(data) + 1) for place in at}))


@given(TEXTS, CUTS, st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
@settings(max_examples=150, deadline=None)
@example([LINES[0], LINES[3], LINES[1]], [1, 2, 3], "\r\n", True)
def test_any_chunks_give_the_same_records(lines: list[str], places: list[int], end: str, has_end: bool) -> None:
    data = (end.join(lines) + (end if has_end else "")).encode()
    assert repr(records(data, cut(data, places))) == repr(records(data))


@given(TEXTS)
@settings(max_examples=60, deadline=None)
def test_every_line_end_gives_the_same_run(lines: list[str]) -> None:
    plain, dos = ((end.join(lines) + end).encode() for end in ("\n", "\r\n"))
    assert repr(records(plain)) == repr(records(dos))
    mac = [(name, _without_line(record)) for name, record in records(("\r".join(lines) + "\r").encode())]
    assert repr(mac) == repr([(name, _without_line(record)) for name, record in records(plain)])


@given(TEXTS, CUTS)
@settings(max_examples=40, deadline=None)
def test_any_chunks_give_the_same_run(lines: list[str], places: list[int]) -> None:
    data = "\n".join(lines).encode()
    assert repr(run_of(data, cut(data, places)).tracks) == repr(run_of(data).tracks)


@given(st.binary(max_size=400), CUTS)
@settings(max_examples=150, deadline=None)
def test_no_bytes_raise(data: bytes, places: list[int]) -> None:
    run_of(data, cut(data, places))


def _without_line(record: Record) -> object:
    """The record as if it stood on line 0: lines are counted by line feeds, and a log of bare CR has only one."""
    if isinstance(record, Row | Tick):
        return record._replace(line=0)
    if isinstance(record, Event):  # its data may hold lines too
        return record.kind, record.ref.text
    return dataclasses.replace(record, ref=dataclasses.replace(record.ref, line=0))
