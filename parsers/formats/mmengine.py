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

from collections.abc import Iterable
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row, RowKind
from parsers.pairs import numbers
from parsers.registry import text_reader

_HEAD = Lazy(
    r"(?P<unit>Epoch|Iter)(?:\((?P<mode>\w+)\))? {1,4}(?:\[(?P<epoch>\d{1,9})\])? ?"
    r"\[ *(?P<at>\d{1,12})/ *(?P<of>\d{1,12})\]\s+(?P<rest>.*)"
)
_ITEM = Lazy(r"(?:^|\s|, ?)(?P<name>[A-Za-z][\w/.@:-]{0,80}): (?P<value>[^\s,]{1,60})")
_VERSION = Lazy(r"^ {4}(?P<name>Python|PyTorch|TorchVision|MMEngine|MMCV|OpenCV): (?P<version>\d[\w.+]{1,30})(?: |$)")
_PACKAGES: Final = {"Python": "python", "PyTorch": "torch", "OpenCV": "opencv-python"}
_CONVERT: Final = {"time": ("step_time", 1.0), "memory": ("memory_gpu", 1 / 1024)}


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
)
class MMEngine:
    """Reads training and validation lines."""

    hungry = False

    def __init__(self) -> None:
        self._per_epoch = 0
        self._last = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """A row, and the plan where iterations are counted."""
        if version := _VERSION.match(line.text):
            name = version["name"]
            yield Fact(f"package:{_PACKAGES.get(name, name.lower())}", version["version"], line.ref)
        found = _HEAD.search(line.text)
        if not found:
            return
        items = ((item["name"], item["value"]) for item in _ITEM.finditer(found["rest"]) if item["name"] != "eta")
        values = numbers(items, _CONVERT)
        if not values:
            return
        mode, at, of = found["mode"] or "train", int(found["at"]), int(found["of"])
        kind: RowKind = "train" if mode == "train" else "eval"
        if kind == "eval":
            step = self._per_epoch * int(found["epoch"]) if found["epoch"] and self._per_epoch else self._last or None
        elif found["epoch"]:
            self._per_epoch = of
            step = (int(found["epoch"]) - 1) * of + at
        else:
            step = at
            if not self._last:
                yield Fact("run:planned_steps", of, line.ref)
        if kind == "train":
            self._last = step or 0
        yield Row(line.no, values, step, kind, line.rank, line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
