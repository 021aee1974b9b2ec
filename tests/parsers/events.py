"""Event files for tests, written record by record with TensorBoard's own messages."""

from __future__ import annotations

import random
import struct
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from parsers.tfevents_crc import crc32c, masked

NAME = "events.out.tfevents.1700000000.node.1.0"
TIME = 1.7e9


def framed(payload: bytes) -> bytes:
    head = struct.pack("<Q", len(payload))
    return head + struct.pack("<I", masked(crc32c(head))) + payload + struct.pack("<I", masked(crc32c(payload)))


def header(length: int) -> bytes:
    head = struct.pack("<Q", length)
    return head + struct.pack("<I", masked(crc32c(head)))


def version(text: str = "brain.Event:2") -> bytes:
    return framed(Event(wall_time=TIME, file_version=text).SerializeToString())


def values(step: int, *items: Summary.Value, time: float | None = None) -> bytes:
    event = Event(wall_time=TIME + step if time is None else time, step=step)
    event.summary.value.extend(items)
    return framed(event.SerializeToString())


def simple(tag: str, value: float) -> Summary.Value:
    return Summary.Value(tag=tag, simple_value=value)


def scalar(tag: str, step: int, value: float, time: float | None = None) -> bytes:
    return values(step, simple(tag, value), time=time)


def tensor(tag: str, plugin: str | None = None, **fields: object) -> Summary.Value:
    """A tensor; `content`, `floats`, `strings` … fill it."""
    value = Summary.Value(tag=tag)
    if plugin is not None:
        value.metadata.plugin_data.plugin_name = plugin
    value.tensor.tensor_shape.SetInParent()
    for name, content in fields.items():
        if isinstance(content, list):
            getattr(value.tensor, name).extend(content)
        else:
            setattr(value.tensor, name, content)
    return value


def text(tag: str, content: str, step: int = 0) -> bytes:
    value = tensor(tag + "/text_summary", "text", dtype=7, string_val=[content.encode()])
    value.tensor.tensor_shape.dim.add(size=1)
    return values(step, value)


def start(step: int) -> bytes:
    event = Event(wall_time=TIME + step, step=step, session_log=SessionLog(status=SessionLog.START))
    return framed(event.SerializeToString())


def write(folder: Path, *records: bytes, name: str = NAME) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"".join(records))
    return path


TAGS = ("a", "b", "loss", "train/loss", "train/grad_norm", "x" * 150, "é/ß", "lr-1", "lr-2", "lr-3", "")


def mixed(rng: random.Random, step: int) -> bytes:
    """Some record that some writer writes."""
    tag, value = rng.choice(TAGS), rng.choice([rng.random(), float("nan"), float("inf"), 0.0, -1e-30])
    kind = rng.choice(
        ["simple"] * 4 + ["float", "content", "double", "half", "bfloat", "long", "many", "text", "histo", "start", "group"]
    )
    if kind == "start":
        return start(step)
    if kind == "text":
        return text(tag, "hello" * rng.randint(1, 30), step)
    items = {
        "simple": lambda: [simple(tag, value)],
        "float": lambda: [tensor(tag + "/f", "scalars", dtype=1, float_val=[value])],
        "content": lambda: [tensor(tag + "/c", dtype=1, tensor_content=struct.pack("<f", value))],
        "double": lambda: [tensor(tag + "/d", "scalars", dtype=2, double_val=[value])],
        "half": lambda: [tensor(tag + "/h", dtype=19, half_val=[rng.randint(0, 30000)])],
        "bfloat": lambda: [tensor(tag + "/b", dtype=14, tensor_content=struct.pack("<f", value)[2:])],
        "long": lambda: [tensor(tag + "/l", dtype=9, int64_val=[rng.randint(-5, 5)])],
        "many": lambda: [simple(other, rng.random()) for other in rng.sample(TAGS, 3)],
        "histo": lambda: [Summary.Value(tag=tag + "/histo")],
        "group": lambda: [simple(tag, value)],
    }[kind]()
    if kind == "histo":
        items[0].histo.bucket.extend([1.0] * rng.randint(1, 50))
    event = Event(wall_time=TIME + step + rng.random(), step=step)
    event.summary.value.extend(items)
    group = b"\x9b\x06\x08\x01\x9c\x06" if kind == "group" else b""  # an unknown field of a kind nobody writes
    return framed(event.SerializeToString() + group)


def some_file(rng: random.Random, count: int, plain: bool = False, first: bytes | None = None) -> bytes:
    """Records whose steps mostly grow."""
    step, parts = 0, [version() if first is None else first]
    for _ in range(count):
        step += rng.choice([0, 0, 1, 1, 3]) if rng.random() > 0.01 else rng.choice([-5, -200, 300])
        parts.append(scalar(rng.choice(TAGS[:-1]), step, rng.random()) if plain else mixed(rng, step))
    return b"".join(parts)
