"""`trainer_state.json` of the Hugging Face Trainer: every value that was logged, unrounded, with its step.

Written by `transformers/trainer_callback.py` (`TrainerState.save_to_json`: indented, keys sorted) into each checkpoint
and, after `trainer.save_state()`, into the output directory. NaN stands bare, which is no strict JSON:

    "log_history": [
      {
        "epoch": 0.002,
        "grad_norm": NaN,
        "loss": 0.0,
        "step": 1
      },

4.36 to 5.23 differ in top-level keys only (`best_global_step` since 4.50). A value's `line` is the line of its own key. A
resumed run carries the history of the checkpoint that it began from. `loss` is filtered as on the console: an exact 0
mostly means NaN.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from parsers import kinds
from parsers.lazy import Lazy
from parsers.model import MAX_TEXT, Event, Fact, Problem, Record, Row, RowKind, SourceRef, Value
from parsers.registry import file_reader

NAME: Final = "trainer_state"
_HISTORY: Final = Lazy(r'"log_history"\s*:\s*\[')
_KEY: Final = Lazy(r'"((?:[^"\\]|\\.)*)"\s*:')
_BLANK: Final = Lazy(r"[\s,]*")
_FACTS: Final = {
    "max_steps": "run:planned_steps", "logging_steps": "run:logging_steps", "num_train_epochs": "run:planned_epochs",
    "train_batch_size": "run:micro_batch_size", "save_steps": "run:save_steps", "eval_steps": "run:eval_steps",
    "global_step": "run:global_step", "best_metric": "run:best_metric", "best_model_checkpoint": "run:best_checkpoint",
    "num_input_tokens_seen": "run:tokens_seen", "total_flos": "run:total_flos",
}  # fmt: skip
_WEIGHT: Final = 2
_BROKEN: Final = object()
MAX_FOUND: Final = 100
"""Places of one setting that are read."""
_MAX_BYTES: Final = 256 * 2**20


@dataclass(frozen=True, slots=True)
class _Lines:
    """Positions in a text → line numbers from 1, counted as editors do."""

    breaks: tuple[int, ...]

    @classmethod
    def of(cls, text: str) -> _Lines:
        found, at = [], text.find("\n")
        while at >= 0:
            found.append(at)
            at = text.find("\n", at + 1)
        return cls(tuple(found))

    def at(self, position: int) -> int:
        return bisect_right(self.breaks, position - 1) + 1


def matches(path: Path, first: bytes) -> bool:
    """By its name, or by the key that no other JSON file has."""
    start = first.lstrip()[:1]
    return start == b"{" and (path.name.endswith("trainer_state.json") or b'"log_history"' in first)


@file_reader(
    NAME,
    title="Hugging Face trainer_state.json (transformers 4.20–5.x)",
    example='{"log_history": [{"epoch": 0.002, "grad_norm": NaN, "loss": 0.0, "step": 1}], "max_steps": 20}',
    matches=matches,
)
def read(path: Path) -> Iterator[Record]:
    """Rows of the history, planned steps and other settings, and the end of training."""
    if path.stat().st_size > _MAX_BYTES:
        yield Problem(SourceRef(str(path), 0), NAME, "the file is larger than 256 MiB: no Trainer's state")
        return
    text = path.read_bytes().decode("utf-8", "replace")
    lines = _Lines.of(text)
    history = _HISTORY.search(text)
    end = 0
    if history:
        last_step = 0
        for entry, start, end in _entries(text, history.end()):
            if entry is _BROKEN:
                reason = "the history breaks off here: only the entries before were read"
                yield Problem(SourceRef(str(path), lines.at(end)), NAME, reason)
                break
            for found in _rows(str(path), lines, entry, (start, text[start:end]), last_step):
                last_step = found.step if isinstance(found, Row) and found.step is not None else last_step
                yield found
    yield from _settings(str(path), text, lines, history.start() if history else len(text), end)


def _entries(text: str, at: int) -> Iterator[tuple[object, int, int]]:
    """(entry, its start, its end) of the array that begins behind `at`; `_BROKEN` where it breaks off."""
    decoder = json.JSONDecoder()
    while True:
        blank = _BLANK.match(text, at)
        at = blank.end() if blank else at
        if text[at : at + 1] == "]":
            return
        try:
            entry, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            yield _BROKEN, at, at
            return
        yield entry, at, end
        at = end


def _rows(path: str, lines: _Lines, entry: object, source: tuple[int, str], last_step: int) -> Iterator[Row | Event]:
    """One entry of the history: its values by the line that they stand on. `source`: (position, text)."""
    start, text = source
    if not isinstance(entry, dict):
        return
    kind, step = _kind(entry), entry.get("step")
    step = step if isinstance(step, int) and not isinstance(step, bool) else last_step
    places = {key[1]: lines.at(start + key.start()) for key in _KEY.finditer(text)}
    values = [(places.get(key, lines.at(start)), key, value) for key, value in _numbers(entry) if key != "step"]
    for line, group in groupby(sorted(values, key=lambda found: found[0]), key=lambda found: found[0]):
        yield Row(line, tuple((key, value) for _, key, value in group), step, kind)
    if kind == "summary":
        line = places.get("train_runtime", lines.at(start))
        data = {key: entry.get(key) for key in ("train_loss", "train_runtime")}
        yield Event(kinds.RUN_END, SourceRef(path, line), step, data=data)


def _numbers(entry: dict[str, object]) -> Iterator[tuple[str, float]]:
    for key, value in entry.items():
        if isinstance(value, float) or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63):
            yield key, float(value)


def _kind(entry: dict[str, object]) -> RowKind:
    if "train_runtime" in entry and "loss" not in entry:
        return "summary"
    if "loss" not in entry and any(key.startswith(("eval_", "test_")) for key in entry):
        return "eval"
    return "train"


def _settings(path: str, text: str, lines: _Lines, history: int, end: int) -> Iterator[Fact]:
    """The top-level settings before and behind the history."""
    found = sorted(place for begin, stop in ((0, history), (end, len(text))) for place in _places(text, begin, stop))
    for start, name in found:
        if key := _KEY.match(text, start):
            yield from _fact(path, text, lines, start, key.end(), name)


def _places(text: str, begin: int, stop: int) -> Iterator[tuple[int, str]]:
    """(place, fact) of the settings' keys: each looked for by itself, as a file that is no state may have millions of others."""
    for key, name in _FACTS.items():
        word, at = f'"{key}"', begin
        for _ in range(MAX_FOUND):
            at = text.find(word, at, stop)
            if at < 0:
                break
            yield at, name
            at += len(word)


def _fact(path: str, text: str, lines: _Lines, start: int, at: int, name: str) -> Iterator[Fact]:
    blank = _BLANK.match(text, at)
    try:
        value, end = json.JSONDecoder().raw_decode(text, blank.end() if blank else at)
    except (ValueError, RecursionError):
        return
    if value is None or not isinstance(value, str | int | float | bool):
        return
    shown: Value = value[:MAX_TEXT] if isinstance(value, str) else value
    yield Fact(name, shown, SourceRef(path, lines.at(start), text[start:end][:MAX_TEXT]), _WEIGHT)
