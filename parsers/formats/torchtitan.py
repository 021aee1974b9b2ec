"""torchtitan: one coloured line a logging step, two blanks between its fields.

Printed by `torchtitan/components/metrics.py` to stdout, behind `[titan] YYYY-MM-DD HH:MM:SS,mmm - root - INFO - `
(0.1.0 on; before that without `[titan]`) and torchrun's `[rank0]:`:

    step: 10  loss:  8.1234  memory: 10.12GiB(12.80%)  wps: 7,531  mfu: 58.21%                              2024
    step: 10  loss:  8.1234  memory: 10.12GiB(12.80%)  tps: 7,531  tflops: 312.40  mfu: 31.59%              0.1.0
    step: 10  loss:  8.12340  grad_norm:  1.2345  memory: 10.12GiB(12.80%)  tps: 7,531  tflops: 312.40  mfu: N/A   0.2.0 on
    validate step: 10  loss:  7.1234  memory: 10.12GiB(12.80%)  tps: 7,531

tps (wps) are tokens per second and device, memory is the most that was reserved since the line before, grad_norm is
taken before clipping.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line, plain_stamp, stamp
from parsers.model import Event, Fact, Record, Row
from parsers.pairs import numbers
from parsers.plain import NUMBER, STAMP, Part, Plain
from parsers.registry import text_reader
from parsers.said import Rows

_STEP = Lazy(r"(?P<val>validate )?step: *(?P<step>\d{1,15}) (?P<rest>.*)")
_ITEM = Lazy(r"(?P<name>[A-Za-z][\w()/%]{0,40}): {0,12}(?P<value>[^\s(%]{1,40})")
_STAMP = Lazy(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}")
_PLAN = Lazy(r"total steps (\d{1,15})")
_START = Lazy(r"Training starts at step (\d{1,15})")
_UNITS: Final = {"memory": ("memory_gpu", 1.0)}

_COLOUR: Final = r"(?:\x1b\[[\d;]{1,20}m)?"
_SHOWN: Final = (
    "step: 10",
    "loss:  8.1",
    "grad_norm:  1.2",
    "memory: 10.12GiB(12.80%)",
    "tps: 7,531",
    "tflops: 312.40",
    "mfu: 31.59%",
)
_HEAD: Final = "2025-11-02 10:00:00,123 - root - INFO - "
_PLAIN = Plain(
    rf"(?:\[rank(\d{{1,6}})\]: ?)?(?:\[titan\] )?({STAMP}) - root - INFO - {_COLOUR}step: {{0,8}}(\d{{1,15}}) {{1,4}}"
    rf"{_COLOUR}loss: {{0,8}}({NUMBER}) {{1,4}}(?:{_COLOUR}grad_norm: {{0,8}}({NUMBER}) {{1,4}})?"
    rf"{_COLOUR}memory: {{0,8}}({NUMBER})GiB\({NUMBER}%\) {{1,4}}{_COLOUR}(tps|wps): {{0,8}}(\d{{1,3}}(?:,\d{{3}}){{0,4}})"
    rf"(?: {{1,4}}{_COLOUR}tflops: {{0,8}}({NUMBER}))?(?: {{1,4}}{_COLOUR}mfu: {{0,8}}({NUMBER})%)?{_COLOUR}",
    "plain_step",
    tuple(
        head + _HEAD + colour + ("  " + colour).join(_SHOWN).replace("tps", speed)
        for head in ("", "[rank0]:", "[rank0]: ", "[titan] ", "[rank0]:[titan] ", "[rank0]: [titan] ")
        for colour in ("", "\x1b[31m")
        for speed in ("tps", "wps")
    ),
    frozenset({"nanogpt", "verl", "notes"}),
    is_columnar=True,
)


@text_reader(
    "torchtitan",
    title="torchtitan",
    hints=("tps: ", "wps: ", "Training starts at step", "Training completed", "Trainer is initialized with "),
    example="[titan] 2025-11-02 10:00:00,123 - root - INFO - step: 10  loss:  8.12340  grad_norm:  1.2345  "
    "memory: 10.12GiB(12.80%)  tps: 7,531  tflops: 312.40  mfu: 31.59%",
    plain=(_PLAIN,),
)
class Torchtitan:
    """Reads step lines, the start and the end."""

    hungry = False
    file_rank: int | None = None

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, the plan, or a mark."""
        text = line.text
        found = _STEP.search(text)
        if found and "loss:" in text and ("ps: " in text):
            items = ((item["name"], item["value"].removesuffix("GiB")) for item in _ITEM.finditer(found["rest"]))
            values = numbers(items, _UNITS)
            yield Row(line.no, values, int(found["step"]), "eval" if found["val"] else "train", line.rank, _time(line))
        elif "Training completed" in text and "root - INFO" in text:
            yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=_time(line))
        else:
            yield from _marks(line)

    def plain_step(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a step line."""
        rank, time, step, loss, norm, memory, name, speed, flops, share = found.groups()
        shown = (
            ("loss", loss), ("grad_norm", norm), ("memory_gpu", memory), (name.decode(), speed.replace(b",", b"")),
            ("tflops", flops), ("mfu", share),
        )  # fmt: skip
        values = tuple([(key, float(text)) for key, text in shown if text is not None])
        return (Row(number, values, int(step), "train", int(rank) if rank else self.file_rank, plain_stamp(time)),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many step lines; lines of several ranks are read one by one."""
        found = []
        for _, at, lines, cells in parts:
            ranks = set(cells.ints(1)) if cells.has(1) else set()
            if len(ranks) > 1:
                return None
            named = (
                ("loss", 4),
                ("grad_norm", 5),
                ("memory_gpu", 6),
                (cells.constant(7).decode(), 8),
                ("tflops", 9),
                ("mfu", 10),
            )
            names = tuple(name for name, group in named if cells.has(group))
            columns = tuple(cells.floats(group) for _, group in named if cells.has(group))
            rank = ranks.pop() if ranks else self.file_rank
            found.append(Rows(at, lines, names, columns, cells.ints(3), cells.times(2), rank))
        return found

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _marks(line: Line) -> Iterator[Record]:
    if "Trainer is initialized" in line.text and (plan := _PLAN.search(line.text)):
        yield Fact("run:planned_steps", int(plan[1]), line.ref)
    if start := _START.search(line.text):
        yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=_time(line), data={"framework": "torchtitan"})
        if int(start[1]) > 1:
            yield Event(kinds.RESUME, line.ref, int(start[1]) - 1, line.rank, _time(line), {"step": int(start[1]) - 1})


def _time(line: Line) -> float | None:
    found = _STAMP.search(line.text[:120])
    return line.time or (stamp(found[0]) if found else None)
