r"""OpenMMLab: mmengine, XTuner 0.x, and mmcv 1.x before them.

    05/01 10:00:00 - mmengine - INFO - Epoch(train)  [1][ 100/1000]  lr: 1.0000e-02  eta: 1:02:03  time: 0.1234  data_time: 0.0056
        memory: 10240  grad_norm: 0.5120  loss: 1.2345            mmengine `LoggerHook`, `log_processor.py`: two blanks between
    05/01 10:00:00 - mmengine - INFO - Iter(train) [ 10/500]  lr: 2.0000e-05  …                                 by iterations
    05/01 10:00:00 - mmengine - INFO - Epoch(val) [1][50/50]    accuracy/top1: 70.1000
    2021-05-01 10:00:00,123 - mmdet - INFO - Epoch [1][50/7330]\tlr: 1.978e-03, eta: 1:02:03, time: 0.5, loss: 1.2   mmcv

    System environment:
        Python: 3.11.7 (main, …) [GCC 12.2.0]
        PyTorch: 2.14.1+cpu
        MMEngine: 0.10.7           `mmengine/utils/dl_utils/collect_env.py`

Checked against mmengine 0.10.7. `[epoch][i/n]` counts within the epoch: the step is (epoch − 1)·n + i. `time` is
seconds an iteration, `memory` MB.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row, RowKind
from parsers.pairs import numbers
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, recounted, rows_of
from parsers.said import Rows

_HEAD = Lazy(
    r"(?P<unit>Epoch|Iter)(?:\((?P<mode>\w+)\))? {1,4}(?:\[(?P<epoch>\d{1,9})\])? ?"
    r"\[ *(?P<at>\d{1,12})/ *(?P<of>\d{1,12})\]\s+(?P<rest>.*)"
)
_ITEM = Lazy(r"(?:^|\s|, ?)(?P<name>[A-Za-z][\w/.@:-]{0,80}): (?P<value>[^\s,]{1,60})")
_VERSION = Lazy(r"^ {4}(?P<name>Python|PyTorch|TorchVision|MMEngine|MMCV|OpenCV): (?P<version>\d[\w.+]{1,30})(?: |$)")
_PACKAGES: Final = {"Python": "python", "PyTorch": "torch", "OpenCV": "opencv-python"}
_CONVERT: Final = {"time": ("step_time", 1.0), "memory": ("memory_gpu", 1 / 1024)}


def _parse(line: Line) -> Iterator[Row]:
    """The row of a training line, with what its step is counted from."""
    found = _HEAD.search(line.text)
    if found and (found["mode"] or "train") == "train":
        yield from _row(line, found)


def _row(line: Line, found: re.Match[str]) -> Iterator[Row]:
    items = ((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"]) if item["name"] != "eta")
    values = numbers(items, _CONVERT)
    if values:
        kind: RowKind = "train" if (found["mode"] or "train") == "train" else "eval"
        counts = tuple((f"@{name}", float(found[name])) for name in ("epoch", "of") if found[name])
        yield Row(line.no, values + counts, int(found["at"]), kind, line.rank, line.time)


@text_reader(
    "mmengine",
    title="mmengine, XTuner 0.x, mmcv 1.x",
    hints=(
        "Epoch(",
        "Iter(",
        "INFO - Epoch [",
        "INFO - Iter [",
        "    Python: ",
        "    PyTorch: ",
        "    TorchVision: ",
        "    MMEngine: ",
        "    MMCV: ",
        "    OpenCV: ",
    ),
    example="05/01 10:00:00 - mmengine - INFO - Epoch(train)  [1][ 100/1000]  lr: 1.0000e-02  eta: 1:02:03  time: 0.1234  "
    "data_time: 0.0056  memory: 10240  grad_norm: 0.5120  loss: 1.2345",
    parse=_parse,
    silent=("generic_text",),
)
class MMEngine(RegularReader):
    """Reads training and validation lines."""

    def __init__(self) -> None:
        self._per_epoch = 0
        self._last = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, and the plan where iterations are counted."""
        if version := _VERSION.match(line.text):
            name = version["name"]
            yield Fact(f"package:{_PACKAGES.get(name, name.lower())}", version["version"], line.ref)
        found = _HEAD.search(line.text)
        for row in _row(line, found) if found else ():
            shown = dict(row.values)
            epoch, of = shown.pop("@epoch", None), shown.pop("@of", None)
            if row.kind == "eval":
                step = self._per_epoch * int(epoch) if epoch is not None and self._per_epoch else self._last or None
            else:
                if epoch is None and not self._last:
                    yield Fact("run:planned_steps", int(of or 0), line.ref)
                step = self._count(row.step, epoch, of)
            yield row._replace(values=tuple(shown.items()), step=step)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many training lines, once the plan is told."""
        found = [rows for part in parts for rows in rows_of(part, self.file_rank)]
        if any("@epoch" not in rows.names and (not self._last or 0 in (rows.steps or ())) for rows in found):
            return None
        return recounted(found, self._count, "@epoch", "@of")

    def _count(self, at: int | None, epoch: float | None, of: float | None) -> int:
        """The step of a training line."""
        step = at or 0
        if epoch is not None:
            self._per_epoch = int(of or 0)
            step += (int(epoch) - 1) * self._per_epoch
        self._last = step
        return step
