"""Megatron-LM and Megatron-DeepSpeed: iteration lines, validation, argument dump, checkpoints, clock marks.

Printed by `megatron/training/training.py` (`training_log`; up to core 0.5 `megatron/training.py`), by the last rank:

     iteration       10/ 1716613 | consumed samples: 2560 | elapsed time per iteration (ms): 849.6 | learning rate: 5.308E-07 | …
     [2024-05-01 12:00:00] iteration 1000/ 500000 | … | lm loss: 3.141593E+00 | loss scale: 1.0 | grad norm: 0.512 | number of
        skipped iterations:   0 | number of nan iterations:   0 |                                    core 0.6 on: with a stamp
     validation loss at iteration 1000 | lm loss value: 3.100000E+00 | lm loss PPL: 2.219795E+01 |
    [before the start of training step] datetime: 2024-05-01 12:00:00

Skipped and nan iterations are counted within the interval of their line and reset: as `skipped_steps` and `nan_steps`
they are added up from the start of the program, as DeepSpeed counts them, so that the metric means one thing. The loss
is a mean over the iterations that were not skipped: where all were, the field is absent. Milliseconds become seconds,
and MiB of `memory (MB)` GiB. An item that is not closed by `|` was torn by another rank's line and is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from operator import le
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line, plain_stamp, stamp
from parsers.model import MAX_TEXT, Event, Fact, Record, Row, SourceRef
from parsers.pairs import Numbers, numbers, split
from parsers.plain import Part, Plain
from parsers.registry import text_reader
from parsers.said import Rows
from parsers.values import scalar

_ITERATION = Lazy(r"iteration +(?P<step>\d{1,15})(?:/ *(?P<total>\d{1,15}))? \|")
_VALIDATION = Lazy(r"validation loss at (?P<at>[^|]{1,120})\|(?P<rest>.*)")
_AT_STEP = Lazy(r"iteration (\d{1,15})")
_MEMORY = Lazy(r"\[Rank (?P<rank>\d{1,9})\] \(after (?P<step>\d{1,15}) iterations\) +memory \(MB\) \|(?P<rest>[^\[]*)")
_CLOCK = Lazy(r"\[(?P<what>[a-z][^\]\[]{3,80})\] datetime: (?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)")
_TRAINING = Lazy(r"(?:^|: |\d)\s*training \.\.\.$")
_ARGUMENT = Lazy(r"(?:^|: | )  ?(?P<name>[a-z]\w*) \.{2,} ?(?P<value>.*)$")
_SAVED = Lazy(r"(?P<how>saving|successfully saved) checkpoint (?:at|from) iteration +(?P<step>\d+) to (?P<path>\S+)")
_LOADED = Lazy(r"successfully loaded checkpoint from (?P<path>\S+)(?: \[[^\]]*\])? at iteration (?P<step>\d+)")
_WORLD = Lazy(r"using world size: (\d{1,9})\b")
_NAN = Lazy(r"found (?:NaN|Inf)[ \w]{0,60}? in (?:local )?[^.]{0,120}")

_UNITS: Final = {
    "elapsed time per iteration (ms)": ("step_time", 1e-3),
    "number of skipped iterations": ("skipped_steps", 1.0),
    "number of nan iterations": ("nan_steps", 1.0),
}
_COUNTERS: Final = ("skipped_steps", "nan_steps")
_DUMP_LINES: Final = 3000
"""An argument dump is 200 to 900 lines, times the ranks that share the file; longer, its end was lost."""

_NAMES: Final = (
    "consumed samples", "consumed tokens", "elapsed time per iteration (ms)", "throughput per GPU (TFLOP/s/GPU)",
    "learning rate", "decoupled learning rate", "global batch size", "batch size", "lm loss", "load_balancing_loss",
    "mtp_1 loss", "z_loss", "sop loss", "loss scale", "grad norm", "num zeros", "params norm", "actual seqlen",
    "samples per second", "TFLOPs", "curriculum seqlen", "number of skipped iterations", "number of nan iterations",
)  # fmt: skip
_VALUE: Final = r"-?\d{1,20}(?:\.\d{1,20})?(?:E[-+]\d{1,3})?"
_PAIRS = Lazy(r" ([^:|]+): {0,20}([^ |]+) \|")
_LINE = " iteration       10/     100 | " + " | ".join(f"{name}: 1.0" for name in _NAMES) + " |"
_PLAIN = Plain(
    r"(?: \[(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\])? iteration {1,12}(\d{1,15})/ {0,12}(\d{1,15}) \|"
    rf"((?: (?:{'|'.join(map(re.escape, _NAMES))}): {{0,20}}{_VALUE} \|){{1,40}})",
    "plain_iteration",
    (_LINE, " [2024-05-01 12:00:00]" + _LINE),
    frozenset({"nanogpt"}),
    is_columnar=True,
    pairs=r" ([^:|]+): {0,20}([^ |]+) \|",
)


@text_reader(
    "megatron",
    title="Megatron-LM, Megatron-DeepSpeed, Megatron-Core",
    hints=(
        "elapsed time per iteration (ms)", "validation loss at ", "training ...", "datetime: ", "memory (MB) |",
        " arguments ---", "checkpoint at iteration", "checkpoint from", "found NaN in", "found Inf in", "using world size: ",
    ),
    example=" iteration       10/     100 | consumed samples:         2560 | elapsed time per iteration (ms): 849.6 | "
    "learning rate: 5.308E-07 | global batch size:   256 | lm loss: 1.069056E+01 | loss scale: 2048.0 | grad norm: 0.512 | "
    "number of skipped iterations:   0 | number of nan iterations:   0 |",
    plain=(_PLAIN,),
)  # fmt: skip
class Megatron:
    """Reads iteration and validation lines; is hungry inside an argument dump."""

    hungry = False
    file = ""
    file_rank: int | None = None

    def __init__(self) -> None:
        self._dump_lines = 0
        self._total = ""
        self._has_started = False
        self._saving = ""
        self._counts = dict.fromkeys(_COUNTERS, 0.0)
        self._step = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """What this line says: rows, arguments, marks."""
        text = line.text
        if self.hungry:
            yield from self._argument(line)
        if "elapsed time per iteration" in text:
            yield from self._iterations(line)
        elif "validation loss at " in text:
            yield from _validation(line)
        elif "memory (MB)" in text:
            yield from _memory(line)
        elif " arguments ---" in text and "end of" not in text:
            self.hungry, self._dump_lines = True, 0
        yield from self._marks(line)

    def plain_iteration(self, number: int, found: re.Match[bytes]) -> Iterator[Record]:
        """The row of an iteration line, and the plan where it is new."""
        time, at, total = found[1], int(found[2]), found[3].decode()
        values = numbers(_PAIRS.findall(found[4].decode()), _UNITS)
        if total != self._total:
            self._total = total
            text = found[0].decode().strip()[:MAX_TEXT]
            yield Fact("run:planned_steps", int(total), SourceRef(self.file, number, text, self.file_rank))
        yield Row(number, self._summed(values, at), at, "train", self.file_rank, plain_stamp(time) if time else None)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many iteration lines that count on within the known plan, and skip nothing."""
        found, total = [], {int(self._total or -1)}
        for _, at, lines, cells in parts:
            pairs = [(*_UNITS.get(name, (name, 1.0)), values) for name, values in cells.pairs]
            names = tuple([name for name, *_ in pairs])
            is_idle = not any(any(values) for name, _, values in pairs if name in _COUNTERS)
            if not is_idle or set(cells.ints(3)) != total or len(set(names)) < len(names):
                return None
            columns = tuple([self._column(name, scale, values) for name, scale, values in pairs])
            times = cells.times(1) if cells.has(1) else None
            found.append(Rows(at, lines, names, columns, cells.ints(2), times, self.file_rank))
        steps: Sequence[int] = found[0].steps or ()
        if len(found) > 1:
            placed = sorted(pair for part in found for pair in zip(part.at, part.steps or (), strict=True))
            steps = [step for _, step in placed]
        if steps[0] <= self._step or any(map(le, steps[1:], steps)):
            return None
        self._step = steps[-1]
        return found

    def _column(self, name: str, scale: float, values: Sequence[float]) -> Sequence[float]:
        """A value's column; a counter that does not count keeps its sum."""
        if name in _COUNTERS:
            return [self._counts[name]] * len(values)
        return values if scale == 1.0 else [value * scale for value in values]

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _argument(self, line: Line) -> Iterator[Record]:
        self._dump_lines += 1
        if "end of arguments" in line.text or self._dump_lines > _DUMP_LINES:
            self.hungry = False
        elif len(line.text) < 2000 and (found := _ARGUMENT.search(line.text)):
            yield Fact(f"arg:{found['name']}", scalar(found["value"]), line.ref)

    def _iterations(self, line: Line) -> Iterator[Record]:
        found = list(_ITERATION.finditer(line.text))
        for index, match in enumerate(found):
            end = found[index + 1].start() if index + 1 < len(found) else len(line.text)
            rest = line.text[match.end() : end]
            values = numbers(split(rest[: rest.rfind("|") + 1], "|"), _UNITS)
            if not values:
                continue
            if match["total"] and match["total"] != self._total:
                self._total = match["total"]
                yield Fact("run:planned_steps", int(self._total), line.ref)
            step = int(match["step"])
            yield Row(line.no, self._summed(values, step), step, "train", line.rank, line.time or stamp(line.text.strip()))

    def _summed(self, values: Numbers, step: int) -> Numbers:
        """The values with the counters of the interval added to those before; a step that goes back begins anew."""
        if step <= self._step:
            self._counts = dict.fromkeys(_COUNTERS, 0.0)
        self._step = step
        for name, value in values:
            if name in self._counts:
                self._counts[name] += value
        return tuple((name, self._counts.get(name, value)) for name, value in values)

    def _marks(self, line: Line) -> Iterator[Record]:
        text = line.text
        if "datetime: " in text and (clock := _CLOCK.search(text)):
            yield from self._clock(line, clock["what"], stamp(clock["time"]))
        elif "training ..." in text and _TRAINING.search(text):
            self._has_started = True
            yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=line.time, data={"framework": "megatron"})
        elif "checkpoint" in text:
            yield from self._checkpoint(line)
        elif "found NaN in" in text or "found Inf in" in text:
            if found := _NAN.search(text):
                yield Event(kinds.NAN_REPORT, line.ref, rank=line.rank, time=line.time, data={"message": found[0]})
        elif found := _WORLD.search(text):
            yield Fact("run:world_size", int(found[1]), line.ref)

    def _clock(self, line: Line, what: str, time: float | None) -> Iterator[Record]:
        if what.startswith("before the start of training"):
            if not self._has_started:
                yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=time, data={"framework": "megatron"})
            self._has_started = False
        elif what.startswith(("after training is done", "exiting program")):
            yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=time)

    def _checkpoint(self, line: Line) -> Iterator[Record]:
        if found := _SAVED.search(line.text):
            if found["how"] == "saving" or found["step"] != self._saving:
                data = {"path": found["path"]}
                yield Event(kinds.CHECKPOINT, line.ref, int(found["step"][:15]), line.rank, line.time, data)
            self._saving = found["step"]
        elif (found := _LOADED.search(line.text)) and int(found["step"][:15]) > 0:
            step = int(found["step"][:15])
            yield Event(kinds.RESUME, line.ref, step, line.rank, line.time, {"checkpoint": found["path"], "step": step})


def _validation(line: Line) -> Iterator[Record]:
    found = _VALIDATION.search(line.text)
    if not found:
        return
    mark = "test_" if "test" in found["at"] else ""
    values = numbers((f"{mark}{name}", value) for name, value in split(found["rest"], "|"))
    at = _AT_STEP.search(found["at"])
    if values:
        yield Row(line.no, values, int(at[1]) if at else None, "eval", line.rank, line.time)


def _memory(line: Line) -> Iterator[Record]:
    for found in _MEMORY.finditer(line.text):
        values = dict(numbers(split(found["rest"], "|")))
        peak = values.get("max reserved", values.get("max allocated"))
        if peak is not None:
            row = (("memory_gpu", peak / 1024),)
            yield Row(line.no, row, int(found["step"]), "train", int(found["rank"]), line.time)
