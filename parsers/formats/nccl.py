"""NCCL's own warnings (`NCCL WARN …`, printed without any setting) that say that communication broke.

    node-48:34050:34121 [0] transport/net_ib.cc:93 NCCL WARN NET/IB : Got async event : port error
    worker-1:946:988 [0] transport/net_ib.cc:839 NCCL WARN NET/IB : Got completion with error 12, opcode 1, len 0, vendor err 129
    node1:1037691:1045445 [0] misc/socket.cc:72 NCCL WARN socketProgress: Connection closed by remote peer node7<51159>
    include/shm.h:28 NCCL WARN Call to posix_fallocate failed: No space left on device
    Duplicate GPU detected : rank 3 and rank 2 both on CUDA device e2000

Many warnings are harmless (`Missing "iommu=pt"`, `No device found`, plug-ins): only those that name a failed transfer, a
lost peer or refused use are read. The number in brackets is the local device. `Connection closed by remote peer` names
the peer to look at: that one went first. An allocation that failed inside NCCL is read by `cuda_memory`.
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

_WARN = Lazy(r"(?:\[(?P<device>\d+)\] )?(?:\S{1,120}:\d+ )?NCCL WARN (?P<text>.{1,300})")
_PEER: Final = Lazy(
    r"Connection (?:closed by|reset by)|socketProgress|[Bb]roken pipe|Socket (?:recv|send) failed"
    r"|failed : (?:Connection|Broken)|Call to (?:recv|send) from"
)
_FAILED: Final = Lazy(
    r"Got completion (?:from peer .{1,80} )?with (?:error|status)|Got async event ?: ?(?:port error|fatal|local QP)"
    r"|ibv_\w+ failed"
    r"|Call to (?:connect|bind|listen|shm_open|posix_fallocate|ibv_\w+) ?(?:to .{1,60} )?(?:failed|timed? ?out|returned)"
    r"|shared memory segment|Duplicate GPU|invalid usage|corrupted comm|no algorithm/protocol available|Timeout waiting for"
    r"|[Uu]nhandled (?:cuda|system) error|Cuda failure|Failed to execute operation|No (?:socket )?interface found"
)
_HARMLESS: Final = ("bind failed", "retrying", "driver shutting down", "out of memory", "peer access", "invalid device context")
_DUPLICATE = Lazy(r"Duplicate GPU detected ?: rank \d+ and rank \d+ both on CUDA device \w+")
_STATUS = Lazy(r"(?:error|status)[ =](?P<code>\d+)")
_TO = Lazy(r"peer (?P<peer>[\w.:-]+)<")


@text_reader(
    "nccl",
    title="NCCL warnings",
    hints=("NCCL WARN", "Duplicate GPU detected"),
    example="node-48:34050:34121 [0] transport/net_ib.cc:93 NCCL WARN NET/IB : Got async event : port error",
)
@sated
class Nccl:
    """Reads each line on its own."""

    hungry = False

    def feed(self, line: Line) -> Iterable[Record]:
        """A failed transfer, a lost peer or refused use."""
        at = line.text.find("NCCL WARN")
        found = _WARN.search(line.text[max(0, at - 200) : at + 400]) if at >= 0 else None
        text = found["text"] if found else ""
        if not found and (duplicate := _DUPLICATE.search(line.text)):
            data: dict[str, Value] = {"backend": "nccl", "message": duplicate[0]}
            yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=line.rank, time=line.time, data=data)
            return
        is_peer = bool(_PEER.search(text))
        if not text or not (is_peer or _FAILED.search(text)) or any(word in text for word in _HARMLESS):
            return
        data = {"backend": "nccl", "message": text[:200], "is_peer": is_peer}
        for key, pattern in (("code", _STATUS), ("peer", _TO)):
            if more := pattern.search(text):
                data[key] = more[key]
        if found and found["device"]:
            data["device"] = int(found["device"])
        yield Event(kinds.COMMUNICATION_ERROR, line.ref, rank=line.rank, time=line.time, data=data)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
