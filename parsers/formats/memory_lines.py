"""Memory readings that training scripts print themselves, beside whatever else logs the run.

From calls of `torch.cuda.memory_allocated`, `max_memory_allocated`, `memory_reserved` and of psutil's `rss`, in the
wording of the script; they often stand behind a progress bar on the same line:

    step 5 | gpu_mem_allocated_gb: 0.260 | gpu_mem_reserved_gb: 0.266
    [step 120] memory_allocated=12.31GB max_memory_allocated=14.02GB rss=35.1GB
    Step 40: GPU memory allocated: 10240 MB

A reading needs a name that ends in a word for memory, and a unit, in the name or behind the value. Values are in GiB
(the scripts' GB and GiB are taken as printed). DeepSpeed's own memory lines are its reader's matter.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.registry import text_reader
from parsers.regular import RegularReader

MAX_LENGTH: Final = 2000
_READING = Lazy(
    r"(?<![\w])(?P<name>(?:[A-Za-z]{1,12}[_ ])?(?:max[_ ])?(?:mem|memory|vram)[_ ](?:allocated|alloc|reserved|used)"
    r"|(?:\w{1,12}[_ ])?rss)(?:[_ ](?P<inner>gi?b|mi?b))?\s{0,3}[:=]?\s{0,3}"
    r"(?P<value>\d{1,9}(?:\.\d{1,9})?)\s?(?P<outer>gi?b|mi?b)?(?![\w.])",
    2,
)
_STEP = Lazy(r"(?<![A-Za-z])(?:global[_ ])?(?:step|iter|iteration)s?[\]:=#\s\[(]{0,4}(?P<step>\d{1,12})(?![\d.]*\d)", 2)
_OTHERS: Final = ("{'", '{"', "GB Max_MA", "OutOfMemoryError", "out of memory", 'File "')


def _parse(line: Line) -> Iterator[Row]:
    """One row of the readings of a line."""
    text = line.text
    if len(text) > MAX_LENGTH or any(mark in text for mark in _OTHERS):
        return
    values: dict[str, float] = {}
    for found in _READING.finditer(text):
        unit = (found["outer"] or found["inner"] or "").lower()
        if unit:
            values.setdefault(_metric(found["name"].lower()), float(found["value"]) / (1.0 if unit[0] == "g" else 1024.0))
    if values:
        step = _STEP.search(text)
        yield Row(line.no, tuple(values.items()), int(step["step"]) if step else None, "train", line.rank, line.time)


@text_reader(
    "memory_lines",
    title="memory readings printed by the training script",
    hints=(
        "mem_alloc",
        "memory_alloc",
        "emory allocated",
        "mem_reserved",
        "memory_reserved",
        "mem_used",
        "memory_used",
        "rss",
        "RSS",
    ),
    example="step 5 | gpu_mem_allocated_gb: 0.260 | gpu_mem_reserved_gb: 0.266",
    parse=_parse,
    silent=(),
)
class MemoryLines(RegularReader):
    """Reads each line on its own."""

    def feed(self, line: Line) -> Iterable[Row]:
        """One row of the readings of a line."""
        return _parse(line)


def _metric(name: str) -> str:
    if "rss" in name:
        return "memory_host"
    kind = "memory_reserved" if "reserved" in name else "memory_gpu"
    return f"{kind}_max" if "max" in name else kind
