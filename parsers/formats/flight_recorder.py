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
process group: what the rank had enqueued and completed, and its last collective. `line` is the entry's number.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from parsers import kinds
from parsers.model import MAX_TEXT, Event, Problem, Record, SourceRef, Value
from parsers.plain_pickle import MAX_BYTES, NotPlainError, load
from parsers.registry import file_reader

NAME: Final = "flight_recorder"
MAX_GROUPS: Final = 256
"""Process groups of a dump that are told: large jobs have some dozens a rank."""

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
    last, groups = _last_entries(dump), _dict(dump.get("pg_status"))
    for name in list(dict.fromkeys([*groups, *last]))[:MAX_GROUPS]:
        yield _event(path, rank, name, _dict(groups.get(name)), *last.get(name, (0, {})))


def _load(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MAX_BYTES:
        raise NotPlainError(f"larger than {MAX_BYTES >> 20} MB")
    data = path.read_bytes()
    return _dict(load(data) if data[:1] == b"\x80" else json.loads(data))


def _dict(value: object) -> dict[str, Any]:
    """A dict as it is, an empty one for anything else; keys as text (pickles number groups, JSON names them)."""
    return {str(key): one for key, one in value.items()} if isinstance(value, dict) else {}


def _last_entries(dump: Mapping[str, Any]) -> dict[str, tuple[int, dict[str, Any]]]:
    """Group → (number, entry) of its last collective; sends and receives between two ranks are left out."""
    found: dict[str, tuple[int, dict[str, Any]]] = {}
    entries = dump.get("entries")
    for number, one in enumerate(entries if isinstance(entries, list) else (), 1):
        entry = _dict(one)
        group = entry.get("process_group")
        if entry.get("is_p2p") is not True:
            found[str(group[0]) if isinstance(group, list | tuple) and group else str(entry.get("pg_id", ""))] = (number, entry)
    return found


def _event(path: Path, rank: int | None, group: str, status: Mapping[str, Any], number: int, entry: Mapping[str, Any]) -> Event:
    frames = [_dict(frame) for frame in entry.get("frames") or ()] if isinstance(entry.get("frames"), list | tuple) else []
    frame = next((one for one in frames if "/torch/" not in str(one.get("filename"))), {})
    names = entry.get("process_group")
    data: dict[str, Value] = {
        "group": str(names[1]) if isinstance(names, list | tuple) and len(names) > 1 else group,
        "op": str(entry.get("profiling_name") or "").rpartition(":")[2][:60],
        "seq": _number(entry.get("collective_seq_id")),
        "sizes": str(entry.get("input_sizes") or "")[:60],
        "state": str(entry.get("state") or "")[:20],
        "last_enqueued": _number(status.get("last_enqueued_collective")),
        "last_completed": _number(status.get("last_completed_collective")),
        "timeout_ms": _number(entry.get("timeout_ms")),
        "frame": str(frame.get("filename") or "")[:200],
        "frame_line": _number(frame.get("line")),
    }
    created = entry.get("time_created_ns")
    time = created / 1e9 if isinstance(created, int) and created > 0 else None
    return Event(
        kinds.FLIGHT_RECORD, SourceRef(str(path), max(1, number), _text(data, rank)[:MAX_TEXT], rank), None, rank, time, data
    )


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**62 else None


def _text(data: Mapping[str, Value], rank: int | None) -> str:
    """The event in words: a dump has no line that could be quoted."""
    where = f" at {data['frame']}:{data['frame_line']}" if data["frame"] else ""
    return (
        f"rank {rank}, group {data['group']}: enqueued {data['last_enqueued']}, completed {data['last_completed']}; "
        f"last: {data['op']} {data['sizes']} number {data['seq']} ({data['state']}){where}"
    )
