"""Device-side assertions and the errors that a poisoned CUDA context repeats.

The kernel prints a line for each thread that failed, before anything in Python notices:

    …/cuda/IndexKernelUtils.cu:16: vectorized_gather_kernel: block: [131,0,0], thread: [0,0,0] Assertion `ind >=0 …` failed.
    …/native/cuda/Loss.cu:245: nll_loss_forward: block: [0,0,0], thread: [5,0,0] Assertion `t >= 0 && t < n_classes` failed.
    THCudaCheck FAIL file=/pytorch/aten/src/THC/generated/../THCReduceAll.cuh line=317 error=59 : device-side assert triggered

`Compile with TORCH_USE_CUDA_DSA to enable device-side assertions` stands in *every* CUDA error and means nothing.
Hundreds of equal lines are one event: the first is told at once, the count when the file ends.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, SourceRef, Value
from parsers.registry import text_reader

MAX_KINDS = 64
"""Different assertions that are told apart."""

_ASSERT = Lazy(
    r"(?P<file>[\w.-]{1,60}\.(?:cu|cuh|h|hpp)):(?P<line>\d+): (?P<kernel>.{1,240}?): block: \[[\d,]+\], "
    r"thread: \[[\d,]+\] Assertion `(?P<text>[^`]{1,200})` failed"
)
_FAILED = Lazy(r"Assertion `(?P<text>[^`]{1,200})` failed")
_OTHER = Lazy(
    r"THCudaCheck FAIL .{0,200}(?:device-side assert|illegal memory access)"
    r"|what\(\): +(?:\[.{0,80}\] )?CUDA error: (?:device-side assert triggered|an illegal memory access)"
)
_KERNEL = Lazy(r"[\w:]+")


@text_reader(
    "device_assert",
    title="CUDA device-side assertions",
    hints=("Assertion `", "THCudaCheck FAIL", "what():  CUDA error", "CUDA error: an illegal"),
    example="/pytorch/aten/src/ATen/native/cuda/Loss.cu:245: nll_loss_forward: block: [0,0,0], thread: [5,0,0] "
    "Assertion `t >= 0 && t < n_classes` failed.",
)
class DeviceAssert:
    """Counts equal assertions."""

    hungry = False

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[SourceRef, int | None, dict[str, Value]]] = {}
        self._counts: dict[tuple[str, str], int] = {}

    def feed(self, line: Line) -> Iterable[Record]:
        """The first of each assertion."""
        text = line.text[:4000]
        found = _ASSERT.search(text)
        if not found and not ("block: [" in text and (found := _FAILED.search(text))):
            if _OTHER.search(text):
                yield Event(
                    kinds.DEVICE_ASSERT, line.ref, rank=line.rank, time=line.time, data={"message": text[:200], "count": 1}
                )
            return
        assert found is not None
        fields = found.groupdict()
        kernel = _KERNEL.search(fields.get("kernel") or "")
        key = (fields.get("file") or "", fields["text"])
        if key in self._first:
            self._counts[key] += text.count("Assertion `")
        if key in self._first or len(self._first) >= MAX_KINDS:
            return
        self._counts[key] = text.count("Assertion `")
        data: dict[str, Value] = {"kernel": kernel[0] if kernel else "", "source": key[0], "assertion": key[1], "count": 1}
        self._first[key] = (line.ref, line.rank, data)
        yield Event(kinds.DEVICE_ASSERT, line.ref, rank=line.rank, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """The counts, at the place of the first of each."""
        for key, (ref, rank, data) in self._first.items():
            if self._counts[key] > 1:
                yield Event(kinds.DEVICE_ASSERT, ref, rank=rank, data={**data, "count": self._counts[key]})
