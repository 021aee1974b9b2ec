"""MLflow's file store `mlruns/<experiment>/<run>/`: one file a metric or parameter, and `meta.yaml`.

Written by `mlflow/store/tracking/file_store.py`:

    metrics/train/loss      1795487985000 0.5123 10          milliseconds, value (`nan`, `inf`), step; a key with `/` is a path
    params/learning_rate    2e-05
    meta.yaml               status: 3                        1 running, 3 finished, 4 failed, 5 killed; end_time in ms

The step is what the program gave (0 where it gave none).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from parsers import kinds
from parsers.columns import is_eval
from parsers.lazy import Lazy
from parsers.model import Event, Fact, Problem, Record, Row, SourceRef
from parsers.registry import file_reader
from parsers.source import blocks
from parsers.values import number, scalar

_METRIC = Lazy(r"^(?P<time>\d{10,16}) (?P<value>[-+\w.]{1,40})(?: (?P<step>-?\d{1,15}))?(?: \S{1,200}){0,3}$")
_META = Lazy(r"^(?P<key>status|end_time|run_name|run_id): *(?P<value>\S.{0,200})$")
_ENDED: Final = {"3": kinds.RUN_END, "FINISHED": kinds.RUN_END, "4": kinds.CHILD_FAILED, "FAILED": kinds.CHILD_FAILED,
                 "5": kinds.SIGNAL, "KILLED": kinds.SIGNAL}  # fmt: skip
MAX_META: Final = 2**16


def _root(path: Path) -> tuple[str, str]:
    """("metrics", key), ("params", key), ("meta", "") or ("", "")."""
    if path.name == "meta.yaml":
        return "meta", ""
    parts = path.parts
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] in ("metrics", "params"):
            return parts[index], "/".join(parts[index + 1 :])
    return "", ""


def _matches(path: Path, first: bytes) -> bool:
    kind, _ = _root(path)
    line = first.partition(b"\n")[0].decode("utf-8", "replace").rstrip("\r")
    if kind == "metrics":
        return _METRIC.match(line) is not None
    if kind == "params":
        return any((parent.parent / "meta.yaml").is_file() for parent in path.parents if parent.name == "params")
    return kind == "meta" and b"artifact_uri:" in first and b"lifecycle_stage:" in first and b"run_id" in first


@file_reader(
    "mlflow",
    title="MLflow file store (mlruns)",
    example="1795487985000 0.5123 10",
    matches=_matches,
)
def read(path: Path) -> Iterator[Record]:
    """Rows of a metric, the fact of a parameter, or how the run ended."""
    kind, key = _root(path)
    lines = (pair for block in blocks(path) for pair in enumerate(block.data.split(b"\n"), block.line))
    for line, data in lines:
        text = data[:4096].decode("utf-8", "replace").strip()
        ref = SourceRef(str(path), line, text[:300])
        if not text:
            continue
        if kind == "metrics":
            yield _metric(key, text, ref)
        elif kind == "params":
            yield Fact(f"arg:{key}", scalar(text[:300]), ref, weight=2)
            return
        elif (found := _META.match(text)) and found["key"] == "status" and found["value"] in _ENDED:
            yield _end(found["value"], ref)


def _metric(key: str, text: str, ref: SourceRef) -> Row | Problem:
    found = _METRIC.match(text)
    value = number(found["value"]) if found else None
    if found is None or value is None:
        return Problem(ref, "mlflow", "no line of time, value and step: torn or still being written")
    time = int(found["time"]) / (1000 if len(found["time"]) > 11 else 1)
    kind = "eval" if is_eval(key) else "train"
    return Row(ref.line, ((key, value),), int(found["step"] or 0), "eval" if kind == "eval" else "train", None, time)


def _end(status: str, ref: SourceRef) -> Event:
    kind = _ENDED[status]
    if kind == kinds.CHILD_FAILED:
        return Event(kind, ref, data={"launcher": "mlflow"})
    return Event(kind, ref, data={"sender": "mlflow"} if kind == kinds.SIGNAL else {})
