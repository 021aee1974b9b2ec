"""MaxText (JAX): one line a step.

Printed by `MaxText/train.py`, later `MaxText/metric_logger.py`:

    completed step: 12, seconds: 1.234, TFLOP/s/device: 201.500, Tokens/s/device: 10240.000, total_weights: 65536, loss: 9.876
    completed step: 12, seconds: …, loss: 9.876, lm_loss: 9.870, perplexity: 19333.1                         2025 on
    Completed eval after train step 100, loss=9.500, perplexity=13359.7
    average loss after step=100: eval_loss=9.500, total_weights=65536                                          before
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.pairs import numbers, split
from parsers.registry import text_reader
from parsers.regular import RegularReader

_STEP = Lazy(r"completed step: (?P<step>\d{1,15}), (?P<rest>seconds: .*)")
_EVAL = Lazy(r"(?:Completed eval after train step |average loss after step=)(?P<step>\d{1,15})[,:] (?P<rest>.*)")
_CONVERT: Final = {
    "seconds": ("step_time", 1.0), "Tokens/s/device": ("throughput_tokens", 1.0),
}  # fmt: skip


def _parse(line: Line) -> Iterator[Row]:
    """A row, or nothing."""
    if found := _STEP.search(line.text):
        values = numbers(split(found["rest"], ","), _CONVERT)
        yield Row(line.no, values, int(found["step"]), "train", line.rank, line.time)
    elif found := _EVAL.search(line.text):
        values = numbers(split(found["rest"], ",", "="))
        if values:
            yield Row(line.no, values, int(found["step"]), "eval", line.rank, line.time)


@text_reader(
    "maxtext",
    title="MaxText (JAX)",
    hints=("completed step: ", "Completed eval after train step", "average loss after step="),
    example="completed step: 12, seconds: 1.234, TFLOP/s/device: 201.500, Tokens/s/device: 10240.000, "
    "total_weights: 65536, loss: 9.876",
    parse=_parse,
    silent=("generic_text",),
)
class MaxText(RegularReader):
    """Reads step and evaluation lines."""

    def feed(self, line: Line) -> Iterable[Row]:
        """A row, or nothing."""
        return _parse(line)
