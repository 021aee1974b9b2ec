"""torch's flight recorder: the last collectives of one rank, dumped when a collective timed out.

`torch/csrc/distributed/c10d/FlightRecorder*.hpp`; NCCL's since 2.2, gloo's too since 2.8. One file a rank, named by
`TORCH_FR_DUMP_TEMP_FILE` (before: `TORCH_NCCL_DEBUG_INFO_TEMP_FILE`; `/tmp/nccl_trace_rank_`, since 2.8
`~/.cache/torch/comm_lib_trace_rank_`) plus the rank; a pickle of plain data, or JSON where the program asks for it:

    {"version": "2.10", "pg_config": {"": {"name": "", "desc": "", "ranks": "[0, 1]"}},
     "pg_status": {"0": {"last_enqueued_collective": 6, "last_started_collective": -1, "last_completed_collective": 5}},
     "entries": [{"record_id": 5, "process_group": ["0", "default_pg"], "collective_seq_id": 6, "is_p2p": false,
                  "profiling_name": "gloo:all_reduce", "input_sizes": [[17]], "state": "scheduled", "retired": false,
                  "timeout_ms": 5000, "frames": [{"name": "all_reduce", "filename": "…/distributed_c10d.py", "line": 3906}, …]}]}

The pickle is not unpickled: `parsers.plain_pickle` builds plain values and refuses everything else. One `flight-record` event a
process group: what the rank had enqueued and completed, its last collective, and in `tail` its last calls, each with how often
the rank had made the same call before. `line` is the entry's number.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from parsers import kinds
from parsers.model import MAX_TEXT, Event, Problem, Record, SourceRef, Value
from parsers.plain_pickle import MAX_BYTES, NotPlainError, load
from parsers.registry import file_reader

NAME: Final = "flight_recorder"
MAX_GROUPS: Final = 256
"""Process groups of a dump that are told: large jobs have some dozens a rank."""
MAX_TAIL: Final = 16
"""Last calls of a group that are told: ranks that part wait within a few calls."""

_RANK: Final = re.compile(r"(\d{1,6})(?:\.\w+)?$")
_KEYS: Final = (b"pg_config", b"pg_status", b"comm_lib_version", b"nccl_version", b"collective_seq_id")


def matches(path: Path, first: bytes) -> bool:
    """A pickle or a JSON object that begins as a dump does."""
    begins = first.startswith((b"\x80\x02}", b"\x80\x03}", b"\x80\x04")) or first.lstrip()[:1] == b"{"
    return begins and any(key in first for key in _KEYS) and _RANK.search(path.name) is not None


@file_reader(
    NAME,
    title="torch's flight recorder: the last collectives of a rank",
    example='nccl_trace_rank_3: {"version": "2.10", "pg_status": {"0": {"last_enqueued_collective": 6, …}}, "entries": […]}',
    matches=matches,
    is_binary=True,
)
def read(path: Path) -> Iterator[Record]:
    """One event a process group. A dump that is too large, damaged or no plain data is a Problem."""
    try:
        dump = _load(path)
    except (NotPlainError, ValueError, RecursionError) as error:
        yield Problem(SourceRef(str(path), 1), NAME, f"no flight recorder dump that can be read: {error}")
        return
    found = _RANK.search(path.name)
    rank = int(found[1]) if found else None
    calls, groups = _calls(dump), _dict(dump.get("pg_status"))
    for name in list(dict.fromkeys([*groups, *calls]))[:MAX_GROUPS]:
        yield _event(path, rank, name, _dict(groups.get(name)), calls.get(name, []))


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise NotPlainError(f"larger than {MAX_BYTES >> 20} MB")
    data = path.read_bytes()
    return _dict(load(data) if data[:1] == b"\x80" else json.loads(data))


def _dict(value: object) -> dict[str, Any]:
    """A dict as it is, an empty one for anything else; keys as text (pickles number groups, JSON names them)."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def _calls(dump: Mapping[str, Any]) -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Group → (number, entry) of its collectives; sends and receives between two ranks are left out."""
    found: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    entries = dump.get("entries")
    for number, one in enumerate(entries if isinstance(entries, list) else (), 1):
        entry = _dict(one)
        group = entry.get("process_group")
        if entry.get("is_p2p") is not True:
            name = str(group[0]) if isinstance(group, list | tuple) and group else str(entry.get("pg_id", ""))
            found.setdefault(name, []).append((number, entry))
    return found


def _event(
    path: Path, rank: int | None, group: str, status: Mapping[str, Any], calls: Sequence[tuple[int, Mapping[str, Any]]]
) -> Event:
    number, entry = calls[-1] if calls else (0, {})
    frame = _frame(entry)
    names = entry.get("process_group")
    data: dict[str, Value] = {
        "group": str(names[1]) if isinstance(names, list | tuple) and len(names) > 1 else group,
        "op": _op(entry),
        "seq": _number(entry.get("collective_seq_id")),
        "sizes": _sizes(entry),
        "state": str(entry.get("state") or "")[:20],
        "last_enqueued": _number(status.get("last_enqueued_collective")),
        "last_completed": _number(status.get("last_completed_collective")),
        "timeout_ms": _number(entry.get("timeout_ms")),
        "frame": str(frame.get("filename") or "")[:200],
        "frame_line": _number(frame.get("line")),
        "tail": _tail([entry for _, entry in calls]),
    }
    created = entry.get("time_created_ns")
    time = created / 1e9 if isinstance(created, int) and created > 0 else None
    return Event(
        kinds.FLIGHT_RECORD, SourceRef(str(path), max(1, number), _text(data, rank)[:MAX_TEXT], rank), None, rank, time, data
    )


def _tail(entries: Sequence[Mapping[str, Any]]) -> str:
    """The last calls, a line each: number, how often the rank had made it before, operation, sizes, place; tabs between."""
    made: Counter[tuple[str, str, str]] = Counter()
    lines = []
    for entry in entries:
        frame = _frame(entry)
        place = f"{str(frame.get('filename') or '').rpartition('/')[2][:80]}:{frame.get('line')}" if frame else ""
        call = (_op(entry), _sizes(entry), place)
        seq = _number(entry.get("collective_seq_id"))
        lines.append("\t".join((str(seq), str(made[call]), *(" ".join(part.split()) for part in call))))
        made[call] += 1
    return "\n".join(lines[-MAX_TAIL:])


def _frame(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The innermost frame of the program itself."""
    frames = entry.get("frames")
    found = (_dict(frame) for frame in frames) if isinstance(frames, list | tuple) else iter(())
    return next((one for one in found if "/torch/" not in str(one.get("filename"))), {})


def _op(entry: Mapping[str, Any]) -> str:
    return str(entry.get("profiling_name") or "").rpartition(":")[2][:60]


def _sizes(entry: Mapping[str, Any]) -> str:
    return str(entry.get("input_sizes") or "")[:60]


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62 else None


def _text(data: Mapping[str, Value], rank: int | None) -> str:
    """The event in words: a dump has no line that could be quoted."""
    where = f" at {data['frame']}:{data['frame_line']}" if data["frame"] else ""
    return (
        f"rank {rank}, group {data['group']}: enqueued {data['last_enqueued']}, completed {data['last_completed']}; "
        f"last: {data['op']} {data['sizes']} number {data['seq']} ({data['state']}){where}"
    )
