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
from collections.abc import Iterable, Iterator

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Row
from parsers.registry import text_reader
from parsers.values import number

_N = r"[-+]?(?:[\d.]+(?:[eE][-+]?\d+)?|inf|nan)"
_STEP = Lazy(r"(?:\[Rank (?P<rank>\d+)\] )?step=(?P<step>\d+), skipped=(?P<skipped>\d+), lr=\[(?P<lr>[^\[\]]*)\]")
_SPEED = Lazy(
    rf"(?:global_step=(?P<step>\d+)|\b\d+/(?P<local>\d+)), (?:RunningAvgSamplesPerSec=(?P<average>{_N}), )?"
    rf"(?:Curr)?SamplesPerSec=(?P<speed>{_N})(?:, MemAllocated=(?P<memory>{_N})GB, MaxMemAllocated=(?P<peak>{_N})GB)?"
)
_ATTEMPT = Lazy(
    rf"(?:Rank (?P<rank>\d+) )?(?:Skipping step\. )?(?:Attempted loss scale: |^[. ]+)(?P<scale>{_N}), "
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
)  # fmt: skip
class DeepSpeed:
    """Reads the engine's lines; remembers what belongs to one skip and which of several engines reports."""

    hungry = False

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
            self._reports.append(step)
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
    forward, backward = found.get("fwd", found.get("forward")), found.get("bwd", found.get("backward"))
    if forward is None or backward is None or not forward + backward > 0:
        return
    parts = (("timer_forward", forward), ("timer_backward", backward), ("timer_step", found.get("step", 0.0)))
    yield Row(line.no, (("step_time", sum(value for _, value in parts)), *parts), None, "train", line.rank, line.time)


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
