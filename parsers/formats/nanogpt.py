"""nanoGPT and its children: modded-nanogpt, build-nanogpt, llm.c, and prints in their manner.

    iter 250: loss 3.1416, time 132.10ms, mfu 41.20%                              nanoGPT `train.py`
    step 250: train loss 3.1400, val loss 3.2000                                  nanoGPT, at every evaluation
    step:125/3175 val_loss:4.48721 train_time:67.200s step_avg:537.60ms           modded-nanogpt `train_gpt.py`
    step:10/1000, tokens seen:0.59M, avg_train_loss:10.0153 time:125/nans step_avg:nanms    forks of it
    s:395 trl:4.591895 / s:250 tel:6.3097                                         its early logs: train and test loss
    step    10 | loss: 9.523163 | lr 1.0000e-04 | norm: 1.2345 | dt: 300.00ms | tok/sec: 1500000       build-nanogpt
    step    1/18865 | loss 10.9 (+nanz)| norm 15.3 (+nanz)| lr 8.57e-07 | 3500 ms | 50% bf16 MFU | 150000 tok/s    llm.c
    val loss 3.294180                                                             llm.c, without a step
    iter 83594: loss 1.9491, time: 6235.95ms, speed: 1771 toks/s/device           lit-llama, lit-gpt
    Epoch 1 | iter 100 step 25 | loss train: 1.234, val: n/a | iter time: 123.45 ms (step)              litgpt

In modded-nanogpt a line with `val_loss` belongs to an evaluation; `train_time` and `step_avg` are clocks of the run, and
`step_avg:nanms` at the first steps says only that the clock was not running yet. The train loss of nanoGPT's `step`
line is an average over `eval_iters` batches; it stands beside the `iter` lines as a series of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row, RowKind
from parsers.pairs import numbers
from parsers.registry import text_reader
from parsers.values import number

_NUMBER: Final = r"[-+]?(?:nan|inf|[\d.,]+(?:e[-+]?\d+)?)"
_ITER = Lazy(
    rf"(?:^|[^\w])iter (?P<step>\d{{1,15}}): loss (?P<loss>{_NUMBER}), time (?P<time>{_NUMBER})ms(?:, mfu (?P<mfu>{_NUMBER})%)?",
    2,
)
_LIT = Lazy(
    rf"iter (?P<iter>\d{{1,15}})(?: step (?P<step>\d{{1,15}}))?(?::| \|) loss (?:train: )?(?P<loss>{_NUMBER}),"
    rf"(?: val: (?P<val>\S+) \|)? (?:iter )?time: (?P<time>{_NUMBER}) ?ms(?:, speed: (?P<speed>{_NUMBER}))?", 2,
)  # fmt: skip
_EVAL = Lazy(rf"(?:^|[^\w])step (?P<step>\d{{1,15}}): train loss (?P<train>{_NUMBER}), val loss (?P<val>{_NUMBER})", 2)
_MODDED = Lazy(
    r"(?:^|\s|\])step:(?P<step>\d{1,15})(?:/(?P<total>\d{1,15}))?,? (?P<rest>.*(?:(?:val|train)_loss|train_time|step_avg):.*)"
)
_PAIR = Lazy(rf"(?P<name>\w+): ?(?P<value>{_NUMBER})(?P<unit>ms|s)?(?![\w/])", 2)
_SHORT = Lazy(rf"^s:(?P<step>\d{{1,15}}) (?P<name>trl|tel):(?P<value>{_NUMBER})", 2)
_PIPED = Lazy(r"(?:^|\s)step +(?P<step>\d{1,15})(?:/(?P<total>\d{1,15}))? \| (?P<rest>(?:train )?loss:? .*)")
_FIELD = Lazy(rf"(?P<name>[a-z]+(?:[ /][a-z]+)?):? (?P<value>{_NUMBER})(?P<unit>ms)?", 2)
_RATE = Lazy(rf"(?P<value>{_NUMBER}) (?P<unit>ms|tok/s)\b")
_VAL = Lazy(rf"^val loss (?P<value>{_NUMBER})$", 2)
_PLAN = Lazy(r"number of parameters: ([\d.]+)M")
_CONVERT: Final = {"dt": ("step_time", 1e-3), "time": ("step_time", 1e-3), "norm": ("grad_norm", 1.0)}


@text_reader(
    "nanogpt",
    title="nanoGPT, modded-nanogpt, build-nanogpt, llm.c, LitGPT",
    hints=("iter ", "train loss ", "step:", " trl:", " tel:", "| loss", "val loss ", "number of parameters: "),
    example="iter 250: loss 3.1416, time 132.10ms, mfu 41.20%",
    is_by_rank=True,
)
class NanoGPT:
    """Reads the training and evaluation lines of the family."""

    hungry = False

    def __init__(self) -> None:
        self._total = ""

    def feed(self, line: Line) -> Iterable[Record]:
        """The rows of this line, in whichever child's manner."""
        text = line.text[:4000]
        for read in (_iter, _lit, _eval, self._modded, _short, self._piped, _val):
            records = list(read(line, text))
            if records:
                yield from records
                return
        if found := _PLAN.search(text):
            millions = number(found[1])
            if millions is not None:
                yield Fact("run:trainable_parameters", round(millions * 1e6), line.ref)

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _plan(self, line: Line, total: str | None) -> Iterator[Record]:
        if total and total != self._total:
            self._total = total
            yield Fact("run:planned_steps", int(total), line.ref)

    def _modded(self, line: Line, text: str) -> Iterator[Record]:
        found = _MODDED.search(text)
        if not found or " - " in found["rest"]:
            return
        pairs = [(m["name"], m["value"], m["unit"]) for m in _PAIR.finditer(found["rest"])]
        losses = numbers((name, value) for name, value, _ in pairs if "loss" in name)
        step = int(found["step"])
        yield from self._plan(line, found["total"])
        if step == 0 and losses:
            yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=line.time, data={"framework": "nanogpt"})
        for kind in ("train", "eval"):
            values = tuple(pair for pair in losses if pair[0].startswith("val") == (kind == "eval"))
            if values:
                yield _row(line, values, step, "eval" if kind == "eval" else "train")
        average = [(m[0], m[1], m[2]) for m in pairs if m[0] == "step_avg" and m[2] and m[1].lower() != "nan"]
        if average:
            factor = 1e-3 if average[0][2] == "ms" else 1.0
            yield _row(line, numbers([average[0][:2]], {"step_avg": ("step_avg", factor)}), step, "train")

    def _piped(self, line: Line, text: str) -> Iterator[Record]:
        found = _PIPED.search(text)
        if not found:
            return
        values = dict(numbers(((m["name"], m["value"]) for m in _FIELD.finditer(found["rest"])), _CONVERT))
        for rate in _RATE.finditer(found["rest"]):
            name, factor = ("step_time", 1e-3) if rate["unit"] == "ms" else ("throughput_tokens", 1.0)
            if shown := numbers([(name, rate["value"])], {name: (name, factor)}):
                values.setdefault(*shown[0])
        yield from self._plan(line, found["total"])
        yield _row(line, tuple(values.items()), int(found["step"]), "train")


def _row(line: Line, values: tuple[tuple[str, float], ...], step: int | None, kind: RowKind) -> Row:
    return Row(line.no, values, step, kind, line.rank, line.time)


def _iter(line: Line, text: str) -> Iterator[Record]:
    if found := _ITER.search(text):
        values = dict(numbers([("loss", found["loss"]), ("time", found["time"])], _CONVERT))
        mfu = numbers([("mfu", found["mfu"] or "")])
        if mfu and mfu[0][1] >= 0:  # -100 stands for "not known yet"
            values.update(mfu)
        yield _row(line, tuple(values.items()), int(found["step"]), "train")


def _lit(line: Line, text: str) -> Iterator[Record]:
    if found := _LIT.search(text):
        items = [("loss", found["loss"]), ("time", found["time"]), ("throughput_tokens", found["speed"] or "")]
        step = int(found["step"] or found["iter"])
        yield _row(line, numbers(items, _CONVERT), step, "train")
        if held_out := numbers([("val_loss", found["val"] or "")]):
            yield _row(line, held_out, step, "eval")


def _eval(line: Line, text: str) -> Iterator[Record]:
    if found := _EVAL.search(text):
        yield _row(line, numbers([("train loss", found["train"])]), int(found["step"]), "train")
        yield _row(line, numbers([("val loss", found["val"])]), int(found["step"]), "eval")


def _short(line: Line, text: str) -> Iterator[Record]:
    if found := _SHORT.search(text):
        name, kind = ("train_loss", "train") if found["name"] == "trl" else ("val_loss", "eval")
        yield _row(line, numbers([(name, found["value"])]), int(found["step"]), "eval" if kind == "eval" else "train")


def _val(line: Line, text: str) -> Iterator[Record]:
    if found := _VAL.search(text):
        yield _row(line, numbers([("val_loss", found["value"])]), None, "eval")
