"""Hugging Face `Trainer`: the dict it prints at every `logging_steps`, its banners, warnings and its end.

Printed by `transformers/trainer_callback.py` (`ProgressCallback` through `tqdm.write`, `PrinterCallback`), to stdout;
in merged logs the dict stands behind the remains of a progress bar. Versions 4.20 to 5.x, and all of TRL:

    {'loss': 4.163, 'learning_rate': 0.0005, 'epoch': 0.17}                                     4.20 – 4.37: no grad_norm
    {'loss': 0.0, 'grad_norm': tensor(nan, device='cuda:0'), 'learning_rate': 2e-05, 'epoch': 0.01}   4.38 with DeepSpeed
    {'loss': 4.163, 'grad_norm': 0.7598933577537537, 'learning_rate': 0.0005, 'epoch': 0.17}    4.38 – 4.57
    {'loss': '4.163', 'grad_norm': '0.7599', 'learning_rate': '0.0005', 'epoch': '0.1667'}      5.0 on: strings, 4 digits
    {'eval_loss': nan, 'eval_runtime': 12.3456, 'eval_samples_per_second': 8.1, 'epoch': 1.0}
    {'train_runtime': 900.12, 'train_samples_per_second': 1.111, 'train_loss': 0.0, 'epoch': 1.0}
    [INFO|trainer.py:2128] 2024-05-01 12:00:00,123 >> ***** Running training *****

The step is never in it (`steps.py` recovers it). `loss` is a mean over `logging_steps`, with NaN replaced
(`logging_nan_inf_filter`), so an exact 0 mostly means NaN: rules read it so. Python cannot parse the dicts
(`nan`, `tensor(…)`), and dicts of several processes run into each other, so items are read one by one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Problem, Record, Row, RowKind, Value
from parsers.plain import NUMBER, Part, Plain
from parsers.registry import text_reader
from parsers.said import Rows
from parsers.values import number, scalar

# One `'key': value` and what ends it. Values: strings, reprs of scalars with nested brackets, lists, plain dicts, words.
_ITEM = Lazy(
    r"\s*'(?P<key>[^'\\]{1,120})': ?(?P<value>(?:"
    r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\""
    r"|[A-Za-z_][\w.]*\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)"
    r"|\[[^\[\]{}]*\]|\{[^{}]*\})\s*|[^,'\"{}\[\]()]+)(?P<end>[,}])"
)
_BANNER = Lazy(
    r"(?P<key>Num examples|Num Epochs|Instantaneous batch size per device|Total train batch size|Gradient Accumulation steps"
    r"|Total optimization steps|Number of trainable parameters|Num update steps per epoch)(?: \([^()]*\))? *= *(?P<value>[\d,.]+)"
)
_BANNER_KEYS = {
    "Num examples": "run:train_examples", "Num Epochs": "run:planned_epochs",
    "Instantaneous batch size per device": "run:micro_batch_size", "Total train batch size": "run:train_batch_size",
    "Gradient Accumulation steps": "run:gradient_accumulation_steps", "Total optimization steps": "run:planned_steps",
    "Number of trainable parameters": "run:trainable_parameters", "Num update steps per epoch": "run:steps_per_epoch",
}  # fmt: skip
_FROM_STEP = Lazy(r"from global step (\d+)|checkpoint-(\d+)")
_CHECKPOINT = Lazy(r"Saving model checkpoint to (?P<path>\S+)")
_PEFT = Lazy(r"trainable params: (?P<train>[\d,]+) \|\| all params: (?P<all>[\d,]+) \|\| trainable%: (?P<share>[\d.]+)")
_NEW = Lazy(r"and are newly initialized(?: because the shapes did not match)?: ?(?P<names>.*)")

MAX_DICTS = 4000
"""Dicts of one line that are read: a log whose line breaks were lost has so many in a fragment."""

# Beside an epoch, one of these makes a dict without a loss a line of training (GRPO, PPO, reward models, `log()` calls).
_PARTNERS = frozenset({"learning_rate", "lr", "grad_norm", "reward", "kl", "entropy", "loss/policy_avg", "objective/kl", "eps"})


@text_reader(
    "hf_trainer",
    title="Hugging Face Trainer (transformers 4.20–5.x, TRL, PEFT)",
    hints=(
        "{'loss'", "'loss':", "'epoch':", "'learning_rate':", "'eval_loss'", "'train_runtime'", "***** Running",
        *_BANNER_KEYS, "Training completed. Do not forget", "Saving model checkpoint to",
        "Continuing training from", "trainable params:", "newly initialized", "None of the inputs have requires_grad",
        "tried to get lr value before",
    ),
    example="{'loss': 4.163, 'grad_norm': 0.7598933577537537, 'learning_rate': 0.0005, 'epoch': 0.17}",
    plain=(
        Plain(
            rf"\{{'loss': ('?)({NUMBER})\1, (?:'grad_norm': \1({NUMBER})\1, )?'learning_rate': \1({NUMBER})\1, "
            rf"'epoch': \1({NUMBER})\1\}}",
            "plain_dict",
            ("{'loss': 4.163, 'grad_norm': 0.7, 'learning_rate': 0.0005, 'epoch': 0.17}",
             "{'loss': '4.163', 'grad_norm': '0.7', 'learning_rate': '0.0005', 'epoch': '0.17'}",
             "{'loss': 4.163, 'learning_rate': 0.0005, 'epoch': 0.17}",
             "{'loss': '4.163', 'learning_rate': '0.0005', 'epoch': '0.17'}"),
            frozenset({"generic_text"}),
            is_columnar=True,
        ),
    ),
)  # fmt: skip
class HFTrainer:
    """Reads dict lines, the training banner, warnings that matter and the end."""

    hungry = False
    file_rank: int | None = None

    def __init__(self) -> None:
        self._in_banner = True  # a log may begin behind the banner's first line; an evaluation's numbers are not training's
        self._planned = 0

    def feed(self, line: Line) -> Iterable[Record]:
        """Rows, banner facts and events of one line."""
        text = line.text
        if "{'" in text:
            yield from self._dicts(line)
        if "***** Running" in text:
            self._in_banner = "Running training" in text
            if self._in_banner:
                yield _event(line, kinds.RUN_START, {"framework": "hf_trainer"})
            elif "valuation" in text:
                yield _event(line, kinds.EVALUATION, {})
        elif self._in_banner and " = " in text:
            yield from _banner(line)
        yield from _messages(line)

    def plain_dict(self, number: int, found: re.Match[bytes]) -> Iterable[Record]:
        """The row of the dict that the Trainer itself prints."""
        _, loss, norm, lr, epoch = found.groups()
        if norm is None:
            values: tuple[tuple[str, float], ...] = (
                ("loss", float(loss)), ("learning_rate", float(lr)), ("epoch", float(epoch)),
            )  # fmt: skip
        else:
            values = ("loss", float(loss)), ("grad_norm", float(norm)), ("learning_rate", float(lr)), ("epoch", float(epoch))
        return (Row(number, values, None, "train", self.file_rank, None),)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows]:
        """The rows of many such dicts."""
        found = []
        for _, at, lines, cells in parts:
            named = (("loss", 2), ("grad_norm", 3), ("learning_rate", 4), ("epoch", 5))
            names = tuple(name for name, group in named if cells.has(group))
            columns = tuple(cells.floats(group) for _, group in named if cells.has(group))
            found.append(Rows(at, lines, names, columns, rank=self.file_rank))
        return found

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _dicts(self, line: Line) -> Iterator[Record]:
        text, at, count = line.text, line.text.find("{'"), 0
        while at >= 0:
            if count >= MAX_DICTS:
                yield Problem(line.ref, "hf_trainer", f"a line of more than {MAX_DICTS:,} dicts: the others were passed over.")
                return
            count += 1
            items, end = _items(text, at + 1)
            step, planned = _progress(items)
            records = tuple(_row(line, items, step))
            yield from records
            if planned and records and planned != self._planned:
                self._planned = planned
                yield Fact("run:planned_steps", planned, line.ref)
            at = text.find("{'", end)


def _event(line: Line, kind: str, data: Mapping[str, Value], step: int | None = None) -> Event:
    return Event(kind, line.ref, step, line.rank, line.time, data)


def _banner(line: Line) -> Iterator[Record]:
    found = _BANNER.search(line.text)
    value = scalar(found["value"].replace(",", "")) if found else None
    if found and value is not None:
        yield Fact(_BANNER_KEYS[found["key"]], value, line.ref)


def _messages(line: Line) -> Iterator[Record]:
    text = line.text
    if "Continuing training from" in text:
        found = _FROM_STEP.search(text)
        if found or "checkpoint" in text:
            step = int(found[1] or found[2]) if found else None
            yield _event(line, kinds.RESUME, {"step": step}, step)
    elif "Saving model checkpoint to" in text:
        found = _CHECKPOINT.search(text)
        if found:
            at = _FROM_STEP.search(found["path"])
            yield _event(line, kinds.CHECKPOINT, {"path": found["path"]}, int(at[2]) if at and at[2] else None)
    elif "Training completed. Do not forget" in text:
        yield _event(line, kinds.RUN_END, {})
    elif "tried to get lr value before" in text:
        yield _event(line, kinds.LR_ZERO_WARNING, {})
    elif "None of the inputs have requires_grad" in text:
        yield _event(line, kinds.NO_GRAD_INPUTS, {})
    elif "newly initialized" in text:
        found = _NEW.search(text)
        if found:
            yield _event(line, kinds.NEWLY_INITIALIZED, {"count": found["names"].count("'") // 2, "message": text[:300]})
    elif "trainable params:" in text:
        yield from _peft(line)


def _peft(line: Line) -> Iterator[Record]:
    found = _PEFT.search(line.text)
    if found:
        yield Fact("run:trainable_parameters", int(found["train"].replace(",", "") or 0), line.ref)
        yield Fact("run:parameters", int(found["all"].replace(",", "") or 0), line.ref)
        yield Fact("run:trainable_percent", number(found["share"]), line.ref)


def _items(text: str, at: int) -> tuple[dict[str, str], int]:
    """The whole items from `at` on, and where they end: at a brace, or where the line was torn."""
    items: dict[str, str] = {}
    while found := _ITEM.match(text, at):
        items[found["key"]] = found["value"].strip()
        at = found.end()
        if found["end"] == "}":
            break
    return items, at


def _progress(items: dict[str, str]) -> tuple[int | None, int | None]:
    """(step, planned steps) where a callback adds them, taken out of the items: `'global_step/max_steps': '5/100'`."""
    of = items.pop("global_step/max_steps", "").strip("'\"").partition("/")
    step, planned = of[0] or items.pop("global_step", "") or items.pop("step", ""), of[2] or items.pop("max_steps", "")
    items.pop("percentage", None)
    return (int(step) if step.isdecimal() else None), (int(planned) if planned.isdecimal() else None)


def _row(line: Line, items: dict[str, str], step: int | None) -> Iterator[Record]:
    values = tuple(_timed(key, value) for key, text in items.items() if (value := number(text)) is not None)
    kind = _kind(items, dict(values))
    if kind is None:
        return
    yield Row(line.no, values, step if kind != "summary" else None, kind, line.rank, line.time)
    if kind == "summary":
        named = dict(values)
        data: dict[str, Value] = {key: named.get(key) for key in ("train_loss", "train_runtime")}
        yield _event(line, kinds.RUN_END, data)


def _timed(key: str, value: float) -> tuple[str, float]:
    """ms-swift's speed as seconds a step: it printed steps a second up to 3.12.4 and their inverse from then on."""
    if key == "train_speed(iter/s)" and value > 0:
        return "step_time", 1 / value
    return ("step_time" if key == "train_speed(s/it)" else key), value


def _kind(items: Mapping[str, str], values: Mapping[str, float]) -> RowKind | None:
    """train, eval, summary, or None where this is some other dict (a configuration, a sample)."""
    if "loss" in values:
        return "train"
    if "train_runtime" in values:
        return "summary"
    if len(values) < 0.6 * len(items):
        return None
    if any(key.startswith(("eval_", "test_", "predict_")) and key in values for key in items):
        return "eval" if "epoch" in values or any(key.endswith(("_loss", "_runtime")) for key in values) else None
    return "train" if "epoch" in values and _PARTNERS & values.keys() else None
