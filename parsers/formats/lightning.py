"""PyTorch Lightning and NeMo 1: the tqdm bar with its postfix, and what the Trainer says.

Printed by `lightning/pytorch/callbacks/progress/tqdm_progress.py` and the Trainer, 1.0 to 2.x:

    Epoch 0:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, v_num=0, train_loss_step=0.520, val_loss=0.456]
    Epoch 0: :   6%|▌    | 32040/500150 [6:28:43<94:39:17,  1.37it/s, loss=2.6, v_num=95nc, …]   NeMo 1
    GPU available: True (cuda), used: True
    `Trainer.fit` stopped: `max_epochs=2` reached.

A NaN reads `nan.0`. Values have three significant digits and names of the user's choice. Epochs count from 0; the step is
batches, which is optimizer steps only without gradient accumulation. A bar of that shape is taken for Lightning's only
with `v_num` in it or after Lightning has introduced itself; other bars are the `tqdm_postfix` reader's, and the rich bar is
`lightning_rich`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parsers import kinds
from parsers.bars import BarRows, bars, drawing
from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import rows_of
from parsers.said import Rows, Ticks

_STOPPED = Lazy(r"`Trainer\.(?:fit|validate|test)` stopped: (?P<why>.{0,200})")
_RESTORED = Lazy(r"Restor(?:ing|ed) (?:all )?states from the checkpoint (?:path )?at (?P<path>\S+)")
_MEMBERS = Lazy(r"All distributed processes registered\. Starting with (\d{1,7}) processes")
_NAN = Lazy(
    r"(?:Monitored metric \S+ = \S+ is not finite\.[^\n]{0,200}|The loss returned in `training_step` is (?:nan|inf)[^\n]{0,120})"
)
_PLAN = Lazy(r"max_steps=(\d{1,15})`? reached")


def _parse(line: Line) -> Iterator[Row]:
    """The one bar of a line, if it is Lightning's."""
    if "v_num=" in line.text and "Epoch " in line.text:
        yield from drawing(line)


def _is_dull(hint: bytes, bare: bytes) -> bool:
    text = shown(bare)
    return hint == b"it/s" and text is not None and (b"%|" not in text or b"Epoch " not in text)


@text_reader(
    "lightning",
    title="PyTorch Lightning, Fabric, NeMo 1 (tqdm bar)",
    hints=("v_num=", "it/s", "GPU available: ", "`Trainer.", "states from the checkpoint", "is not finite. Previous",
           "returned in `training_step`", "All distributed processes registered"),
    example="Epoch 0:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, v_num=0, train_loss_step=0.520]",
    is_dull=_is_dull,
    parse=_parse,
    silent=("progress_bar", "tqdm_postfix", "generic_text"),
)  # fmt: skip
class Lightning:
    """Reads the bar and the Trainer's marks."""

    hungry = False
    file = ""
    file_rank: int | None = None

    def __init__(self) -> None:
        self._rows = BarRows(first_epoch=0)
        self._is_lightning = False

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows of a bar, or a mark."""
        text = line.text
        if "%|" in text:
            self._is_lightning |= "v_num=" in text
            if self._is_lightning and "Epoch " in text:
                for bar in bars(text):
                    yield from self._rows.feed(line, bar)
        yield from self._marks(line)

    def refutes(self, hints: Iterable[bytes], lines: bytes) -> bool:
        """Whether these lines are bars of somebody else. Those that name an epoch may be Lightning's, once it is introduced."""
        return all(hint == b"it/s" for hint in hints) and b"Epoch " not in lines

    refutes_all = refutes

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows | Ticks]:
        """The rows and the counts of many bars."""
        self._is_lightning = True
        found = [rows for part in parts for rows in rows_of(part, self.file_rank)]
        return self._rows.columns(found, self.file_rank, is_first=True)

    def close(self) -> Iterable[Record]:
        """The bar's last count."""
        return self._rows.close()

    def _marks(self, line: Line) -> Iterator[Record]:
        text = line.text
        if text.startswith("GPU available: "):
            self._is_lightning = True
            yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=line.time, data={"framework": "lightning"})
        elif found := _STOPPED.search(text):
            if "max_epochs" in found["why"] or "max_steps" in found["why"]:
                yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=line.time)
            if plan := _PLAN.search(text):
                yield Fact("run:planned_steps", int(plan[1]), line.ref)
        elif found := _RESTORED.search(text):
            yield Event(kinds.RESUME, line.ref, rank=line.rank, time=line.time, data={"checkpoint": found["path"]})
        elif found := _NAN.search(text):
            yield Event(kinds.NAN_REPORT, line.ref, rank=line.rank, time=line.time, data={"message": found[0]})
        elif found := _MEMBERS.search(text):
            yield Fact("run:world_size", int(found[1]), line.ref)
