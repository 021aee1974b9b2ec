"""What a shell, faulthandler or mpirun prints when a process is ended by a signal.

    .run.sh: line 1:  1248 Killed                  python3 train.py --seed 1          bash, of a script's child
    Terminated                                                                       bash, of its own child
    Segmentation fault (core dumped)
    Fatal Python error: Segmentation fault                                           faulthandler
    mpirun noticed that process rank 1 with PID 0 on node n3 exited on signal 9 (Killed).

bash's word stands alone on its line, or right behind a progress bar that was being drawn. `Aborted` and a segmentation
fault come from inside the process; `Killed`, `Terminated` and `Hangup` from outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers import exceptions, kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader

_WORDS: Final = {
    "Killed": 9, "Terminated": 15, "Segmentation fault": 11, "Aborted": 6, "Bus error": 7, "Hangup": 1, "Illegal instruction": 4,
    "Floating point exception": 8, "CPU time limit exceeded": 24, "User defined signal 1": 10, "User defined signal 2": 12,
}  # fmt: skip
OUTSIDE: Final = frozenset({1, 9, 10, 12, 15, 24})
"""Signals that a process does not get from its own doing."""

_CHILD = Lazy(r"(?:line \d+: +|^ *\[\d+\]\+? +)(?P<pid>\d+)? ?(?P<word>[A-Z][A-Za-z ]{4,24}?)(?: ?\(core dumped\))?(?:  +|$)")
_ALONE = Lazy(
    r"(?:^|(?:it/s|s/it)(?:, [^\]]{0,200})?\])(?P<word>[A-Z][A-Za-z]{4,14}(?: [a-z0-9]{3,9}){0,3})(?: \(core dumped\))?$"
)
_FATAL = Lazy(r"Fatal Python error: (?P<word>[A-Z][a-z]+(?: [a-z]+)*)")
_MPI = Lazy(r"process rank (?P<rank>\d+) with PID (?P<pid>\d+) on node (?P<host>\S+) exited on signal (?P<number>\d+)")


@text_reader(
    "signals",
    title="processes ended by a signal (shell, faulthandler, mpirun)",
    hints=(
        "Killed",
        "Terminated",
        "Segmentation fault",
        "Aborted",
        "Bus error",
        "Hangup",
        "Illegal instruction",
        "core dumped",
        "exited on signal",
    ),
    example="run.sh: line 1:  1248 Killed                  python3 train.py --seed 1",
)
class Signals:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The process that a signal ended."""
        text = line.text[-4000:]
        if found := _MPI.search(text):
            code = -int(found["number"])
            data: dict[str, Value] = {
                "launcher": "mpirun", "exit_code": code, "signal": exceptions.signal_of(code), "host": found["host"],
                "pid": int(found["pid"]), "is_collateral": code == -15,
            }  # fmt: skip
            yield Event(kinds.CHILD_FAILED, line.ref, rank=int(found["rank"]), time=line.time, data=data)
            return
        for pattern, sender in ((_FATAL, "faulthandler"), (_CHILD, "shell"), (_ALONE, "shell")):
            found = pattern.search(text)
            number = _WORDS.get(found["word"].strip()) if found else None
            if found and number:
                pid = found.groupdict().get("pid")
                data = {"signal": exceptions.SIGNALS[number], "number": number, "sender": sender, "is_outside": number in OUTSIDE}
                yield Event(
                    kinds.SIGNAL, line.ref, rank=line.rank, time=line.time, data=data | ({"pid": int(pid)} if pid else {})
                )
                return

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
