r"""MosaicML Composer and llm-foundry: a head line and a metric a line below it.

Printed by `composer/loggers/console_logger.py`, to stderr:

    [epoch=1][batch=10/4800]:
    \t Train time/batch: 9
    \t Train loss/train/total: 10.8123
    \t Train metrics/train/LanguageCrossEntropy: 10.8123
    [Eval batch=40/40] Eval on eval data:
    \t Eval metrics/eval/LanguageCrossEntropy: 10.7654

`composer/loggers/file_logger.py` writes every batch, what the console prints between it, and counts finished batches:

    [metric][batch=9]: loss/train/total: 2.3582
    [stderr]: [batch=10/120]:
    [stderr]: \t Train loss/train/total: 2.3582

The same loss, of the tenth batch: 9 are finished when it is logged. Checked against 0.32.1.

With a duration in epochs the batch counts within its epoch, otherwise from the start; with one in tokens or samples the
head has no batch and `time/batch` is the step. Four decimals: a learning rate often reads 0.0000, so a zero there means
nothing and is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, Row
from parsers.registry import text_reader
from parsers.values import number

MAX_LENGTH = 4000
"""No head or metric line is longer."""
_HEAD = Lazy(
    r"(?:\[epoch=(?P<epoch>\d{1,9})(?:/\d+)?\])?\[(?P<unit>batch|token|sample|ba|tok|sp|ep|epoch)="
    r"(?P<at>\d{1,18})(?:/(?P<of>\d{1,18}))?\]:?$"
)
_EVAL_HEAD = Lazy(r"\[Eval batch=\d+(?:/\d+)?\] Eval on .{1,80}?:?$")
_FILED = Lazy(r"^\[metric\]\[(?P<unit>batch|ba)=(?P<at>\d{1,15})\]: (?P<name>[\w/.@\-+ ]{1,120}): (?P<value>\S{1,40})$")
_VERSION = Lazy(r"^(?:\[hyperparameter\]: )?composer_version: \"?(?P<version>\d[\w.]{2,30})\"?$")
_METRIC = Lazy(r"^(?:\[metric\]: )?\s*(?P<kind>Train|Eval) (?P<name>[\w/.@\-+ ]{1,120}): (?P<value>\S{1,40})$")


@text_reader(
    "composer",
    title="MosaicML Composer, llm-foundry",
    hints=("[batch=", "[token=", "[sample=", "[Eval batch=", "[epoch=", "composer_version: "),
    example="[epoch=1][batch=10/4800]:",
    is_by_rank=True,
)
class Composer:
    """Reads heads, and is hungry for the metric lines below one."""

    hungry = False

    def __init__(self) -> None:
        self._step: int | None = None
        self._planned = 0
        self._is_filed = False

    def feed(self, line: Line) -> Iterable[Record]:
        """The plan from a head, a row from a metric line."""
        text = line.text.removeprefix("[stderr]: ").removeprefix("[stdout]: ")
        if len(text) > MAX_LENGTH:
            self.hungry = False
        elif found := _FILED.match(text):
            self._is_filed = True
            yield from self._filed(line, int(found["at"]), found["name"], found["value"])
        elif found := _HEAD.search(text):
            self.hungry = not self._is_filed
            yield from self._head(line, found.groupdict())
        elif _EVAL_HEAD.search(text):
            self.hungry = not self._is_filed
        elif found := _VERSION.match(text):
            yield Fact("package:mosaicml", found["version"], line.ref)
        elif self.hungry:
            found = _METRIC.match(text)
            if found:
                yield from self._metric(line, found["kind"], found["name"], found["value"])
            elif text.strip():
                self.hungry = False

    def close(self) -> Iterable[Record]:
        """Nothing is left over."""
        return ()

    def _head(self, line: Line, head: dict[str, str | None]) -> Iterator[Record]:
        if head["unit"] not in ("batch", "ba"):
            return
        at, of, epoch = int(head["at"] or 0), int(head["of"] or 0), int(head["epoch"] or 0)
        self._step = (epoch - 1) * of + at if epoch and of else at
        if of and not epoch and of != self._planned:
            self._planned = of
            yield Fact("run:planned_steps", of, line.ref)

    def _filed(self, line: Line, at: int, name: str, text: str) -> Iterator[Record]:
        """A metric as `FileLogger` writes it, at the step that it names."""
        value = number(text)
        if value is None or name.startswith(("time/", "trainer/")) or (value == 0 and name.startswith("lr")):
            return
        yield Row(line.no, ((name, value),), at, "eval" if "/eval" in name else "train", line.rank, line.time)

    def _metric(self, line: Line, kind: str, name: str, text: str) -> Iterator[Record]:
        value = number(text)
        if name == "time/batch" and value is not None and 0 <= value < 1e15:
            if self._step is None or not self._planned:
                self._step = max(self._step or 0, int(value))
        elif value is not None and not (value == 0 and name.startswith("lr")):
            yield Row(line.no, ((name, value),), self._step, "train" if kind == "Train" else "eval", line.rank, line.time)
