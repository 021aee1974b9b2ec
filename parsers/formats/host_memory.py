"""Reports that the host's memory is nearly full, by which a later SIGKILL is read.

    [2023-04-20 19:03:19,581] [INFO] [utils.py:840:see_memory_usage] CPU Virtual Memory:  used = 29.71 GB, percent = 95.3%

`deepspeed/runtime/utils.py` (`see_memory_usage`). Only 90 % and more are told: a full run prints thousands below that.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record
from parsers.registry import text_reader
from parsers.sated import sated

NEARLY: Final = 90.0
_REPORT = Lazy(r"CPU Virtual Memory:\s+used = (?P<used>[\d.]{1,12}) GB, percent = (?P<percent>\d{1,3}(?:\.\d{1,3})?)%")


@text_reader(
    "host_memory",
    title="host memory nearly full (DeepSpeed see_memory_usage)",
    hints=("CPU Virtual Memory:",),
    example="CPU Virtual Memory:  used = 29.71 GB, percent = 95.3%",
)
@sated
class HostMemory:
    """Reads each report on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The report, where it is nearly full."""
        found = _REPORT.search(line.text)
        if found and float(found["percent"]) >= NEARLY:
            data = {"percent": float(found["percent"]), "used": float(found["used"]) * 2**30}
            yield Event(kinds.HOST_MEMORY, line.ref, rank=line.rank, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
