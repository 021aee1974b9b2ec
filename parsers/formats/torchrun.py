"""torchrun's elastic agent: which child failed first, whom it ended after that, and signals it got itself.

`torch/distributed/elastic/multiprocessing/api.py`, `…/errors/__init__.py`, `…/agent/server/api.py`. Prefixes changed
(`WARNING:torch.distributed…:` up to 2.0, `[2023-12-08 10:11:12,345] torch…: [WARNING]` to 2.3, `W1124 02:40:44.123000 16400
torch/…/api.py:1029]` since), the texts did not:

    Sending process 16452 closing signal SIGTERM
    failed (exitcode: -9) local_rank: 1 (pid: 16574) of binary: /usr/bin/python3
    Received 15 death signal, shutting down workers            Received Signals.SIGINT death signal, …   (2.1 on)
    Root Cause (first observed failure):
    [0]:
      time      : 2026-11-24_02:40:44
      host      : localhost
      rank      : 1 (local_rank: 1)
      exitcode  : -9 (pid: 16574)  (SIGKILL)
      error_file: <N/A>
      traceback : Signal 9 (SIGKILL) received by PID 16574

An entry with −15 is a child that the agent ended itself: collateral. "First observed" is the first that this node's
agent polled: with −6 it is mostly a victim. torch.multiprocessing's spawn and Lightning say the same in one line:

    torch.multiprocessing.spawn.ProcessExitedException: process 1 terminated with signal SIGKILL
    [rank: 1] Child process with PID 4242 terminated with code -9. Forcefully terminating all other processes to avoid zombies

The agent starts one process a rank: under it srun's tasks are nodes (`run:tasks_are_nodes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import exit_codes, kinds
from parsers.lazy import Lazy
from parsers.line import Line, clock, stamp
from parsers.model import Event, Fact, Record, SourceRef, Value
from parsers.registry import text_reader

MAX_BLOCK: Final = 400
"""Lines of one entry: `@record` puts the child's whole traceback into it."""

_FAILED = Lazy(r"failed \(exitcode: (?P<code>-?\d+)\) local_rank: (?P<local>\d+) \(pid: (?P<pid>\d+)\)")
_CLOSING = Lazy(r"Sending process (?P<pid>\d+) closing signal (?P<signal>SIG[A-Z]+)")
_DEATH = Lazy(r"Received (?:Signals\.)?(?P<signal>SIG[A-Z]+|\d+) death signal")
_ENTRY = Lazy(r"^\s*\[(?P<index>\d+)\]:\s*$")
_FIELD = Lazy(r"^\s*(?P<key>time|host|rank|exitcode)\s*: (?P<value>.*)$")
_CODE = Lazy(r"(?P<code>-?\d+) \(pid: (?P<pid>\d+)\)")
_RANKED = Lazy(r"(?P<rank>\d+) \(local_rank: (?P<local>\d+)\)")
_SPAWNED = Lazy(r"process (?P<local>\d+) terminated with (?:signal (?P<signal>SIG[A-Z]+)|exit code (?P<code>\d+))")
_RAISED = Lazy(r"-- Process (?P<local>\d+) terminated with the following error")
_CHILD = Lazy(r"\[rank: (?P<rank>\d+)\] Child process with PID (?P<pid>\d+) terminated with code (?P<code>-?\d+)")

_AGENT = ("torch/distributed/elastic", "torch.distributed.elastic", "torch/distributed/run.py", "torchrun -")
"""In names of its modules, in its own lines and tracebacks, and in its command."""


@text_reader(
    "torchrun",
    title="torchrun / torch elastic: failed ranks and signals",
    hints=(
        "failed (exitcode:", "closing signal SIG", "death signal", "Root Cause (first observed failure)", "Failures:",
        "exitcode  :", "ProcessExitedException", "Child process with PID", "terminated with the following error",
        *_AGENT,
    ),
    example="failed (exitcode: -9) local_rank: 1 (pid: 16574) of binary: /usr/bin/python3",
)  # fmt: skip
class Torchrun:
    """Reads single lines, and the block of a ChildFailedError while it lasts."""

    def __init__(self) -> None:
        self._entry: dict[str, Value] = {}
        self._ref: SourceRef | None = None
        self._left = 0
        self._is_root = False
        self._is_known = False

    @property
    def hungry(self) -> bool:
        """Whether the fields of an entry are awaited."""
        return self._left > 0

    def feed(self, line: Line) -> Iterable[Record]:
        """What one line says about a child."""
        text = line.text
        if not self._is_known and any(word in text for word in _AGENT):
            self._is_known = True
            yield Fact("run:tasks_are_nodes", True, line.ref)
        if self._left:
            self._left -= 1
            yield from self._in_block(line)
        if "Root Cause (first observed failure)" in text:
            yield from self._flush()
            self._is_root, self._left = True, MAX_BLOCK
        elif text.strip() == "Failures:" or "exitcode  :" in text:
            self._left = max(self._left, MAX_BLOCK)
            if not self._entry:
                yield from self._in_block(line)
        elif line.hints:
            yield from _single(line)

    def close(self) -> Iterable[Record]:
        """An entry that the end of the file cut off."""
        yield from self._flush()

    def _in_block(self, line: Line) -> Iterator[Record]:
        text = line.text
        if text.startswith("====") and (self._entry or self._is_root):
            yield from self._flush()
            self._left, self._is_root = 0, False
        elif _ENTRY.match(text):
            yield from self._flush()
            self._left = MAX_BLOCK
        elif (found := _FIELD.match(text)) and found["key"] not in self._entry:
            self._entry[found["key"]] = found["value"].strip()
            if found["key"] == "exitcode":
                self._ref = line.ref
        elif text.startswith("----"):
            yield from self._flush()

    def _flush(self) -> Iterator[Record]:
        entry, ref, self._entry, self._ref = self._entry, self._ref, {}, None
        code = _CODE.match(str(entry.get("exitcode", ""))) if ref else None
        if not code or ref is None:
            return
        rank = _RANKED.match(str(entry.get("rank", "")))
        data = _child("torchrun", int(code["code"]), pid=int(code["pid"]), host=entry.get("host"), is_root=self._is_root)
        if rank:
            data["local_rank"] = int(rank["local"])
        yield Event(
            kinds.CHILD_FAILED, ref, rank=int(rank["rank"]) if rank else None, time=stamp(str(entry.get("time", ""))), data=data
        )


def _single(line: Line) -> Iterator[Record]:
    text = line.text
    if found := _FAILED.search(text):
        data = _child("torchrun", int(found["code"]), pid=int(found["pid"]), local_rank=int(found["local"]), is_first=True)
        data |= _clock(line)
        yield Event(kinds.CHILD_FAILED, line.ref, time=line.time, data=data)
    elif found := _CLOSING.search(text):
        data = {"signal": found["signal"], "sender": "torchrun", "pid": int(found["pid"]), "is_collateral": True}
        data |= _clock(line)
        yield Event(kinds.SIGNAL, line.ref, time=line.time, data=data)
    elif found := _DEATH.search(text):
        yield _death(line, found["signal"])
    elif found := _SPAWNED.search(text):
        number = -exit_codes.NUMBERS.get(found["signal"] or "", 0)
        code = number or int(found["code"] or 1)
        yield Event(kinds.CHILD_FAILED, line.ref, time=line.time, data=_child("spawn", code, local_rank=int(found["local"])))
    elif found := _RAISED.search(text):
        yield Event(kinds.CHILD_FAILED, line.ref, time=line.time, data=_child("spawn", 1, local_rank=int(found["local"])))
    elif found := _CHILD.search(text):
        data = _child("lightning", int(found["code"]), pid=int(found["pid"]))
        yield Event(kinds.CHILD_FAILED, line.ref, rank=int(found["rank"]), time=line.time, data=data)


def _death(line: Line, name: str) -> Event:
    number = int(name) if name.isdigit() else exit_codes.NUMBERS.get(name, 0)
    signal = exit_codes.SIGNALS.get(number, name)
    kind = kinds.INTERRUPTED if signal == "SIGINT" else kinds.SIGNAL
    data: dict[str, Value] = {"signal": signal, "number": number, "sender": "torchrun", **_clock(line)}
    return Event(kind, line.ref, time=line.time, data=data)


def _clock(line: Line) -> dict[str, Value]:
    """The agent's own stamp since torch 2.4 (`E1124 02:46:39.915000`), which has no year: see `line.clock`."""
    seconds = clock(line.text)
    return {} if seconds is None else {"clock": seconds}


def _child(launcher: str, code: int, **more: Value) -> dict[str, Value]:
    signal = exit_codes.signal_of(code)
    data: dict[str, Value] = {
        "launcher": launcher,
        "exit_code": code,
        "signal": signal,
        "is_collateral": exit_codes.is_terminated(code),
    }
    return data | {key: value for key, value in more.items() if value is not None}
