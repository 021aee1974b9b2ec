"""PyTorch Lightning's `RichProgressBar`, whose metrics are wrapped over several lines.

Printed by `lightning/pytorch/callbacks/progress/rich_progress.py`, 1.5 to 2.x. In a file it is drawn once, when training
ends (with `leave=True` once an epoch); in a terminal again and again, between cursor movements. 80 columns:

    Epoch 2/2  ━━━━━━━━━━━━━━━━━ 4/4 0:00:00 • 0:00:00 139.59it/s v_num: 0.000
                                                                  train_loss_step:
                                                                  0.026 val_loss:
                                                                  0.036

Epochs count from 0 and the second number is the last of them. The step is batches, as for the tqdm bar. Names that are longer
than the column are folded in their middle and cannot be told; `metrics.csv` holds the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers.bars import Bar, BarRows
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Record
from parsers.pairs import numbers
from parsers.registry import text_reader

MAX_LINES: Final = 60
"""Further lines that one drawing may have."""
_BAR = Lazy(
    r"^\s{0,8}Epoch (?P<epoch>\d{1,9})/(?P<last>-?\d{1,9}) +[━╸╺ ]{1,400}(?P<at>\d{1,12})/(?P<of>\d{1,12}) "
    r"[\d:]{4,12} • [\d:-]{4,12} +[\d.]{1,12}(?:it/s|s/it)(?P<rest>.*)$"
)
_PAIR = Lazy(r"(?P<name>[A-Za-z_][\w/.\-]{0,60}): {1,8}(?P<value>[-+\d.naife]{1,24})(?=\s|$)")
_MORE: Final = " " * 12


@text_reader(
    "lightning_rich",
    title="PyTorch Lightning (rich bar)",
    hints=(" • ",),
    example="Epoch 2/2  ━━━━━━━━━━━━━━━━━ 4/4 0:00:00 • 0:00:00 139.59it/s v_num: 0.000 train_loss_step: 0.026 val_loss: 0.036",
    is_by_rank=True,
)
class LightningRich:
    """Reads a drawing and the lines that its metrics are wrapped over."""

    def __init__(self) -> None:
        self._rows = BarRows(first_epoch=0)
        self._epoch = -1
        self._head: tuple[int, int, int, Line] | None = None
        self._text: list[str] = []

    @property
    def hungry(self) -> bool:
        """Whether further lines of a drawing may come."""
        return self._head is not None

    def feed(self, line: Line) -> Iterable[Record]:
        """The rows that a new drawing completes."""
        found = _BAR.match(line.text)
        if found:
            yield from self._finish()
            self._head = int(found["epoch"]), int(found["at"]), int(found["of"]), line
            self._text = [found["rest"]]
        elif self._head and line.text.startswith(_MORE) and len(self._text) < MAX_LINES:
            self._text.append(line.text)
        else:
            yield from self._finish()

    def close(self) -> Iterable[Record]:
        """The last drawing's row."""
        yield from self._finish()
        yield from self._rows.close()

    def _finish(self) -> Iterator[Record]:
        if self._head is None:
            return
        (epoch, at, of, line), self._head = self._head, None
        text = " ".join(part.strip() for part in self._text)
        values = numbers((found["name"], found["value"]) for found in _PAIR.finditer(text) if found["name"] != "v_num")
        if epoch != self._epoch:
            yield from self._rows.close()
        self._epoch = epoch
        if values and at:
            yield from self._rows.feed(line, Bar(f"Epoch {epoch}", at, of, values))
