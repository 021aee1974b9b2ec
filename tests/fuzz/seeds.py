"""What a fuzzer begins with: the readers' own examples, their hints as its dictionary, and changes as logs suffer them."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from parsers import registry
from tests.fuzz import extension
from tests.fuzz.names import NAMES, SEEDS
from tests.fuzz.targets import MAX_LENGTH

CORPUS: Final = Path(__file__).parent / "corpus"
SAMPLES: Final = Path(__file__).parents[2] / "sample_logs"
NASTY: Final = (
    b"nan", b"inf", b"-inf", b"1e999", b"-0.0", b"0", b"1" + b"0" * 40, b"-1", b"9223372036854775808", b"1e-320", b"tensor(nan)",
    b"2147483648", b"0x10", b"1_000", "١٢".encode(), b"'nan'", b"", b"1.7976931348623157e308", b"99:99:99", b"\xff", b"\x00",
)  # fmt: skip
"""Instead of a number."""
OF_TEXT: Final = ("text", "readers", "lines")
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")


@cache
def lines() -> tuple[bytes, ...]:
    """Lines that some reader knows, or nearly."""
    examples = [form.example.encode() for form in registry.text_formats()]
    hints = [hint.encode() for form in registry.text_formats() for hint in form.hints]
    real = [line for log in sorted(SAMPLES.glob("*/*/run.log"))[::12] for line in _some_lines(log.read_bytes())]
    return tuple(dict.fromkeys([*examples, *hints, *real]))


def _some_lines(data: bytes) -> list[bytes]:
    """Lines that differ in more than their numbers."""
    kinds = {_NUMBER.sub(b"0", line): line for line in data.splitlines() if len(line) < 600}
    return list(kinds.values())[:80]


def of(target: str) -> list[bytes]:
    """The inputs to begin with."""
    known = [path.read_bytes() for path in sorted((CORPUS / target).glob("*"))]
    made = _MAKERS.get(target)
    return known + (made() if made else list(SEEDS.get(target, ())) or _of_reader(target))


def _of_reader(name: str) -> list[bytes]:
    return [form.example.encode() + b"\n" for form in registry.text_formats() if form.name == name]


def _texts() -> list[bytes]:
    return [b"\n".join(lines()[start : start + 40]) for start in range(0, len(lines()), 40)]


def _readers() -> list[bytes]:
    return [bytes([at]) + form.example.encode() + b"\n" for at, form in enumerate(registry.text_formats())]


def _files() -> list[bytes]:
    return [bytes([at]) + data for at, name in enumerate(sorted(NAMES)) for data in SEEDS.get(name, (b"",))]


def _events() -> list[bytes]:
    from tests.fuzz.framing import RECORD
    from tests.parsers.events import mixed, some_file

    rng = random.Random(1)
    payloads = [RECORD.join(mixed(rng, step)[12:-4] for step in range(20)) for _ in range(10)]
    return [*(b"\1" + one for one in payloads), *(b"\0" + some_file(rng, 30) for _ in range(5))]


def _wandb() -> list[bytes]:
    from tests.fuzz.framing import RECORD
    from tests.parsers.test_wandb_run import field, history

    made = [
        history(loss="0.5", _step="3"),
        history(loss='"NaN"', _step="4"),
        field(8, field(1, 1)),
        field(3, field(1, field(1, "lr") + field(2, "0.1"))),
    ]
    return [b"\1" + RECORD.join(made), b"\0" + b"".join(made)]


def _documents() -> list[bytes]:
    golden = Path(__file__).parents[1] / "golden"
    return [path.read_bytes() for path in sorted(golden.rglob("*.json"), key=lambda path: path.stat().st_size)[:12]]


def _configs() -> list[bytes]:
    inner = b'ignore]\nloss-spike = "batch size 1"\n[%sseverity]\nno-progress = "info"\n[%sthresholds.throughput-drop]\nfactor = 4.0\n'
    return [b"[" + inner % (b"", b""), b"[tool.nanalyze." + inner % ((b"tool.nanalyze.",) * 2)]


def _patterns() -> list[bytes]:
    return [b"train.log\n*.log\n!keep.log\n/runs/**/x?\n[a-z]*.txt\n# no\n", b"aaaaaaaaaaaa\n*a*a*b\n"]


def _pickles() -> list[bytes]:
    import pickle

    value = {"a": [1, 2.5, None, True, ("x", -3)], "b": {"c": "d" * 300, 7: 2**70}}
    return [pickle.dumps(value, protocol) for protocol in range(2, 6)]


_MAKERS: Final[dict[str, Callable[[], list[bytes]]]] = {
    "text": _texts, "readers": _readers, "files": _files, "events": _events, "wandb": _wandb, "document": _documents,
    "config": _configs, "patterns": _patterns, "pickles": _pickles, "lines": extension.seeds,
}  # fmt: skip


def words(target: str) -> list[bytes]:
    """The dictionary: hints for text, else what stands between the seeds' punctuation."""
    if target in OF_TEXT or target not in (*_MAKERS, *NAMES):
        return [*dict.fromkeys(hint.encode() for form in registry.text_formats() for hint in form.hints), *filter(None, NASTY)]
    found = {word for data in of(target) for word in re.findall(rb"[A-Za-z_][\w-]{2,30}", data)}
    return [*sorted(found)[:500], *filter(None, NASTY)]


def mutator(target: str, plain: Callable[[bytes, int], bytes]) -> Callable[[bytes, int, int], bytes]:
    """Half of the changes are the fuzzer's own, half are those of logs: lines come, go, repeat and break; numbers turn odd."""
    pool = lines() if target in OF_TEXT or target not in (*_MAKERS, *NAMES) else ()

    def change(data: bytes, max_size: int, seed: int) -> bytes:
        rng = random.Random(seed)
        if rng.random() < 0.5:
            return bytes(plain(data, max_size))
        return as_logs_suffer(data, rng, pool)[: min(max_size, MAX_LENGTH)]

    return change


def as_logs_suffer(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    """One to four changes."""
    for _ in range(rng.randint(1, 4)):
        data = rng.choice(_CHANGES)(data, rng, pool)
    return data


def _other_number(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    places = list(_NUMBER.finditer(data))
    if not places:
        return data
    place = rng.choice(places)
    return data[: place.start()] + rng.choice(NASTY) + data[place.end() :]


def _new_line(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    rows = data.split(b"\n")
    rows.insert(rng.randint(0, len(rows)), rng.choice(pool) if pool else rng.choice(rows))
    return b"\n".join(rows)


def _no_line(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    rows = data.split(b"\n")
    del rows[rng.randrange(len(rows))]
    return b"\n".join(rows)


def _again(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    rows = data.split(b"\n")
    at = rng.randrange(len(rows))
    return b"\n".join(rows[:at] + rows[at : at + rng.randint(1, 4)] * rng.randint(2, 60) + rows[at:])


def _cut(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    start, end = sorted(rng.randint(0, len(data)) for _ in range(2))
    return data[:start] + data[end:] if rng.random() < 0.5 else data[start:end] or data


def _long(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + data[at : at + rng.randint(1, 3)] * rng.randint(100, 8000) + data[at:]


def _other_ends(data: bytes, rng: random.Random, _: Sequence[bytes]) -> bytes:
    return data.replace(b"\n", rng.choice((b"\r\n", b"\r", b"\0", b"\xe2\x80\xa8", b"")))


def _onto_one_line(data: bytes, rng: random.Random, pool: Sequence[bytes]) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + (rng.choice(pool) if pool else b"\x1b[31m") + data[at:]


_CHANGES: Final = (_other_number, _other_number, _new_line, _new_line, _no_line, _again, _cut, _long, _other_ends, _onto_one_line)
