"""W&B's transaction log `wandb/run-<time>-<id>/run-<id>.wandb`: everything that was logged, also without a network.

Written by the client (0.10 on, `sdk/internal/datastore.py`, now wandb-core); framing in `parsers/wandb_records.py`, the
records are `wandb_internal.proto` messages: 2 history, 5 config, 7 stats, 17 run, 18 exit, 26 environment. A value is JSON
text (field 16) or, from 0.20s clients, typed (5 integer, 6 number). Checked against 0.31.0.

`_step` counts calls of `wandb.log`; a global step that is logged beside the values (`train/global_step`,
`trainer/global_step`) is the run's own and is preferred. A "line" of this reader is the record's number.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds, objects
from parsers.model import Event, Fact, Problem, Record, Row, SourceRef, Value
from parsers.registry import file_reader
from parsers.tfevents_fields import BYTES, MalformedError, UnusualError, fields, signed
from parsers.wandb_records import MAGIC, Damage, records

_HISTORY, _CONFIG, _STATS, _RUN, _EXIT, _ENVIRONMENT = 2, 5, 7, 17, 18, 26
_STEPS: Final = ("train/global_step", "trainer/global_step", "global_step")
_DROPPED: Final = frozenset({*_STEPS, "_step", "_timestamp", "_runtime", "_wandb"})
_HELD_OUT: Final = ("eval", "val", "test")
_ENVIRONMENT_FACTS: Final = {2: "package:python", 6: "run:script", 18: "hardware:gpu", 25: "package:cuda"}
_Items = dict[str, object]


@file_reader(
    "wandb_run",
    title="W&B transaction log (run-….wandb)",
    example="run-abc123.wandb",
    matches=lambda _, first: first.startswith(MAGIC),
    is_binary=True,
)
def read(path: Path) -> Iterator[Record]:
    """Rows of the history, facts of configuration and machine, memory of the stats, and how the run ended."""
    step: int | None = None
    with path.open("rb") as file:
        for number, record in enumerate(records(file), 1):
            ref = SourceRef(str(path), number)
            if isinstance(record, Damage):
                yield Problem(ref, "wandb_run", record.reason)
                continue
            try:
                for found in _record(record, ref, step):
                    if isinstance(found, Row):
                        step = found.step
                    yield found
            except (MalformedError, UnusualError, struct.error) as error:
                yield Problem(ref, "wandb_run", f"a record that is no message ({error})")


def _record(data: bytes, ref: SourceRef, step: int | None) -> Iterator[Record]:
    for part in fields(data, 0, len(data)):
        if part.key & 7 != BYTES:
            continue
        inner, kind = data[part.start : part.end], part.key >> 3
        if kind == _HISTORY:
            yield from _history(inner, ref)
        elif kind == _CONFIG:
            yield from _config(inner, ref)
        elif kind == _STATS:
            yield from _stats(inner, ref, step)
        elif kind == _RUN:
            for config in (p for p in fields(inner, 0, len(inner)) if p.key == 4 << 3 | BYTES):
                yield from _config(inner[config.start : config.end], ref)
        elif kind == _EXIT:
            yield from _exit(inner, ref)
        elif kind == _ENVIRONMENT:
            yield from _environment(inner, ref)


def _items(data: bytes, number: int) -> Iterator[tuple[str, object]]:
    """(key, value) of the items in field `number`; nested keys joined with `/`."""
    for part in fields(data, 0, len(data)):
        if part.key == number << 3 | BYTES:
            item = data[part.start : part.end]
            keys: list[str] = []
            value: object = None
            for field in fields(item, 0, len(item)):
                which, text = field.key >> 3, item[field.start : field.end]
                if which in (1, 2) and text:
                    keys.append(text.decode("utf-8", "replace"))
                elif which == 5:
                    value = signed(field.value)
                elif which == 6:
                    value = struct.unpack("<d", text)[0]
                elif which in (7, 8, 16):
                    value = _loaded(text)
            yield "/".join(keys), value


def _loaded(text: bytes) -> object:
    found = objects.load(b'{"_":' + text + b"}") if len(text) < 2**20 else None
    return found["_"] if found else text[:300].decode("utf-8", "replace")


def _history(data: bytes, ref: SourceRef) -> Iterator[Record]:
    items = dict(_items(data, 1))
    printed = next((at for key in _STEPS if (at := objects.as_number(items.get(key))) is not None), None)
    at = printed if printed is not None else objects.as_number(items.get("_step"))
    step = int(at) if at is not None and abs(at) < 1e15 else None
    time = objects.as_number(items.get("_timestamp"))
    found = [(name, value) for name, value in objects.numbers(items) if name not in _DROPPED]
    held_out = tuple(pair for pair in found if pair[0].startswith(_HELD_OUT))
    train = tuple(pair for pair in found if not pair[0].startswith(_HELD_OUT))
    if any(not name.endswith("epoch") for name, _ in train):
        yield Row(ref.line, train, step, "train", None, time)
    if held_out:
        yield Row(ref.line, held_out, step, "eval", None, time)


def _config(data: bytes, ref: SourceRef) -> Iterator[Record]:
    for key, value in _items(data, 1):
        if not key or key == "_wandb":
            continue
        flat = objects.flat(value, f"{key}.") if isinstance(value, dict) else objects.flat({key: value})
        for name, scalar in flat:
            yield Fact(f"arg:{name}", scalar, SourceRef(ref.file, ref.line, f"{name} = {scalar}"), weight=2)


def _stats(data: bytes, ref: SourceRef, step: int | None) -> Iterator[Record]:
    """Memory of the process and of its fullest GPU, at the step that was logged before."""
    items = {key: value for key, raw in _items(data, 3) if (value := objects.as_number(raw)) is not None}
    gpus = [value for key, value in items.items() if key.startswith("gpu.") and key.endswith(".memoryAllocatedBytes")]
    if gpus and step is not None:
        yield Row(ref.line, (("memory_gpu", max(gpus) / 2**30),), step)
    if "proc.memory.rssMB" in items and step is not None:
        yield Row(ref.line, (("memory_host", items["proc.memory.rssMB"] / 1024),), step)


def _exit(data: bytes, ref: SourceRef) -> Iterator[Record]:
    code = next((signed(part.value, 32) for part in fields(data, 0, len(data)) if part.key == 1 << 3), 0)
    quoted = SourceRef(ref.file, ref.line, f"exit_code = {code}")
    if code:
        yield Event(kinds.CHILD_FAILED, quoted, data={"launcher": "wandb", "exit_code": code, "is_root": True})
    else:
        yield Event(kinds.RUN_END, quoted)


def _environment(data: bytes, ref: SourceRef) -> Iterator[Record]:
    for part in fields(data, 0, len(data)):
        key = _ENVIRONMENT_FACTS.get(part.key >> 3)
        if key and part.key & 7 == BYTES and part.end > part.start:
            value: Value = data[part.start : part.end].decode("utf-8", "replace").removeprefix("CPython ")
            yield Fact(key, value, SourceRef(ref.file, ref.line, f"{key.partition(':')[2]} = {value}"), weight=2)
        elif part.key == 19 << 3 and part.value:
            yield Fact("hardware:gpu_count", part.value, SourceRef(ref.file, ref.line, f"gpu_count = {part.value}"), weight=2)
