"""PBS, LSF and Grid Engine: jobs that were ended for a limit.

    =>> PBS: job killed: walltime 3660 exceeded limit 3600
    TERM_RUNLIMIT: job killed after reaching LSF run time limit.
    TERM_MEMLIMIT: job killed after reaching LSF memory usage limit.

PBS: `src/resmom/requests.c`; LSF prints its reason into the job's own output when it ends.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

_PBS = Lazy(r"=>> PBS: job killed: (?P<what>\w+)")
_LSF = Lazy(r"TERM_(?P<what>RUNLIMIT|MEMLIMIT|PREEMPT|OWNER|ADMIN|CPULIMIT|SWAP): job killed")
_REASONS: Final = {
    "walltime": "TIME LIMIT", "cput": "TIME LIMIT", "RUNLIMIT": "TIME LIMIT", "CPULIMIT": "TIME LIMIT", "PREEMPT": "PREEMPTION",
    "OWNER": "CANCELLED BY ITS OWNER", "ADMIN": "CANCELLED BY AN ADMINISTRATOR",
}  # fmt: skip
_MEMORY: Final = frozenset({"mem", "vmem", "pmem", "pvmem", "MEMLIMIT", "SWAP"})


@text_reader(
    "batch_systems",
    title="PBS, LSF: jobs ended for a limit",
    hints=("PBS: job killed", "TERM_"),
    example="=>> PBS: job killed: walltime 3660 exceeded limit 3600",
)
@sated
class BatchSystems:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The limit that ended the job."""
        found, sender = _PBS.search(line.text[:4000]), "pbs"
        if not found:
            found, sender = _LSF.search(line.text[:4000]), "lsf"
        if not found:
            return
        what = found["what"]
        if what in _MEMORY:
            data: dict[str, Value] = {"sender": sender, "constraint": "cgroup"}
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data=data)
        else:
            data = {"sender": sender, "reason": _REASONS.get(what, what.upper())}
            yield Event(kinds.SCHEDULER, line.ref, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
