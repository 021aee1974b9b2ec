"""Data loader workers that died, outside a traceback.

    ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).
    ERROR: Unexpected segmentation fault encountered in worker.

`torch/csrc/DataLoader.cpp` prints these from the worker itself; the main process then raises `DataLoader worker (pid 1897)
is killed by signal: …`, which the traceback reader turns into an event of the same kind.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

_WORKER = Lazy(r"Unexpected (?P<what>bus error|segmentation fault|floating-point exception) encountered in worker")
_SIGNALS = {"bus error": "SIGBUS", "segmentation fault": "SIGSEGV", "floating-point exception": "SIGFPE"}


@text_reader(
    "dataloader",
    title="data loader workers that died",
    hints=("encountered in worker",),
    example="ERROR: Unexpected bus error encountered in worker. This might be caused by insufficient shared memory (shm).",
)
@sated
class DataLoader:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The worker's last words."""
        found = _WORKER.search(line.text)
        if found:
            data: dict[str, Value] = {"signal": _SIGNALS[found["what"]], "message": found[0]}
            yield Event(kinds.DATALOADER, line.ref, rank=line.rank, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
