"""The end of a run under DeepSpeed's launcher: exit codes, signals that the launcher got, children that ended well.

`deepspeed/launcher/launch.py`, unchanged in text from 0.5.8 to 0.19:

    [2026-11-24 02:44:19,411] [INFO] [launch.py:315:sigkill_handler] Killing subprocess 1782
    [2026-11-24 02:44:19,411] [ERROR] [launch.py:321:sigkill_handler] ['python3', '-u', 'train.py', …] exits with return code = -9
    [2026-11-24 02:56:03,748] [INFO] [launch.py:344:sigkill_handler] Main process received SIGTERM, exiting
    [2026-11-24 02:56:15,550] [INFO] [launch.py:351:main] Process 2537 exits successfully.

The name `sigkill_handler` proves nothing: it also runs after an ordinary exception. `Killing subprocess` is said of all
children, healthy ones included, so no event is made of it. The `--local_rank=` of the exit line is that of the child
that was *started last*, whichever failed, and is therefore not read.
"""

from __future__ import annotations

from collections.abc import Iterable

from parsers import exit_codes, kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

_EXIT = Lazy(r"exits with return code = (?P<code>-?\d+)")
_RECEIVED = Lazy(r"Main process received (?P<signal>SIG[A-Z]+), exiting")
_GOOD = Lazy(r"Process (?P<pid>\d+) exits successfully")


@text_reader(
    "deepspeed_exit",
    title="DeepSpeed launcher: exit codes and signals",
    hints=("exits with return code", "Main process received SIG", "exits successfully"),
    example="[2026-11-24 02:56:03,748] [INFO] [launch.py:344:sigkill_handler] Main process received SIGTERM, exiting",
)
@sated
class DeepSpeedExit:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A failed child, a signal from outside or a good end."""
        if found := _EXIT.search(line.text):
            code = int(found["code"])
            data: dict[str, Value] = {
                "launcher": "deepspeed", "exit_code": code, "signal": exit_codes.signal_of(code), "host": line.host,
                "is_collateral": exit_codes.is_terminated(code),
            }  # fmt: skip
            yield Event(kinds.CHILD_FAILED, line.ref, time=line.time, data=data)
        elif found := _RECEIVED.search(line.text):
            name = found["signal"]
            kind = kinds.INTERRUPTED if name == "SIGINT" else kinds.SIGNAL
            data = {"signal": name, "number": exit_codes.NUMBERS.get(name, 0), "sender": "deepspeed"}
            yield Event(kind, line.ref, time=line.time, data=data)
        elif found := _GOOD.search(line.text):
            yield Event(kinds.PROCESS_OK, line.ref, time=line.time, data={"pid": int(found["pid"])})

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
