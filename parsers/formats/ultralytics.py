"""Ultralytics YOLO's console: a bar an epoch, a table row a validation (`ultralytics/engine/trainer.py`, `validator.py`).

    Ultralytics 8.4.190 🚀 Python-3.11.7 torch-2.14.1+cu130 CPU (Intel Xeon Processor)
          Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size
            1/6         0G     0.3979     0.8657     0.2584          8         64: 100% ━━━━━━━━━━━━ 4/4 6.5it/s 0.6s
                     Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 1/1 9.8it/s
                       all          8          8          0          0          0          0
    6 epochs completed in 0.001 hours.

8.3 and before draw tqdm's bar (`100%|██████████| 4/4 [00:01<…]`), YOLOv5 counts epochs from 0. Losses are means over the
epoch so far, so only the full bar counts. Names and sums are those of `results.csv` (`ultralytics_csv`), the axis is epochs.
Checked against 8.4.190.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds
from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row
from parsers.registry import text_reader
from parsers.values import number

_BANNER = Lazy(
    r"Ultralytics (?:YOLOv?)?(?P<own>\d[\w.]{2,20}) .{0,8}Python-(?P<python>\d[\w.]{1,12}) torch-(?P<torch>\d[\w.+]{2,24})"
)
_DONE = Lazy(r"^\d{1,7} epochs completed in [\d.]{1,12} hours")
_COUNT = Lazy(r"(\d{1,7})/(\d{1,7})$")
_MEASURES: Final = {
    6: ("metrics/precision(B)", "metrics/recall(B)", "metrics/mAP50(B)", "metrics/mAP50-95(B)"),
    2: ("metrics/accuracy_top1", "metrics/accuracy_top5"),
}
"""By the figures behind `all`: of detection the first two count images and instances."""
_NOT_LOSSES: Final = frozenset({"epoch", "gpu_mem", "instances", "labels", "size", "img_size"})
MAX_LENGTH: Final = 2000


def _is_dull(hint: bytes, bare: bytes) -> bool:
    text = shown(bare)
    return hint.lower() == b"gpu_mem" and text is not None and b"epoch" not in text.lower()


@text_reader(
    "ultralytics",
    title="Ultralytics YOLO (console)",
    hints=("GPU_mem", "gpu_mem", ": 100%", "    all   ", " epochs completed in ", "Ultralytics "),
    example="        1/6         0G     0.3979     0.8657     0.2584          8         64: 100% ━━━━━━━━━━━━ 4/4 6.5it/s 0.6s",
    is_by_rank=True,
    is_dull=_is_dull,
)
class Ultralytics:
    """Reads the header of the bars, each epoch's full bar and the validation below it."""

    hungry = False

    def __init__(self) -> None:
        self._columns: list[str] = []
        self._row: Row | None = None
        self._epoch: int | None = None
        self._planned = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """The rows of an epoch, the plan, versions, the end."""
        text = line.text[:MAX_LENGTH]
        if "gpu_mem" in (low := text.lower()) and "epoch" in low:
            self._columns = low.split()
        elif found := _DONE.match(text):
            yield from self._flush()
            self._columns = []
            yield Event(kinds.RUN_END, line.ref, self._epoch, line.rank, line.time)
        elif found := _BANNER.search(text):
            names = {"ultralytics": found["own"], "python": found["python"], "torch": found["torch"]}
            yield from (Fact(f"package:{name}", version, line.ref) for name, version in names.items())
        elif self._columns:
            yield from self._table(line, text)

    def close(self) -> Iterable[Record]:
        """The last epoch's bar."""
        return self._flush()

    def _table(self, line: Line, text: str) -> Iterator[Record]:
        bar, is_full, _ = text.partition(": 100%")
        cells = bar.split()
        if is_full and len(cells) == len(self._columns) and (count := _COUNT.match(cells[0])):
            yield from self._full(line, cells, int(count[1]), int(count[2]))
        elif cells[:1] == ["all"] and self._epoch is not None:
            figures = [value for cell in cells[1:] if (value := number(cell)) is not None]
            names = _MEASURES.get(len(figures))
            if names:
                yield from self._flush()
                yield Row(
                    line.no, tuple(zip(names, figures[-len(names) :], strict=True)), self._epoch, "eval", line.rank, line.time
                )

    def _full(self, line: Line, cells: list[str], epoch: int, planned: int) -> Iterator[Record]:
        """A full bar: it is drawn again with its last figures, so it is told when the next thing comes."""
        if epoch != self._epoch:
            yield from self._flush()
        if planned != self._planned:
            self._planned = planned
            yield Fact("run:planned_steps", planned, line.ref)
        named = list(zip(self._columns, cells, strict=True))
        losses = [
            (f"train/{name.removesuffix('_loss')}_loss", value)
            for name, cell in named
            if name not in _NOT_LOSSES and (value := number(cell)) is not None
        ]
        memory = number(dict(named).get("gpu_mem", "").removesuffix("G"))
        if losses:
            self._epoch = epoch
            gpu = (("memory_gpu", memory),) if memory else ()
            values = (("loss", sum(value for _, value in losses)), *losses, *gpu)
            self._row = Row(line.no, values, epoch, "train", line.rank, line.time)

    def _flush(self) -> Iterator[Record]:
        row, self._row = self._row, None
        if row:
            yield row
