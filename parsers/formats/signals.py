"""What a shell, faulthandler or mpirun prints when a process is ended by a signal.

    .run.sh: line 1:  1248 Killed                  python3 train.py --seed 1          bash, of a script's child
    Terminated                                                                       bash, of its own child
    Segmentation fault (core dumped)
    Fatal Python error: Segmentation fault                                           faulthandler
    exiting program after receiving SIGTERM.                                         Megatron-LM, Lightning and others
    mpirun noticed that process rank 1 with PID 0 on node n3 exited on signal 9 (Killed).

bash's word stands alone on its line, or right behind a progress bar that was being drawn. `Aborted` and a segmentation
fault come from inside the process; `Killed`, `Terminated` and `Hangup` from outside.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import exit_codes, kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Record, Value
from parsers.registry import text_reader
from parsers.sated import sated

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
_TOLD = Lazy(r"(?:[Rr]eceived|[Cc]aught|receiving|[Gg]ot) (?:a )?(?:signal )?(?P<signal>SIG(?:TERM|HUP|USR1|USR2|XCPU))\b")
_EXITED = Lazy(r"mpirun detected that one or more processes exited with non-zero status")
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
        "SIGTERM",
        "SIGHUP",
        "SIGUSR",
        "SIGXCPU",
        "mpirun detected",
    ),
    example="run.sh: line 1:  1248 Killed                  python3 train.py --seed 1",
)
@sated
class Signals:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The process that a signal ended, or the rank that mpirun lost."""
        text = line.text[-4000:]
        if found := _MPI.search(text):
            yield _mpi(line, -int(found["number"]), rank=int(found["rank"]), host=found["host"], pid=int(found["pid"]))
        elif _EXITED.search(text):
            yield _mpi(line, 1)
        elif (found := _TOLD.search(text)) and "sigkill_handler" not in text and "submitit" not in text:
            yield _signal(line, exit_codes.NUMBERS[found["signal"]], "program")
        else:
            yield from _word(line, text)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()


def _word(line: Line, text: str) -> Iterator[Record]:
    """The word that a shell or faulthandler prints for a signal."""
    for pattern, sender in ((_FATAL, "faulthandler"), (_CHILD, "shell"), (_ALONE, "shell")):
        found = pattern.search(text)
        number = _WORDS.get(found["word"].strip()) if found else None
        if found and number:
            yield _signal(line, number, sender, found.groupdict().get("pid"))
            return


def _signal(line: Line, number: int, sender: str, pid: str | None = None) -> Event:
    data: dict[str, Value] = {
        "signal": exit_codes.SIGNALS[number],
        "number": number,
        "sender": sender,
        "is_outside": number in OUTSIDE,
    }
    return Event(kinds.SIGNAL, line.ref, rank=line.rank, time=line.time, data=data | ({"pid": int(pid)} if pid else {}))


def _mpi(line: Line, code: int, rank: int | None = None, **more: Value) -> Event:
    data: dict[str, Value] = {"launcher": "mpirun", "exit_code": code, "signal": exit_codes.signal_of(code)}
    data["is_collateral"] = exit_codes.is_terminated(code)
    return Event(kinds.CHILD_FAILED, line.ref, rank=rank, time=line.time, data=data | more)
