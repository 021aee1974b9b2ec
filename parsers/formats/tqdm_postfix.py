"""Scripts that show their metrics in a tqdm bar (accelerate examples, diffusers, OpenRLHF, hand-written loops).

    Steps:  40%|████      | 200/500 [01:00<01:30,  3.31it/s, loss=0.0523, lr=1e-5]         diffusers `train_*.py`
    Train step of epoch [0]:  40%|████  | 2/5 [00:01<00:02,  1.31s/it, gpt_loss=1.23, loss_mean=1.2, lr=1e-5]   OpenRLHF SFT
    Epoch 1/3 loss: 0.5123:  40%|████      | 2/5 [00:01<00:02,  1.31it/s]

A fallback: it counts only where no other reader found a training loss. The step is the bar's count; a bar that begins
again with every epoch goes on counting where its description names the epoch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from parsers.bars import BarRows, bars, drawing
from parsers.dull import shown
from parsers.line import Line
from parsers.model import Record, Row
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import rows_of
from parsers.said import Rows, Ticks


def _parse(line: Line) -> Iterator[Row]:
    """The one bar of a line."""
    if "=" in line.text or "loss" in line.text.lower():
        yield from drawing(line)


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    return text is not None and (b"%|" not in text or (b"=" not in text and b"loss" not in text.lower()))


@text_reader(
    "tqdm_postfix",
    title="tqdm bars with metrics (accelerate, diffusers, OpenRLHF, own loops)",
    hints=("it/s", "s/it"),
    example="Steps:  40%|████      | 200/500 [01:00<01:30,  3.31it/s, loss=0.0523, lr=1e-5]",
    is_fallback=True,
    is_dull=_is_dull,
    parse=_parse,
    silent=("progress_bar", "generic_text"),
)
class TqdmPostfix:
    """Reads bars with metrics."""

    hungry = False
    file = ""
    file_rank: int | None = None

    def __init__(self) -> None:
        self._rows = BarRows()

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows of the counts before this drawing."""
        if "%|" in line.text and ("=" in line.text or "loss" in line.text.lower()):
            for bar in bars(line.text):
                yield from self._rows.feed(line, bar)

    def refutes(self, _: Iterable[bytes], lines: bytes) -> bool:
        """Whether no bar of these lines has a metric."""
        return b"%|" not in lines or (b"=" not in lines and b"loss" not in lines.lower())

    refutes_all = refutes

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows | Ticks]:
        """The rows and the counts of many bars."""
        return self._rows.columns([rows for part in parts for rows in rows_of(part, self.file_rank)], self.file_rank)

    def close(self) -> Iterable[Record]:
        """The bar's last count."""
        return self._rows.close()
