"""`training_args.bin`: the arguments that the Hugging Face Trainer saves beside its checkpoints, read without unpickling.

Written by `torch.save(self.args, "training_args.bin")` in `transformers/trainer.py` (all versions): a zip archive with
`<name>/data.pkl` (torch from 1.6 on), or pickles one after the other before that:

    GLOBAL 'transformers.training_args TrainingArguments' … BINUNICODE 'learning_rate' BINFLOAT 2e-05 … BUILD

A pickle is a program; loading one that somebody sent runs it. Here its opcodes are only listed (`pickletools`), and values
are put together from those that hold text and numbers. Classes are never looked up: an enumeration
(`SchedulerType('linear')`) is read as its one argument, everything else of a class as nothing. A DeepSpeed configuration that
the arguments carry (`hf_deepspeed_config`) is what the run had asked for, with the Trainer's own values filled in.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from parsers import command, dsconfig
from parsers.model import Problem, Record, SourceRef, Value
from parsers.registry import file_reader

MAX_BYTES: Final = 4 * 2**20
MAX_PICKLES: Final = 8
MAX_SETTINGS: Final = 500
MAX_DEPTH: Final = 6
_WEIGHT: Final = 2
_NOTHING: Final = object()
"""Stands for a class and for what a call of one would give."""
_MARK: Final = object()
_SCALARS: Final = frozenset({
    "BINUNICODE", "SHORT_BINUNICODE", "UNICODE", "BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "BINFLOAT", "FLOAT",
    "BINSTRING", "SHORT_BINSTRING", "STRING",
})  # fmt: skip
_WORDS: Final[Mapping[str, Value]] = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


def _matches(path: Path, first: bytes) -> bool:
    return path.name.startswith("training_args") and path.suffix == ".bin" and first[:2] in (b"PK", b"\x80\x02", b"\x80\x04")


@file_reader(
    "training_args",
    title="training_args.bin of the Hugging Face Trainer (its text and numbers; nothing is unpickled)",
    example="training_args.bin",
    matches=_matches,
    is_binary=True,
)
def read(path: Path) -> Iterator[Record]:
    """An `arg:` fact for each argument that is text, a number or a truth value; `line` is its place among them."""
    arguments = next((found for data in _pickles(path) if (found := _state(data)) and "output_dir" in found), None)
    if arguments is None:
        yield Problem(SourceRef(str(path), 0), "training_args", "no saved TrainingArguments: damaged, or something else's file")
        return
    plain: dict[str, Value] = {
        name: value for name, value in arguments.items() if value is None or isinstance(value, str | int | float)
    }
    for number, (name, value) in enumerate(plain.items(), 1):
        if not name.startswith("__"):
            ref = SourceRef(str(path), number, f"{name} = {value!r}"[:300])
            yield from command.argument_facts({name: value[:300] if isinstance(value, str) else value}, ref, _WEIGHT)
    engine = arguments.get("hf_deepspeed_config")
    config = engine.get("config") if isinstance(engine, dict) else None
    if isinstance(config, dict):
        text = "hf_deepspeed_config of the saved TrainingArguments"
        settings = _settings(config, [MAX_SETTINGS])
        yield from dsconfig.facts(settings, [(text, SourceRef(str(path), len(plain) + 1, text))], _WEIGHT)


def _settings(config: dict[Any, Any], left: list[int], depth: int = 0) -> dict[str, Any]:
    """The text, numbers, flat lists and dicts of a configuration; `left` bounds what may be asked for in all."""
    found: dict[str, Any] = {}
    for key, value in config.items():
        left[0] -= 1
        if left[0] < 0:
            break
        if isinstance(value, dict):
            if depth < MAX_DEPTH:
                found[key] = _settings(value, left, depth + 1)
        elif _is_plain(value):
            found[key] = value
    return found


def _is_plain(value: object) -> bool:
    if isinstance(value, list):
        return len(value) < MAX_SETTINGS and all(isinstance(one, str | int | float) for one in value)
    return value is None or isinstance(value, str | int | float)


def _pickles(path: Path) -> Iterator[io.BytesIO]:
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            import zipfile

            try:
                with zipfile.ZipFile(path) as archive:
                    for name in archive.namelist():
                        if name.endswith("data.pkl"):
                            with archive.open(name) as member:
                                yield io.BytesIO(member.read(MAX_BYTES))
            except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError):
                return
            return
        file.seek(0)
        data = io.BytesIO(file.read(MAX_BYTES))
    for _ in range(MAX_PICKLES):
        yield data


def _state(data: io.BytesIO) -> dict[str, Any] | None:
    """The attributes of the object that the next pickle of `data` holds; None where it holds none that can be told."""
    import pickletools

    machine = _Values()
    try:
        for code, argument, _ in pickletools.genops(data):
            machine.step(code.name, argument)
    except (ValueError, IndexError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, MemoryError):
        pass  # cut off: what was told so far counts
    found = machine.result()
    return {str(key): value for key, value in found.items()} if found else None


class _Values:
    """What the opcodes say, as far as it is text, numbers, lists and dicts."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """One opcode."""
        if name in _SCALARS:
            self.stack.append(argument)
        elif name in _WORDS:
            self.stack.append(_WORDS[name])
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            self.memo[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memo[len(self.memo)] = self.stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            self.stack.append(self.memo[argument])
        elif name == "MARK":
            self.stack.append(_MARK)
        elif name in _TUPLES:
            self.stack.append(tuple(self._pop(_TUPLES[name])))
        elif name not in ("PROTO", "FRAME", "STOP"):
            self._compose(name)

    def _compose(self, name: str) -> None:
        if name in ("EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"):
            self.stack.append({} if name == "EMPTY_DICT" else () if name == "EMPTY_TUPLE" else [])
        elif name == "TUPLE":
            self.stack.append(tuple(self._to_mark()))
        elif name in ("SETITEM", "SETITEMS"):
            items = self._to_mark() if name == "SETITEMS" else self._pop(2)
            if isinstance(self.stack[-1], dict):
                self.stack[-1].update((k, v) for k, v in zip(items[::2], items[1::2], strict=False) if isinstance(k, str))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = self._pop(1) if name == "APPEND" else self._to_mark()
            if isinstance(self.stack[-1], list):
                self.stack[-1].extend(items)
        elif name == "BUILD":
            state = self.stack.pop()
            self.stack[-1] = state if isinstance(state, dict) else self.stack[-1]
        elif name in ("REDUCE", "NEWOBJ"):
            _, arguments = self._pop(2)
            is_enum = name == "REDUCE" and isinstance(arguments, tuple) and len(arguments) == 1
            self.stack.append(arguments[0] if is_enum else _NOTHING)
        else:  # a class by its name, or what arguments are not made of
            del self.stack[len(self.stack) - (2 if name == "STACK_GLOBAL" else 0) :]
            self.stack.append(_NOTHING)

    def result(self) -> dict[Any, Any]:
        """The last dict that is left; of a pickle that breaks off the pairs behind its first mark."""
        if self.stack and isinstance(self.stack[-1], dict):
            return self.stack[-1]
        rest = self.stack[self.stack.index(_MARK) + 1 :] if _MARK in self.stack else []
        return {k: v for k, v in zip(rest[::2], rest[1::2], strict=False) if isinstance(k, str)}

    def _pop(self, count: int) -> list[Any]:
        items = self.stack[-count:]
        del self.stack[-count:]
        return items

    def _to_mark(self) -> list[Any]:
        at = len(self.stack) - 1 - self.stack[::-1].index(_MARK)
        items = self.stack[at + 1 :]
        del self.stack[at:]
        return items
