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

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from parsers import kinds
from parsers.dull import shown
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Event, Fact, Record, Row, RowKind
from parsers.pairs import Numbers, numbers
from parsers.plain import Part
from parsers.registry import text_reader
from parsers.regular import RegularReader, plan_of, planned, rows_of
from parsers.said import Rows
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
_MAYBE = Lazy(
    r"iter (?: step )?(?::| \|) loss |step : train loss |(?:^|[\s\]])step:/?,? .*(?:_loss|train_time|step_avg):|s: t[re]l:"
    r"|step +/? \| (?:train )?loss|val loss [-+.,a-z]{0,12}\s*$|number of parameters: "
)
"""What stands in the skeleton of every line that says something."""
_CONVERT: Final = {"dt": ("step_time", 1e-3), "time": ("step_time", 1e-3), "norm": ("grad_norm", 1.0)}


def _parse(line: Line) -> Iterable[Row]:
    """The rows of a line, in whichever child's manner."""
    text = line.text[:4000]
    for read in (_iter, _lit, _eval, _modded, _short, _piped, _val):
        rows = list(read(line, text))
        if rows:
            return rows
    return ()


def _is_dull(_: bytes, bare: bytes) -> bool:
    text = shown(bare)
    if text is None:
        return False
    return _MAYBE.search(text.lower().decode("utf-8", "replace")) is None


@text_reader(
    "nanogpt",
    title="nanoGPT, modded-nanogpt, build-nanogpt, llm.c, LitGPT",
    hints=("iter ", "train loss ", "step:", " trl:", " tel:", "| loss", "val loss ", "number of parameters: "),
    example="iter 250: loss 3.1416, time 132.10ms, mfu 41.20%",
    is_by_rank=True,
    parse=_parse,
    silent=("generic_text", "verl"),
    is_dull=_is_dull,
)
class NanoGPT(RegularReader):
    """Reads the training and evaluation lines of the family."""

    def __init__(self) -> None:
        self._total = math.nan

    def feed(self, line: Line) -> Iterable[Record]:
        """The rows of this line, the plan once, and a start where modded-nanogpt counts from 0."""
        rows = list(_parse(line))
        for index, one in enumerate(rows):
            row, total = plan_of(one)
            if total is not None and total != self._total:
                self._total = total
                yield Fact("run:planned_steps", int(total), line.ref)
            if not index and _is_start(rows, line.text):
                yield Event(kinds.RUN_START, line.ref, rank=line.rank, time=line.time, data={"framework": "nanogpt"})
            if row.values:
                yield row
        if not rows and (found := _PLAN.search(line.text[:4000])):
            millions = number(found[1])
            if millions is not None:
                yield Fact("run:trainable_parameters", round(millions * 1e6), line.ref)

    def columns(self, parts: Sequence[Part]) -> Iterable[Rows] | None:
        """The rows of many lines of one plan, none of them a start."""
        found = [rows for part in parts for rows in rows_of(part, self.file_rank)]
        return None if any(0 in (rows.steps or ()) for rows in found) else planned(found, self._total)


def _is_start(rows: Sequence[Row], text: str) -> bool:
    is_first = rows[0].step == 0 and "step:" in text
    return is_first and any("loss" in name for row in rows for name, _ in row.values) and _MODDED.search(text[:4000]) is not None


def _plan(total: str | None) -> tuple[tuple[str, float], ...]:
    return (("@total", float(total)),) if total else ()


def _modded(line: Line, text: str) -> Iterator[Row]:
    found = _MODDED.search(text)
    if not found or " - " in found["rest"]:
        return
    pairs = [(m["name"], m["value"], m["unit"]) for m in _PAIR.finditer(found["rest"])]
    losses = numbers((name, value) for name, value, _ in pairs if "loss" in name)
    step = int(found["step"])
    groups: list[tuple[RowKind, Numbers]] = [
        ("train", tuple(pair for pair in losses if not pair[0].startswith("val"))),
        ("eval", tuple(pair for pair in losses if pair[0].startswith("val"))),
    ]
    average = [(m[0], m[1], m[2]) for m in pairs if m[0] == "step_avg" and m[2] and m[1].lower() != "nan"]
    if average:
        factor = 1e-3 if average[0][2] == "ms" else 1.0
        groups.append(("train", numbers([average[0][:2]], {"step_avg": ("step_avg", factor)})))
    told = [(kind, values) for kind, values in groups if values] or [groups[0]]
    for index, (kind, values) in enumerate(told):
        yield _row(line, values + (_plan(found["total"]) if not index else ()), step, kind)


def _piped(line: Line, text: str) -> Iterator[Row]:
    found = _PIPED.search(text)
    if not found:
        return
    values = dict(numbers(((m["name"], m["value"]) for m in _FIELD.finditer(found["rest"])), _CONVERT))
    for rate in _RATE.finditer(found["rest"]):
        name, factor = ("step_time", 1e-3) if rate["unit"] == "ms" else ("throughput_tokens", 1.0)
        if told := numbers([(name, rate["value"])], {name: (name, factor)}):
            values.setdefault(*told[0])
    yield _row(line, (*values.items(), *_plan(found["total"])), int(found["step"]), "train")


def _row(line: Line, values: tuple[tuple[str, float], ...], step: int | None, kind: RowKind) -> Row:
    return Row(line.no, values, step, kind, line.rank, line.time)


def _iter(line: Line, text: str) -> Iterator[Row]:
    if found := _ITER.search(text):
        values = dict(numbers([("loss", found["loss"]), ("time", found["time"])], _CONVERT))
        mfu = numbers([("mfu", found["mfu"] or "")])
        if mfu and mfu[0][1] >= 0:  # -100 stands for "not known yet"
            values.update(mfu)
        yield _row(line, tuple(values.items()), int(found["step"]), "train")


def _lit(line: Line, text: str) -> Iterator[Row]:
    if found := _LIT.search(text):
        items = [("loss", found["loss"]), ("time", found["time"]), ("throughput_tokens", found["speed"] or "")]
        step = int(found["step"] or found["iter"])
        yield _row(line, numbers(items, _CONVERT), step, "train")
        if held_out := numbers([("val_loss", found["val"] or "")]):
            yield _row(line, held_out, step, "eval")


def _eval(line: Line, text: str) -> Iterator[Row]:
    if found := _EVAL.search(text):
        yield _row(line, numbers([("train loss", found["train"])]), int(found["step"]), "train")
        yield _row(line, numbers([("val loss", found["val"])]), int(found["step"]), "eval")


def _short(line: Line, text: str) -> Iterator[Row]:
    if found := _SHORT.search(text):
        name, kind = ("train_loss", "train") if found["name"] == "trl" else ("val_loss", "eval")
        yield _row(line, numbers([(name, found["value"])]), int(found["step"]), "eval" if kind == "eval" else "train")


def _val(line: Line, text: str) -> Iterator[Row]:
    if found := _VAL.search(text):
        yield _row(line, numbers([("val_loss", found["value"])]), None, "eval")
