"""Hugging Face `Trainer`: the dict it prints at every `logging_steps`, its banners and its end.

Printed by `transformers/trainer_callback.py` (`ProgressCallback`, `PrinterCallback`), to stdout, glued behind a
progress bar in merged logs:

    {'loss': 4.163, 'learning_rate': 0.0005, 'epoch': 0.17}                                     4.20 – 4.37: no grad_norm
    {'loss': 0.0, 'grad_norm': tensor(nan, device='cuda:0'), 'learning_rate': 2e-05, 'epoch': 0.01}   4.38 with DeepSpeed
    {'loss': 4.163, 'grad_norm': 0.7598933577537537, 'learning_rate': 0.0005, 'epoch': 0.17}    4.38 – 4.57
    {'loss': '4.163', 'grad_norm': '0.7599', 'learning_rate': '0.0005', 'epoch': '0.1667'}      5.0 on: strings, 4 digits

The step is never in it (`steps.py` recovers it). `loss` is a mean over `logging_steps`, with NaN replaced
(`logging_nan_inf_filter`), so an exact 0 mostly means NaN: rules read it so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row, RowKind
from parsers.registry import text_reader
from parsers.values import number, scalar

_DICT = Lazy(r"\{'[^{}]*(?:\{[^{}]*\}[^{}]*)*\}?")
_ITEM = Lazy(
    r"'(?P<key>[\w./ @:+%()-]{1,80})': *(?P<value>'[^']*'|\"[^\"]*\"|(?:tensor|np\.\w+|array|numpy\.\w+)\([^()]*(?:\([^()]*\)[^()]*)*\)"
    r"|\[[^\]]*\]|[^,'\"{}\[\]]+)"
)
_BANNER = Lazy(r"(?P<key>Num examples|Num Epochs|Instantaneous batch size per device|Total train batch size[^=]*|Gradient Accumulation steps|Total optimization steps|Number of trainable parameters|Num update steps per epoch) *= *(?P<value>[\d,.]+)")
_BANNER_KEYS = {
    "Num Epochs": "run:planned_epochs", "Total optimization steps": "run:planned_steps",
    "Instantaneous batch size per device": "run:micro_batch_size", "Gradient Accumulation steps": "run:gradient_accumulation_steps",
    "Num examples": "run:train_examples", "Number of trainable parameters": "run:trainable_parameters",
}  # fmt: skip
_TRAIN_KEYS = frozenset({"loss", "learning_rate", "grad_norm", "reward", "epoch"})


@text_reader(
    "hf_trainer",
    title="Hugging Face Trainer (transformers 4.20–5.x, TRL, PEFT)",
    hints=("{'loss'", "'loss':", "'epoch':", "'learning_rate':", "'eval_loss'", "'train_runtime'", "***** Running training", " = ", "Training completed. Do not forget"),
    example="{'loss': 4.163, 'grad_norm': 0.7598933577537537, 'learning_rate': 0.0005, 'epoch': 0.17}",
)
class HFTrainer:
    """Reads dict lines, the training banner and the end."""

    hungry = False

    def __init__(self) -> None:
        self._in_banner = False

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows, banner facts and start/end events of one line."""
        text = line.text
        if "{'" in text or "{\"" in text:
            yield from self._dicts(line)
        if "***** Running training" in text:
            self._in_banner = True
            yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=line.time, data={"framework": "hf_trainer"})
        elif "***** Running" in text:
            self._in_banner = False
        elif self._in_banner and " = " in text:
            yield from self._banner(line)
        if "Training completed. Do not forget" in text:
            yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=line.time)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _banner(self, line: Line) -> Iterator[Record]:
        found = _BANNER.search(line.text)
        if found:
            key = _BANNER_KEYS.get(found["key"]) or ("run:train_batch_size" if found["key"].startswith("Total train") else "")
            value = scalar(found["value"].replace(",", ""))
            if key:
                yield Fact(key, value, line.ref)

    def _dicts(self, line: Line) -> Iterator[Record]:
        for found in _DICT.finditer(line.text):
            items = {item["key"]: item["value"].strip() for item in _ITEM.finditer(found[0])}
            values = tuple((key, value) for key, text in items.items() if (value := number(text)) is not None)
            kind = _kind(items)
            if kind is None or not values:
                continue
            yield Row(line.no, values, None, kind, line.rank, line.time)
            if kind == "summary":
                data = {key: items.get(key) and number(items[key]) for key in ("train_loss", "train_runtime")}
                yield Event(kinds.RUN_END, line.ref, rank=line.rank, time=line.time, data=data)


def _kind(items: dict[str, str]) -> RowKind | None:
    """train, eval, summary, or None where this is some other dict."""
    if "train_runtime" in items and "loss" not in items:
        return "summary"
    if "loss" in items and (len(items) > 1):
        return "train"
    if any(key.startswith("eval_") for key in items):
        return "eval"
    return "train" if len(_TRAIN_KEYS & items.keys()) > 1 else None
