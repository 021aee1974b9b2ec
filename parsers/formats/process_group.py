"""torch.distributed's process groups: the NCCL watchdog, its heartbeat, HCCL's notify timeouts, the TCP store.

`torch/csrc/distributed/c10d/ProcessGroupNCCL.cpp`, `socket.cpp`, `TCPStore.cpp`. The prefix changed with the version
(`[E ProcessGroupNCCL.cpp:828] [Rank 2]` to 2.1, `[rank1]:[E ProcessGroupNCCL.cpp:523]` 2.2, with a clock since 2.4), the
body is searched anywhere in the line:

    [rank0]:[E1124 02:46:39.915773462 ProcessGroupNCCL.cpp:689] [Rank 0] Watchdog caught collective
        operation timeout: WorkNCCL(SeqNum=81, OpType=ALLREDUCE, NumelIn=65536, NumelOut=65536, Timeout(ms)=15000) ran for
        15022 milliseconds before timing out.                                                          (one line)
    [rank0]:[E1124 02:46:39.915970960 ProcessGroupNCCL.cpp:2303] [PG ID 0 PG GUID 0(default_pg) Rank 0]  failure detected by
        watchdog at work sequence id: 81 PG status: last enqueued work: 82, last completed work: 80    (one line)
    [rank0]:[E1124 11:41:35.528110103 ProcessGroupNCCL.cpp:612] [Rank 0] Collective WorkNCCL(SeqNum=21, OpType=ALLREDUCE,
        NumelIn=17, NumelOut=17, Timeout(ms)=20000) raised the following async exception: NCCL error: remote process exited or
        there was a network error, NCCL version 2.28.9                                                 (one line)
    [E ProcessGroupNCCL.cpp:916] [Rank 1] NCCL watchdog thread terminated with exception: CUDA error: uncorrectable ECC …
    [E108 20:04:34.46 socket.cpp:957] [c10d] The client socket has timed out after 900s while trying to connect to (host, 29500).

    terminate called after throwing an instance of 'gloo::EnforceNotMet'
      what():  [enforce fail at …/gloo/transport/tcp/pair.cc:464] op.preamble.length <= op.nbytes. 12 vs 4. Received data size …

The last two are gloo's: a tensor of another size arrived than was expected (`is_mismatch`), and that process aborts.

The watchdog speaks for a rank that waits: mostly a victim. `ran_ms` says when it began to wait. Its clock has no year;
`clock` (seconds since 1 January) is put into the run's year by the analyzer. The second line belongs to the first and is
joined to it by rank and sequence number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line, clock
from parsers.model import Event, Record, SourceRef, Value
from parsers.registry import text_reader

QUIET: Final = 500
"""Lines for which nothing more is said of a store that has gone: every rank complains every second."""
MAX_WAITING: Final = 4096
"""Timeouts whose second line is awaited: one a rank."""

_TIMEOUT = Lazy(
    r"collective operation timeout: Work(?P<backend>[A-Z]+)\((?:SeqNum=(?P<seq>\d+), )?OpType=(?P<op>\w+)"
    r"(?:, NumelIn=(?P<numel>\d+), NumelOut=\d+|, TensorShape=\[[\d, ]{0,200}\])?"
    r", Timeout\(ms\)=(?P<timeout>\d+)\) ran for (?P<ran>\d+) milliseconds"
)
_STATUS = Lazy(
    r"at (?:NCCL )?work(?: sequence id)?: (?P<seq>\d+).{0,60}?last enqueued (?:NCCL )?work: (?P<enqueued>-?\d+), "
    r"last completed (?:NCCL )?work: (?P<completed>-?\d+)"
)
_GROUP = Lazy(r"\[PG (?:ID )?(?P<group>\w+)(?: PG GUID (?P<guid>[^ \]]+))?")
_RANK = Lazy(r"\bRank (?P<rank>\d+)\]|\[rank(?P<other>\d+)\]:")
_CLOCK = Lazy(r"\[[EFW](?P<month>\d\d?)(?P<day>\d\d) (?P<h>\d\d):(?P<m>\d\d):(?P<s>\d\d(?:\.\d{1,9})?)")
_HEARTBEAT = Lazy(r"watchdog got stuck for (?P<seconds>\d+) seconds|Heartbeat monitor timed out")
_DIED = Lazy(r"(?:watchdog thread terminated with|raised the following async) exception: (?P<message>.{0,300})")
_CONNECT = Lazy(r"The client socket has timed out after (?P<time>\d+m?s) while trying to connect to \((?P<host>[^)]{1,80})\)")
_STORE = Lazy(
    r"Failed to check the .should dump. flag|sendBytes failed on SocketImpl|recvValue failed|failed to recv, got 0 bytes"
)
_HCCL = Lazy(r"EI0002|EI0006|HcclAllreduce.{0,40}error|hcom\w+ timeout|HCCL\(.{0,200}wait socket establish timeout")
_CUDA = Lazy(r"CUDA error: (?P<error>[^.\n]{1,80})")
_ENFORCE = Lazy(r"^\s*what\(\): +(?P<message>\[enforce fail at .{1,200}op\.preamble\.length <= op\.nbytes.{0,160})")
_HARDWARE = ("ECC", "NVLink", "fallen off the bus", "hardware")


@text_reader(
    "process_group",
    title="torch.distributed process groups: watchdog time-outs, store and socket failures",
    hints=(
        "collective operation timeout", "last enqueued", "watchdog thread terminated", "watchdog got stuck",
        "raised the following async",
        "Heartbeat monitor timed out", "The client socket has timed out", "should dump", "sendBytes failed", "recvValue failed",
        "EI0002", "EI0006", "wait socket establish timeout", "got 0 bytes", "op.preamble.length",
    ),
    example="[Rank 0] Watchdog caught collective operation timeout: WorkNCCL(SeqNum=81, OpType=ALLREDUCE, NumelIn=65536, "
    "NumelOut=65536, Timeout(ms)=15000) ran for 15022 milliseconds before timing out.",
)  # fmt: skip
class ProcessGroup:
    """Joins the two lines of a timeout; every other line stands alone."""

    hungry = False

    def __init__(self) -> None:
        self._waiting: dict[tuple[int | None, int | None], tuple[SourceRef, float | None, dict[str, Value]]] = {}
        self._quiet_until = 0
        self._told: set[tuple[int | None, int | None]] = set()

    def feed(self, line: Line) -> Iterable[Record]:
        """Timeouts (once a rank and collective), deaths of the watchdog, unreachable stores."""
        text = line.text[:4000]
        if found := _TIMEOUT.search(text):
            yield from self._timeout(line, found.groupdict())
        elif found := _STATUS.search(text):
            yield from self._status(line, found.groupdict())
        elif found := _DIED.search(text):
            yield from _died(line, found["message"])
        else:
            yield from self._store(line, text)

    def _store(self, line: Line, text: str) -> Iterator[Record]:
        if found := _HEARTBEAT.search(text):
            seconds = found["seconds"]
            data: dict[str, Value] = {"backend": "nccl", "op": "heartbeat", "ran_ms": int(seconds) * 1000 if seconds else None}
            yield Event(kinds.COLLECTIVE_TIMEOUT, line.ref, rank=rank_of(line), data=data | _clock(text))
        elif (found := _CONNECT.search(text)) and not _is_warning(text):
            message = f"no answer from {found['host']} within {found['time']}"
            data = {"backend": "store", "message": message, **_clock(text)}
            yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=rank_of(line), time=line.time, data=data)
        elif _STORE.search(text) and line.no >= self._quiet_until:
            self._quiet_until = line.no + QUIET
            data = {"backend": "store", "message": "the store's process has gone", "is_peer": True}
            yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=rank_of(line), time=line.time, data=data)
        elif found := _ENFORCE.search(text):
            data = {"backend": "gloo", "message": found["message"], "is_mismatch": True, "is_abort": True}
            yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=rank_of(line), time=line.time, data=data)
        elif _HCCL.search(text):
            yield Event(kinds.COLLECTIVE_TIMEOUT, line.ref, rank=rank_of(line), time=line.time, data={"backend": "hccl"})

    def close(self) -> Iterable[Record]:
        """Timeouts whose second line never came."""
        for (rank, _), (ref, time, data) in self._waiting.items():
            yield Event(kinds.COLLECTIVE_TIMEOUT, ref, rank=rank, time=time, data=data)
        self._waiting.clear()

    def _timeout(self, line: Line, found: dict[str, str | None]) -> Iterator[Record]:
        rank, seq = rank_of(line), int(found["seq"]) if found["seq"] else None
        if (rank, seq) in self._told or (rank, seq) in self._waiting:
            return
        data: dict[str, Value] = {
            "backend": (found["backend"] or "").lower(), "op": found["op"], "seq": seq,
            "numel": int(found["numel"]) if found["numel"] else None,
            "timeout_ms": int(found["timeout"] or 0), "ran_ms": int(found["ran"] or 0),
        }  # fmt: skip
        data |= _clock(line.text) | _group(line.text)
        if len(self._waiting) >= MAX_WAITING:
            yield from self.close()
        self._waiting[rank, seq] = (line.ref, line.time, data)

    def _status(self, line: Line, found: dict[str, str | None]) -> Iterator[Record]:
        rank, seq = rank_of(line), int(found["seq"] or 0)
        known = self._waiting.pop((rank, seq), None)
        if known is None:
            return
        ref, time, data = known
        if len(self._told) >= MAX_WAITING:
            self._told.clear()
        self._told.add((rank, seq))
        data |= {"last_enqueued": int(found["enqueued"] or 0), "last_completed": int(found["completed"] or 0)} | _group(line.text)
        yield Event(kinds.COLLECTIVE_TIMEOUT, ref, rank=rank, time=time, data=data)


def _died(line: Line, message: str) -> Iterator[Record]:
    data: dict[str, Value] = {"message": message[:200], "sender": "watchdog", **_clock(line.text)}
    cuda = _CUDA.search(message)
    if cuda and "out of memory" in message:
        return
    if cuda:
        kind = kinds.HARDWARE if any(word in message for word in _HARDWARE) else kinds.DEVICE_ASSERT
        yield Event(kind, line.ref, rank=rank_of(line), data=data)
    elif "NCCL error" in message:
        is_peer = "remote process exited" in message or "network error" in message
        yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=rank_of(line), data=data | {"backend": "nccl", "is_peer": is_peer})


def rank_of(line: Line) -> int | None:
    """The rank that a c10d line speaks for: its own `Rank N]` before the launcher's prefix."""
    found = _RANK.search(line.text)
    if found:
        return int(found["rank"] or found["other"])
    return line.rank


def _is_warning(text: str) -> bool:
    found = _CLOCK.search(text)
    return "[W" in text[: found.end() if found else 60]


def _clock(text: str) -> dict[str, Value]:
    """Seconds since 1 January of a stamp such as `E1124 02:46:39.915773462`."""
    seconds = clock(text)
    return {} if seconds is None else {"clock": seconds}


def _group(text: str) -> dict[str, Value]:
    found = _GROUP.search(text)
    return {"group": found["guid"] or found["group"]} if found else {}
