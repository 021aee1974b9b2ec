"""NeMo 2: the plain progress line of `ProgressPrinter`.

Printed by `nemo/lightning/pytorch/callbacks/progress_printer.py`:

    Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_batch_size: 128 | global_step: 9 | reduced_train_loss: 9.876
        | train_step_timing in s: 1.234 | consumed_samples: 1280 | val_loss: 9.5
    [NeMo W 2024-05-01 12:00:00 nemo_logging:349] …

Values are means over the interval with four significant digits. `global_step` counts from 0. NeMo 1 draws Lightning's bar.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row
from parsers.pairs import numbers, split
from parsers.registry import text_reader

_HEAD = Lazy(r"Training epoch (?P<epoch>\d{1,9}), iteration (?P<at>\d{1,15})/(?P<of>\d{1,15}) \| (?P<rest>.*)")
_CONVERT: Final = {"train_step_timing in s": ("step_time", 1.0), "global_step": ("", 1.0)}


@text_reader(
    "nemo",
    title="NeMo 2",
    hints=("Training epoch ",),
    example="Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_batch_size: 128 | global_step: 9 | "
    "reduced_train_loss: 9.876 | train_step_timing in s: 1.234",
)
class Nemo:
    """Reads progress lines."""

    hungry = False

    def __init__(self) -> None:
        self._of = ""

    def feed(self, line: Line) -> Iterable[Record]:
        """A training row, and one of what was validated."""
        found = _HEAD.search(line.text)
        if not found:
            return
        values = dict(numbers(split(found["rest"], "|"), _CONVERT))
        shown = values.pop("", None)
        step = int(shown) if shown is not None and 0 <= shown < 1e15 else int(found["at"])
        if found["of"] != self._of:
            self._of = found["of"]
            yield Fact("run:planned_steps", int(self._of) + 1, line.ref)
        train = tuple(pair for pair in values.items() if not pair[0].startswith("val"))
        yield Row(line.no, train, step, "train", line.rank, line.time)
        if len(train) < len(values):
            yield Row(line.no, tuple(p for p in values.items() if p not in train), step, "eval", line.rank, line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()
