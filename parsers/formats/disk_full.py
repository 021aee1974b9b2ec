"""A disk or a quota that is full, in the words of the C library, outside a traceback too.

    safetensors._safetensors_rust.SafetensorError: Error while serializing: I/O error: No space left on device (os error 28)
    cp: error writing '/ckpt/model.bin': No space left on device
    OSError: [Errno 122] Disk quota exceeded: '/home/user/ckpt'

torch.save hides it (`inline_container.cc … unexpected pos`): see `exceptions`. NCCL's shared-memory segments are no disk.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.exceptions import parse
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import text_reader
from parsers.sated import sated

_NO_DISK = ("NCCL", "nccl", "/shm", "torch_", "shm_open", "posix_fallocate")


@text_reader(
    "disk_full",
    title="no space left on device, quota exceeded",
    hints=("No space left on device", "isk quota exceeded"),
    example="cp: error writing '/ckpt/model.bin': No space left on device",
)
@sated
class DiskFull:
    """Reads each line on its own; exception lines are left to the traceback reader."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The line that says so."""
        text = line.text
        if parse(text.strip()) is None and not any(word in text for word in _NO_DISK):
            yield Event(kinds.DISK_FULL, line.ref, rank=line.rank, time=line.time, data={"message": text.strip()[:200]})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
