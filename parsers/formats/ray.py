"""Ray says that a worker process died (`src/ray/raylet/node_manager.cc`; the driver prints it, from 1.x on).

    (raylet) A worker died or was killed while executing a task by an unexpected system error. To troubleshoot the problem,
        check the logs for the dead worker. RayTask ID: ffff8c22… Worker ID: 1efd16… Node ID: 0d733c… Worker IP address:
        10.80.8.181 Worker port: 45555 Worker PID: 26103 Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly
        exits with a connection error code 2. End of file. There are some potential root causes. (1) The process is killed by …

One line; since 2.4x `Lease ID` stands for `RayTask ID`, `WARNING worker.py:2074 -- ` for `(raylet)` before 2.0. The causes that
it lists are guesses and no evidence; that the node ran low on memory is Ray's own doing and is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader

_DIED: Final = "A worker died or was killed while executing"
_PLACE = Lazy(r"Worker IP address: (?P<host>[\w.:]{3,60})")
_PID = Lazy(r"Worker PID: (?P<pid>\d{1,9})")
_DETAIL = Lazy(r"Worker exit detail: (?P<detail>[^.]{1,200})")
_CODE = Lazy(r"with (?:an )?exit code (?P<code>-?\d{1,4})\b")
_LOW = Lazy(r"killed due to the node running low on memory|exceeded K8s pod memory limits")


@text_reader(
    "ray",
    title="Ray: a worker died",
    hints=(_DIED,),
    example=f"(raylet) {_DIED} a task by an unexpected system error. To troubleshoot the problem, check the logs for the dead "
    "worker. Lease ID: 01 Worker ID: 12a6 Node ID: 0b6a Worker IP address: 10.80.8.181 Worker port: 45555 Worker PID: 26103 "
    "Worker exit type: SYSTEM_ERROR Worker exit detail: Worker unexpectedly exits with a connection error code 2. End of file.",
)
class Ray:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A failed child; also a memory kill, where Ray says that it was one."""
        text = line.text[:4000]
        if _DIED not in text:
            return
        place, pid, detail, code = (pattern.search(text) for pattern in (_PLACE, _PID, _DETAIL, _CODE))
        data: dict[str, Value] = {"launcher": "ray", "host": place["host"] if place else line.host}
        if pid:
            data["pid"] = int(pid["pid"])
        if code:
            data["exit_code"] = int(code["code"])
        if detail:
            data["message"] = detail["detail"].strip()
        yield Event(kinds.CHILD_FAILED, line.ref, time=line.time, data=data)
        low = _LOW.search(text)
        if low and "may have" not in text[max(0, low.start() - 12) : low.start()]:
            yield Event(kinds.HOST_OOM, line.ref, time=line.time, data={"sender": "ray", "constraint": "host"})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
