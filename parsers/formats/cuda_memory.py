"""Device memory exhausted: PyTorch's allocator in its four wordings, NCCL's, JAX's and cuBLAS's.

`c10/cuda/CUDACachingAllocator.cpp`; the exception's name changed, the body is what is read:

    … Tried to allocate 376.00 MiB (GPU 0; 3.95 GiB total capacity; 1.72 GiB already allocated; 354.88 MiB free; 2.46 GiB
        reserved in total by PyTorch)                                                              (to 2.0, one line)
    … Tried to allocate 1.95 GiB. GPU 0 has a total capacty of 14.57 GiB of which 1.58 GiB is free. Process 2493055 has
        12.02 GiB memory in use. …                                                                  (2.1, with its slip)
    torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total capacity of 79.18 GiB of which
        1.20 GiB is free. … this process has 52.94 GiB memory in use. Of the allocated memory 38.18 GiB is allocated by
        PyTorch, and 1.02 GiB is reserved by PyTorch but unallocated. …                             (2.5 on)
    misc/alloc.h:178 NCCL WARN Cuda failure 'out of memory'
    RESOURCE_EXHAUSTED: Out of memory while trying to allocate 17179869184 bytes.

`Process N has X memory in use` counts processes other than this one: somebody else on the GPU (`other`, bytes).
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated
from parsers.values import number, size_bytes

_OOM = Lazy(
    r"(?:CUDA|HIP|XPU|NPU|MPS backend)(?: error:)? out of memory|Cuda failure[^\n]{0,20}'out of memory'"
    r"|CUBLAS_STATUS_ALLOC_FAILED"
    r"|RESOURCE_EXHAUSTED: Out of memory|OutOfMemoryError: Allocation on device"
)
_FIELDS = {
    "tried": Lazy(r"[Tt]r(?:ied|ying) to allocate (?:more than )?(?P<size>[\d.]{1,24} ?(?:[KMGT]iB|EB|bytes))"),
    "total": Lazy(r"total capaci?ty of (?P<size>[\d.]{1,24} [KMGT]iB)|(?<![\d.])(?P<old>[\d.]{1,24} [KMGT]iB) total capacity"),
    "free": Lazy(
        r"of which (?P<size>[\d.]{1,24} (?:[KMGT]iB|bytes)) is free|(?<![\d.])(?P<old>[\d.]{1,24} (?:[KMGT]iB"
        r"|bytes)) free"
    ),
    "allocated": Lazy(
        r"memory (?P<size>[\d.]{1,24} (?:[KMGT]iB|bytes)) is allocated by PyTorch|(?<![\d.])(?P<old>[\d.]{1,24} (?:[KMGT]iB"
        r"|bytes)) already allocated"
    ),
    "reserved": Lazy(
        r"and (?P<size>[\d.]{1,24} (?:[KMGT]iB|bytes)) is reserved by PyTorch but unalloc"
        r"|(?<![\d.])(?P<old>[\d.]{1,24} (?:[KMGT]iB"
        r"|bytes)) reserved in total"
    ),
    "own": Lazy(r"this process has (?P<size>[\d.]{1,24} (?:[KMGT]iB|bytes)) memory in use"),
}  # fmt: skip
_OTHER = Lazy(r"Process \d+ has (?P<size>[\d.]{1,24} (?:[KMGT]iB|bytes)) memory in use")
_GPU = Lazy(r"\(?GPU (?P<gpu>\d{1,9})[; ]")
_RANK = Lazy(r"\[rank(?P<rank>\d{1,9})\]:")
_BESIDE = ("UserWarning", "memory mapping failed with OOM", "Will retry", "will retry", "retrying", "Retrying")
"""Words of lines that tell of an allocation that was caught, not of one that ended anything."""


@text_reader(
    "cuda_memory",
    title="device out of memory (PyTorch, NCCL, cuBLAS, XLA)",
    hints=("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "RESOURCE_EXHAUSTED: Out of memory", "Allocation on device"),
    example="torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.95 GiB. GPU 0 has a total capacity "
    "of 14.57 GiB of which 1.58 GiB is free.",
)
@sated
class CudaMemory:
    """Reads each such line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The allocation that failed, with the sizes it names in bytes."""
        text = line.text[:4000]
        if not _OOM.search(text) or any(word in text for word in _BESIDE):
            return
        rank = line.rank
        if rank is None and (found := _RANK.search(text)):
            rank = int(found["rank"])
        yield Event(kinds.CUDA_OOM, line.ref, rank=rank, time=line.time, data=sizes(text))

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def sizes(text: str) -> dict[str, Value]:
    """What the message says in bytes (`tried`, `total`, `free`, `allocated`, `reserved`, `own`, `other`) and the GPU."""
    data: dict[str, Value] = {}
    for name, pattern in _FIELDS.items():
        found = pattern.search(text)
        if found:
            data[name] = size_bytes(next(group for group in found.groups() if group))
    others = [size_bytes(found["size"]) or 0.0 for found in _OTHER.finditer(text)]
    if others:
        data["other"] = sum(others)
    gpu = _GPU.search(text)
    if gpu:
        data["gpu"] = int(number(gpu["gpu"]) or 0)
    if "Cuda failure" in text:
        data["sender"] = "NCCL"
    return data
