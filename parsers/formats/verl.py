"""verl: the console backend's one long line a step, two engines in it.

Printed by `verl/utils/tracking.py` / `logger/aggregate_logger.py` (`concat_dict_to_str`), under Ray behind
`(TaskRunner pid=1234) `:

    step:0 - val/test_score/logic:0.000
    step:1 - global_seqlen/min:4127.000 - actor/pg_loss:-0.375 - actor/grad_norm:0.352 - actor/lr:0.000 - critic/score/mean:0.094
    step:1 - actor/entropy:np.float64(0.41) - …                              NumPy 2 prints its scalars so

Three decimals: a learning rate of 1e-06 reads 0.000, so `actor/lr` means nothing there unless it is printed otherwise.
The actor's own metrics (loss, norm, rate) and the critic's get the engine `actor` or `critic`; rewards and returns
(`critic/score/…`) are no engine's. A policy-gradient loss near 0 is normal.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.pairs import numbers
from parsers.registry import text_reader
from parsers.regular import RegularReader

_STEP = Lazy(r"(?:^|\s)step:(?P<step>\d{1,15}) - (?P<rest>[\w@]+[/:].*)")
_BETWEEN = Lazy(r" - (?=[A-Za-z_][^\s:]*:)")
_ENGINES: Final = frozenset({"actor", "critic"})
_SHARED: Final = ("critic/score", "critic/rewards", "critic/advantages", "critic/returns", "critic/values", "critic/kl")
_CONVERT: Final = {
    "perf/max_memory_allocated_gb": ("memory_gpu", 1.0), "perf/throughput": ("throughput_tokens", 1.0),
    "timing_s/step": ("step_time", 1.0), "perf/cpu_memory_used_gb": ("memory_host", 1.0),
}  # fmt: skip


def _parse(line: Line) -> Iterator[Row]:
    """The rows of a step."""
    found = _STEP.search(line.text)
    if not found:
        return
    parts = _BETWEEN.sub("\n", found["rest"]).split("\n")
    pairs = [part.partition(":")[::2] for part in parts]
    step = int(found["step"])
    by_engine: dict[str, list[tuple[str, str]]] = {}
    for name, value in pairs:
        by_engine.setdefault(_engine(name), []).append((name, value))
    for engine, items in by_engine.items():
        values = numbers(items, _CONVERT)
        if values and engine == "val":
            yield Row(line.no, values, step, "eval", line.rank, line.time)
        elif values:
            yield Row(line.no, values, step, "train", line.rank, line.time, engine)


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    return text is not None and b"step: - " not in text


@text_reader(
    "verl",
    title="verl (console logger)",
    hints=("step:",),
    example="step:1 - global_seqlen/min:4127.000 - actor/entropy:np.float64(0.41) - actor/grad_norm:0.35 - actor/pg_loss:-0.0012 "
    "- critic/rewards/mean:0.25 - timing_s/step:31.2",
    parse=_parse,
    silent=("generic_text", "nanogpt"),
    is_dull=_is_dull,
)
class Verl(RegularReader):
    """Reads step lines, a row an engine."""

    def feed(self, line: Line) -> Iterable[Row]:
        """The rows of a step."""
        return _parse(line)


def _engine(name: str) -> str:
    if name.startswith(("val/", "val-")):
        return "val"
    first = name.partition("/")[0]
    return first if first in _ENGINES and not name.startswith(_SHARED) else ""
