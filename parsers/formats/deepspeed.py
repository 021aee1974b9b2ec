"""DeepSpeed's training lines: step report, throughput, skipped steps, loss scale, memory, timers (0.3 – 0.19).

Printed by `deepspeed/runtime/engine.py`, `utils/timer.py`, `runtime/fp16/*.py`, `runtime/zero/*.py`, `runtime/utils.py` and
`runtime/pipe/engine.py` to stdout, behind `[2023-12-08 10:11:12,345] [INFO] [file.py:96:function] `; from 0.17.6 on most of
it is below the default level, and timers and memory are printed without that prefix:

    [Rank 0] step=10, skipped=4, lr=[5e-06, 5e-06], mom=[[0.9, 0.999], [0.9, 0.999]]
    epoch=0/micro_step=8/global_step=8, RunningAvgSamplesPerSec=79.9, CurrSamplesPerSec=82.9, MemAllocated=0.39GB, …
    0/20, SamplesPerSec=123.4                                                                    up to 0.6
    [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768
    [deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, but hysteresis is 2. Reducing hysteresis to 1
    [deepspeed] OVERFLOW! Skipping step. Gradients are non-finite, weights were not updated.     0.19, bf16
    Grad overflow on iteration 7 / Reducing dynamic loss scale from 65536 to 32768.0             stage 0, two more lines
    MA 13.38 GB         Max_MA 13.38 GB         CA 14.0 GB         Max_CA 14 GB
    time (ms) | fwd: 31.10 | bwd: 62.20 | bwd_inner: 55.00 | bwd_allreduce: 7.10 | step: 12.00
    steps: 10 loss: 2.3456 iter time (s): 0.123 samples/sec: 65.041                              pipeline engine

Every skipped step becomes one row with the metric `overflow` (its value: the scale that was attempted), beside it
`loss_scale` where the scale was lowered, or `overflow_hysteresis` where only the hysteresis was.
"""

from __future__ import annotations

import math
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import eq, ge
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line, plain_stamp
from parsers.model import MAX_TEXT, Event, Record, Row, SourceRef
from parsers.plain import NUMBER, STAMP, Part, Plain
from parsers.registry import text_reader
from parsers.said import Rows
from parsers.sums import sums, thousandths
from parsers.values import number

MAX_ENGINES: Final = 64
"""Engines of one program that are told apart: more reports of one step are lines that come again."""
_N = r"[-+]?(?:[\d.]+(?:[eE][-+]?\d+)?|inf|nan)"
_STEP = Lazy(r"(?:\[Rank (?P<rank>\d+)\] )?step=(?P<step>\d+), skipped=(?P<skipped>\d+), lr=\[(?P<lr>[^\[\]]*)\]")
_SPEED = Lazy(
    rf"(?:global_step=(?P<step>\d+)|\b\d+/(?P<local>\d+)), (?:RunningAvgSamplesPerSec=(?P<average>{_N}), )?"
    rf"(?:Curr)?SamplesPerSec=(?P<speed>{_N})(?:, MemAllocated=(?P<memory>{_N})GB, MaxMemAllocated=(?P<peak>{_N})GB)?"
)
_ATTEMPT = Lazy(
    rf"(?:Rank (?P<rank>\d+) )?(?:Skipping step\. )?(?:Attempted loss scale: |^[. ]{{1,16}})(?P<scale>{_N}), "
    rf"(?:reducing to (?P<to>{_N})|but hysteresis is (?P<had>\d+)\. Reducing hysteresis to (?P<left>\d+))"
)
_REDUCED = Lazy(rf"Reducing dynamic loss scale from (?P<scale>{_N}) to (?P<to>{_N})")
_RAISED = Lazy(rf"(?:Increasing dynamic loss scale from|setting loss scale from) (?P<scale>{_N}) (?:to|->) (?P<to>{_N})")
_ITERATION = Lazy(r"(?<!No )Grad overflow on iteration:? (?P<at>\d+)")
_STATIC = Lazy(rf"Using static loss scale of: (?P<scale>{_N})")
_DETECTED = Lazy(r"rank (?P<rank>-?\d+) detected overflow (?P<value>\S+) in tensor (?P<tensor>[\d:]+)")
_PIPELINE = Lazy(
    rf"steps: (?P<step>\d+) loss: (?P<loss>{_N}) (?P<more>(?:\w+: {_N} )*)"
    rf"iter time \(s\): (?P<time>{_N}) samples/sec: (?P<speed>{_N})"
)
_MEMORY = Lazy(rf"MA (?P<ma>{_N}) GB\s+Max_MA (?P<peak>{_N}) GB\s+CA (?P<ca>{_N}) GB")
_HOST = Lazy(rf"CPU Virtual Memory:\s+used = (?P<used>{_N}) GB")
_FLUSHES = Lazy(r"(?P<count>\d+) pytorch allocator cache flushes")
_TIMER = Lazy(rf"\| (?P<name>[\w ]+): (?P<ms>{_N})")

_HEAD = rf"\[({STAMP})\] \[INFO\] \[logging\.py:\d{{1,5}}:log_dist\] \[Rank 0\] "
_TIMED = ("fwd", "bwd", "bwd_inner", "bwd_allreduce", "step", "forward", "backward", "backward_inner", "backward_allreduce",
          "optimizer_allgather", "optimizer_gradients", "optimizer_step")  # fmt: skip
_FLUSH = (
    " pytorch allocator cache flushes since last step. this happens when there is high memory pressure and is detrimental to "
    "performance. if this is happening frequently consider adjusting settings to reduce memory consumption."
)
_LOGGED = "[2023-12-08 10:11:12,345] [INFO] [logging.py:96:log_dist] [Rank 0] "
_OTHERS = frozenset({"notes", "nanogpt", "verl", "generic_text"})
_PLAIN = (
    Plain(
        rf"{_HEAD}step=(\d{{1,15}}), skipped=(\d{{1,15}}), lr=\[({NUMBER})(?:, {NUMBER}){{0,40}}\]"
        r", mom=\[\(?[-\d., ()e]{1,400}\]",
        "plain_step",
        (_LOGGED + "step=10, skipped=4, lr=[5e-06], mom=[0.9]", _LOGGED + "step=10, skipped=4, lr=[5e-06], mom=[(0.9, 0.99)]",
         _LOGGED + "step=10, skipped=4, lr=[5e-06], mom=[(0.9, 0.99), (0.9, 0.99)]"),
        _OTHERS,
        is_columnar=True,
    ),
    Plain(
        rf"{_HEAD}(?:rank=0 )?time \(ms\)((?: \| (?:{'|'.join(_TIMED)}): \d{{1,9}}\.\d{{1,9}}){{1,20}})",
        "plain_timers",
        tuple(f"{_LOGGED}{rank}time (ms) | {' | '.join(f'{name}: 1.0' for name in _TIMED)}" for rank in ("", "rank=0 ")),
        _OTHERS,
        is_columnar=True,
        pairs=r" \| (\w+): (\d+\.\d+)",
    ),
    Plain(
        rf"\[({STAMP})\] \[INFO\] \[utils\.py:\d{{1,5}}:see_memory_usage\] MA (\d{{1,6}}(?:\.\d{{1,6}})?) GB {{1,12}}"
        r"Max_MA (\d{1,6}(?:\.\d{1,6})?) GB {1,12}CA (\d{1,6}(?:\.\d{1,6})?) GB {1,12}Max_CA \d{1,6}(?:\.\d{1,6})? GB",
        "plain_memory",
        ("[2023-12-08 10:11:12,345] [INFO] [utils.py:802:see_memory_usage] MA 1.0 GB Max_MA 1.0 GB CA 1.0 GB Max_CA 1 GB ",),
        is_columnar=True,
    ),
    Plain(
        rf"\[({STAMP})\] \[WARNING\] \[stage3\.py:\d{{1,5}}:step\] (\d{{1,9}}){re.escape(_FLUSH)}",
        "plain_flushes",
        (f"[2023-12-08 10:11:12,345] [WARNING] [stage3.py:1850:step] 1{_FLUSH}",),
        frozenset({"notes"}),
    ),
    Plain(
        rf"\[({STAMP})\] \[INFO\] \[loss_scaler\.py:\d{{1,5}}:update_scale\] \[deepspeed\] OVERFLOW! Rank (\d{{1,6}}) "
        r"Skipping step\. Attempted loss scale: (\d{1,15}(?:\.\d{1,3})?), reducing to (\d{1,15}(?:\.\d{1,3})?)",
        "plain_attempt",
        ("[2023-12-08 10:11:12,345] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. "
         "Attempted loss scale: 65536, reducing to 32768",),
        _OTHERS,
    ),
    Plain(
        rf"\[({STAMP})\] \[INFO\] \[timer\.py:\d{{1,5}}:stop\] epoch=\d{{1,9}}/micro_step=\d{{1,12}}/global_step=(\d{{1,12}}), "
        rf"RunningAvgSamplesPerSec=({NUMBER}), CurrSamplesPerSec=({NUMBER}), MemAllocated=({NUMBER})GB, "
        rf"MaxMemAllocated=({NUMBER})GB",
        "plain_speed",
        ("[2023-12-08 10:11:12,345] [INFO] [timer.py:260:stop] epoch=0/micro_step=10/global_step=10, "
         "RunningAvgSamplesPerSec=1.0, CurrSamplesPerSec=1.0, MemAllocated=1.0GB, MaxMemAllocated=1.0GB",),
        _OTHERS,
        is_columnar=True,
    ),
)  # fmt: skip


@text_reader(
    "deepspeed",
    title="DeepSpeed engine (0.3–0.19): steps, throughput, loss scale, memory",
    hints=(
        ", skipped=", "SamplesPerSec=", "OVERFLOW", "Attempted loss scale", ", reducing to ", "Grad overflow on iteration",
        "dynamic loss scale from", "static loss scale of", "setting loss scale from", "loss scale already at minimum",
        "detected overflow", "iter time (s):", "Max_MA", "CPU Virtual Memory", "allocator cache flushes", "time (ms) |",
    ),
    example="[2023-12-08 10:11:12,345] [INFO] [logging.py:96:log_dist] [Rank 0] step=10, skipped=4, lr=[5e-06], mom=[0.9]",
    is_by_rank=True,
    plain=_PLAIN,
)  # fmt: skip
class DeepSpeed:
    """Reads the engine's lines; remembers what belongs to one skip and which of several engines reports."""

    hungry = False
    file = ""
    file_rank: int | None = None

    def __init__(self) -> None:
        self._iteration = -1
        self._reduced: tuple[int, str, str] | None = None
        self._raised = ""
        self._reports: list[int] = []
        self._offset = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows and events of one line."""
        text = line.text
        if ", skipped=" in text:
            yield from self._steps(line)
        if "SamplesPerSec=" in text:
            yield from self._speed(line)
        if "verflow" in text or "OVERFLOW" in text or "scale" in text or ", reducing to " in text:
            yield from self._scaling(line)
        elif "iter time (s):" in text:
            yield from _pipeline(line)
        elif "time (ms) |" in text:
            yield from _timers(line)
        elif "GB" in text:
            yield from _memory(line)
        elif "allocator cache flushes" in text:
            found = _FLUSHES.search(text)
            if found:
                yield Event(kinds.CACHE_FLUSH, line.ref, None, line.rank, line.time, {"count": int(found["count"])})

    def plain_step(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a step report."""
        stamp, at, skipped, lr = found.groups()
        step = int(at)
        if not step:
            return ()
        values = ("skipped", float(skipped)), ("lr", float(lr))
        return (Row(number, values, step, "train", self.file_rank, plain_stamp(stamp), self._engine(step)),)

    def plain_timers(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a step's timers; those of a micro step and of the optimizer say nothing."""
        stamp, text = found.groups()
        if b"ward: " not in text and b"wd: " not in text:
            return ()
        pairs = (part.partition(b": ") for part in text[3:].split(b" | "))
        return _timer_row(number, self.file_rank, plain_stamp(stamp), {name.decode(): float(ms) / 1000 for name, _, ms in pairs})

    def plain_memory(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a memory report."""
        stamp, used, peak, reserved = found.groups()
        values = ("memory_gpu", float(used)), ("memory_gpu_max", float(peak)), ("memory_reserved", float(reserved))
        return (Row(number, values, None, "train", self.file_rank, plain_stamp(stamp)),)

    def plain_flushes(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The event of an allocator's flushes."""
        ref = SourceRef(self.file, number, found[0].decode().strip()[:MAX_TEXT], self.file_rank)
        return (Event(kinds.CACHE_FLUSH, ref, None, self.file_rank, plain_stamp(found[1]), {"count": int(found[2])}),)

    def plain_attempt(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a skipped step, where the optimizer has not told it yet."""
        stamp, rank, scale, to = found.groups()
        if self._reduced and self._reduced[1:] == (scale.decode(), to.decode()):
            return ()
        self._raised = ""
        values = ("overflow", float(scale)), ("loss_scale", float(to))
        return (Row(number, values, None, "train", int(rank) or None, plain_stamp(stamp)),)

    def plain_speed(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of a throughput report."""
        stamp, at, average, speed, memory, peak = found.groups()
        step = int(at)
        if self._reports and self._reports[-1] >= step:
            self._offset = self._reports[-1] - step
        values = (
            ("throughput_samples", float(speed)), ("throughput_average", float(average)), ("memory_gpu", float(memory)),
            ("memory_gpu_max", float(peak)),
        )  # fmt: skip
        return (Row(number, values, step + self._offset, "train", self.file_rank, plain_stamp(stamp)),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many reports; those of steps that are reported twice (by two engines) are read one by one."""
        steps = [part for part in parts if part.method == "plain_step"]
        places, reports = _in_order([(part.at, part.cells.ints(2)) for part in steps])
        before = self._reports[-1:]
        if 0 in reports or (before and reports[:1] == array("q", before)) or any(map(eq, reports, reports[1:])):
            return None
        found = [self._step_rows(part) for part in steps]
        found += [_memory_rows(part, self.file_rank) for part in parts if part.method == "plain_memory"]
        for part in parts:
            if part.method == "plain_timers" and (names := dict(part.cells.pairs)).keys() & {"fwd", "forward"}:
                rows = _timer_rows(part, names, self.file_rank)
                if rows is None:
                    return None
                found += rows
        speeds = [_speed_rows(part, self.file_rank) for part in parts if part.method == "plain_speed"]
        found += self._shifted(speeds, places, reports)
        self._reports = [reports[-1]] if reports else self._reports
        return found

    def _step_rows(self, part: Part) -> Rows:
        _, at, lines, cells = part
        columns = cells.floats(3), cells.floats(4)
        return Rows(at, lines, ("skipped", "lr"), columns, cells.ints(2), cells.times(1), self.file_rank)

    def _shifted(self, speeds: Sequence[Rows], places: Sequence[int], reports: array[int]) -> Iterator[Rows]:
        """Throughputs with the steps of the reports before them, as `plain_speed` counts them.

        `places`, `reports`: where steps were reported, in order, and which.
        """
        last = array("q", self._reports[-1:] or (-1,)) + reports
        before = [[last[k] for k in map(partial(bisect_left, places), rows.at)] for rows in speeds]
        if not any(any(map(ge, own, rows.steps or ())) for own, rows in zip(before, speeds, strict=True)):
            yield from (_later(rows, self._offset) for rows in speeds)
            return
        shown = sorted(
            (at, step, report, which)
            for which, (rows, own) in enumerate(zip(speeds, before, strict=True))
            for at, step, report in zip(rows.at, rows.steps or (), own, strict=True)
        )
        steps: list[list[int]] = [[] for _ in speeds]
        for _, step, report, which in shown:
            if report >= step:
                self._offset = report - step
            steps[which].append(step + self._offset)
        yield from (rows._replace(steps=own) for rows, own in zip(speeds, steps, strict=True))

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _steps(self, line: Line) -> Iterator[Record]:
        for found in _STEP.finditer(line.text):
            step, lr = int(found["step"]), number(found["lr"].split(",", 1)[0])
            values = (("skipped", float(found["skipped"])), *((("lr", lr),) if lr is not None else ()))
            if step:  # the report before the first step says nothing of training
                engine = self._engine(step)
                self._iteration = max(self._iteration, -1)
                yield Row(line.no, values, step, "train", line.rank, line.time, engine)

    def _engine(self, step: int) -> str:
        """Two engines in one program (actor and critic) report the same step one after the other."""
        if self._reports and self._reports[-1] == step:
            self._reports += [step] * (len(self._reports) < MAX_ENGINES)
        else:
            self._reports = [step]
        return "" if len(self._reports) == 1 else str(len(self._reports))

    def _speed(self, line: Line) -> Iterator[Record]:
        for found in _SPEED.finditer(line.text):
            step = int(found["step"] or found["local"])
            if found["step"] and self._reports and self._reports[-1] >= step:
                self._offset = self._reports[-1] - step  # it counts from the start of the process, the report does not
            names = (
                ("throughput_samples", "speed"),
                ("throughput_average", "average"),
                ("memory_gpu", "memory"),
                ("memory_gpu_max", "peak"),
            )
            values = tuple((name, value) for name, key in names if found[key] and (value := number(found[key])) is not None)
            if values:
                yield Row(line.no, values, step + self._offset if found["step"] else None, "train", line.rank, line.time)

    def _scaling(self, line: Line) -> Iterator[Record]:
        text = line.text
        found = _ITERATION.search(text)
        if found:
            self._iteration = int(found["at"])
        elif "loss scale already at minimum" in text:
            yield Event(kinds.SCALE_MINIMUM, line.ref, None, line.rank, line.time)
        elif found := _REDUCED.search(text):
            key = (self._iteration, found["scale"], found["to"])
            if key != self._reduced:
                self._reduced = key
                yield self._skip(line, found["scale"], to=found["to"])
        elif found := _RAISED.search(text):
            if found[0] != self._raised:
                self._raised = found[0]
                yield Row(line.no, (("loss_scale", _float(found["to"])),), None, "train", line.rank, line.time)
        elif found := _STATIC.search(text):
            key = (self._iteration, found["scale"], "")
            if key != self._reduced:
                self._reduced = key
                yield self._skip(line, found["scale"])
        elif found := _DETECTED.search(text):
            data = {"value": found["value"], "tensor": found["tensor"]}
            yield Event(kinds.OVERFLOW, line.ref, None, int(found["rank"]), line.time, data)
        else:
            yield from self._attempts(line)

    def _attempts(self, line: Line) -> Iterator[Record]:
        text, is_any = line.text, False
        for found in _ATTEMPT.finditer(text):
            is_any = True
            if not self._reduced or self._reduced[1:] != (found["scale"], found["to"] or "-"):
                rank = int(found["rank"]) if found["rank"] else line.rank
                yield _skipped(line, found["scale"], found["to"], found["left"], rank or None)
                self._raised = ""
        if not is_any and (("OVERFLOW! " in text and "Skipping step" in text) or text.strip(" !") == "OVERFLOW"):
            yield _skipped(line, "nan", None, None, line.rank)

    def _skip(self, line: Line, scale: str, to: str | None = None) -> Row:
        row = _skipped(line, scale, to, None, line.rank)
        self._raised = ""
        return row._replace(step=self._iteration + 1) if self._iteration >= 0 else row


def _later(rows: Rows, offset: int) -> Rows:
    return rows._replace(steps=array("q", [step + offset for step in rows.steps or ()])) if offset else rows


def _in_order(parts: Sequence[tuple[Sequence[int], array[int]]]) -> tuple[Sequence[int], array[int]]:
    """(places, steps) of reports in several parts, in the order of their places."""
    if len(parts) == 1:
        return parts[0]
    both = sorted(pair for at, steps in parts for pair in zip(at, steps, strict=True))
    return array("q", [at for at, _ in both]), array("q", [step for _, step in both])


def _memory_rows(part: Part, rank: int | None) -> Rows:
    _, at, lines, cells = part
    names = ("memory_gpu", "memory_gpu_max", "memory_reserved")
    return Rows(at, lines, names, tuple(cells.floats(group) for group in (2, 3, 4)), None, cells.times(1), rank)


def _speed_rows(part: Part, rank: int | None) -> Rows:
    _, at, lines, cells = part
    names = ("throughput_samples", "throughput_average", "memory_gpu", "memory_gpu_max")
    return Rows(at, lines, names, tuple(cells.floats(group) for group in (4, 3, 5, 6)), cells.ints(2), cells.times(1), rank)


def _timer_rows(part: Part, names: Mapping[str, Sequence[float]], rank: int | None) -> Sequence[Rows] | None:
    """The whole step's timers in seconds; None where some took no time at all."""
    forward, backward, step = names.get("fwd", names.get("forward")), names.get("bwd", names.get("backward")), names.get("step")
    if forward is None or backward is None:
        return ()
    none = array("d", bytes(8 * len(part.at)))
    parts = [thousandths(values if values else none) for values in (forward, backward, step)]
    both = sums(*parts[:2])
    if not all(both):
        return None
    shown = ("step_time", "timer_forward", "timer_backward", "timer_step")
    return [Rows(part.at, part.lines, shown, (sums(both, parts[2]), *parts), None, part.cells.times(1), rank)]


def _float(text: str | None) -> float:
    value = number(text) if text else None
    return math.nan if value is None else value


def _skipped(line: Line, scale: str, to: str | None, left: str | None, rank: int | None) -> Row:
    values: tuple[tuple[str, float], ...] = (("overflow", _float(scale)),)
    if to:
        values = (*values, ("loss_scale", _float(to)))
    elif left:
        values = (("overflow", _float(scale)), ("overflow_hysteresis", float(left)))
    return Row(line.no, values, None, "train", rank, line.time)


def _pipeline(line: Line) -> Iterator[Record]:
    found = _PIPELINE.search(line.text)
    if found:
        named = (("loss", found["loss"]), ("step_time", found["time"]), ("throughput_samples", found["speed"]))
        yield Row(line.no, tuple((n, _float(v)) for n, v in named), int(found["step"]), "train", line.rank, line.time)


def _timers(line: Line) -> Iterator[Record]:
    """The whole step's timers (not those of a micro step) in seconds."""
    found = {item["name"].strip(): _float(item["ms"]) / 1000 for item in _TIMER.finditer(line.text)}
    yield from _timer_row(line.no, line.rank, line.time, found)


def _timer_row(number: int, rank: int | None, time: float | None, found: Mapping[str, float]) -> Iterator[Record]:
    forward, backward = found.get("fwd", found.get("forward")), found.get("bwd", found.get("backward"))
    if forward is None or backward is None or not forward + backward > 0:
        return
    step = found.get("step", 0.0)
    parts = (("timer_forward", forward), ("timer_backward", backward), ("timer_step", step))
    yield Row(number, (("step_time", forward + backward + step), *parts), None, "train", rank, time)


def _memory(line: Line) -> Iterator[Record]:
    found = _MEMORY.search(line.text)
    if found:
        values = (
            ("memory_gpu", _float(found["ma"])),
            ("memory_gpu_max", _float(found["peak"])),
            ("memory_reserved", _float(found["ca"])),
        )
        yield Row(line.no, values, None, "train", line.rank, line.time)
    elif found := _HOST.search(line.text):
        yield Row(line.no, (("memory_host", _float(found["used"])),), None, "train", line.rank, line.time)
