"""How fast each reader's own lines are read, and inputs made to be slow: no log may take more than 10 s of CPU for 100 MB.

    python -m benchmarks.readers                        2 MB of each
    python -m benchmarks.readers --megabytes 20 --only nccl 'nested exceptions'
    python -m benchmarks.readers --over 10     only what takes more than 10 s for 100 MB

Of each text reader its example line is repeated with other numbers in it; `hints` are the words that all readers and causes
look for, each on a line of its own; the rest is what a hostile log could consist of. Counted are CPU seconds of reading and
assembling (`parsers.read`, no rules), after a first small log has paid for imports and patterns.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

_NUMBER = re.compile(r"\d+")
STACK = '  File "/opt/app/train.py", line {0}, in step_{0}\n    loss = model(batch[{0}])\n'


class Cost(NamedTuple):
    """What an input took: its bytes and lines, CPU seconds, peak resident size in MB so far."""

    size: int
    lines: int
    cpu: float
    rss: float


def varied(text: str, rng: random.Random) -> str:
    """The text with other digits in its numbers; very long ones stay."""
    return _NUMBER.sub(lambda found: _digits(found[0], rng), text)


def _digits(number: str, rng: random.Random) -> str:
    return str(rng.randrange(10 ** len(number))).zfill(len(number)) if len(number) < 12 else number


def of_lines(text: str) -> Callable[[random.Random], Iterator[str]]:
    """Endless lines of one form."""

    def lines(rng: random.Random) -> Iterator[str]:
        while True:
            yield varied(text, rng) + "\n"

    return lines


def hints(rng: random.Random) -> Iterator[str]:
    """Every literal that anybody looks for, on a line of its own, for ever."""
    from analyzer.diagnosis import known_signatures
    from parsers.read import make_router

    words = [hint.decode("utf-8", "replace") for hint in make_router(known_signatures()).hints]
    while True:
        rng.shuffle(words)
        yield from (f"{word} {rng.randrange(10**6)}\n" for word in words)


def chains(rng: random.Random) -> Iterator[str]:
    """Exceptions that were raised while others were handled, hundreds deep."""
    while True:
        yield "Traceback (most recent call last):\n" + STACK.format(rng.randrange(900))
        yield f"ValueError: {rng.random()}\n\nDuring handling of the above exception, another exception occurred:\n\n"


def stacks(rng: random.Random) -> Iterator[str]:
    """Dumps of many threads, as faulthandler and py-spy write them."""
    while True:
        yield f"Thread 0x{rng.randrange(16**12):012x} (most recent call first):\n"
        yield "".join(f'  File "/opt/app/a{rng.randrange(99)}.py", line {rng.randrange(999)} in f{n}\n' for n in range(20)) + "\n"


def tracebacks(rng: random.Random) -> Iterator[str]:
    """Whole tracebacks, each with another message."""
    while True:
        yield "Traceback (most recent call last):\n" + "".join(STACK.format(rng.randrange(900)) for _ in range(3))
        yield f"RuntimeError: shape {rng.randrange(10**6)} is invalid for input of size {rng.randrange(10**6)}\n"


def bars(rng: random.Random) -> Iterator[str]:
    """A bar that is redrawn for ever: the file is one line."""
    while True:
        yield varied("\r 12%|####      | 123/1000 [00:10<20:00,  20.31it/s]", rng)


def ranks(rng: random.Random) -> Iterator[str]:
    """Tracebacks of 64 ranks, line by line through each other."""
    while True:
        lines = (
            "Traceback (most recent call last):\n"
            + STACK.format(rng.randrange(99))
            + f"OSError: [Errno {rng.randrange(99)}] no\n"
        )
        for line in lines.splitlines(True):
            yield "".join(f"[rank{rank}]: {line}" for rank in range(64))


HOSTILE: dict[str, Callable[[random.Random], Iterator[str]]] = {
    "hints": hints,
    "tracebacks": tracebacks,
    "tracebacks of ranks": ranks,
    "nested exceptions": chains,
    "thread dumps": stacks,
    "exception lines": of_lines("ValueError: 12345"),
    "json objects": of_lines('{"step": 12345, "loss": 1.2345, "lr": 1e-05, "name_12": "x", "nested": {"a": [1, 2, 3]}}'),
    "json of new names": of_lines('{"step": 12345, "m123456": 1.5, "k123456": 2}'),
    "dicts of losses": of_lines("{'loss': 1.2345, 'grad_norm': 0.1234, 'learning_rate': 1e-05, 'epoch': 0.12}"),
    "dicts that break off": of_lines("{'loss': 1.2345, 'grad_norm': {'loss': {'loss': 123"),
    "escape sequences": of_lines("\x1b[31m\x1b[1mloss\x1b[0m \x1b[38;5;123m12\x1b[K\x1b[2J\x1b]0;title 123\x07"),
    "nothing but escapes": of_lines("\x1b[31m\x1b[0m\x1b[12A\x1b[2K" * 20),
    "NULs": lambda _: iter(lambda: "\0" * 1000 + "\n", None),
    "bars": of_lines("\r 12%|####      | 123/1000 [00:10<20:00,  20.31it/s]"),
    "bars without newline": bars,
    "warnings": of_lines("/opt/lib/python3.11/site-packages/torch/nn/a12.py:123: UserWarning: value 12345 is deprecated"),
    "NCCL INFO": of_lines("node12:12345:12345 [1] NCCL INFO Channel 12/0 : 1[1] -> 2[2] via P2P/CUMEM/read"),
    "NCCL WARN": of_lines("node12:12345:12345 [1] NCCL WARN Call to connect returned Connection refused 123"),
    "long lines of words": lambda _: iter(lambda: "loss word " * 100_000 + "\n", None),
    "long lines of dicts": lambda _: iter(lambda: "{'loss': 1.0, " * 70_000 + "\n", None),
    "long lines of brackets": lambda _: iter(lambda: "{[(" * 330_000 + "\n", None),
    "long lines of digits": lambda _: iter(lambda: "loss: " + "1" * 1_000_000 + "\n", None),
    "long lines of errors": lambda _: iter(lambda: "RuntimeError: CUDA out of memory. " * 30_000 + "\n", None),
    "empty lines": lambda _: iter(lambda: "\n" * 1000, None),
    "Windows lines": of_lines("{'loss': 1.2345, 'learning_rate': 1e-05, 'epoch': 0.12}\r"),
    "Kubernetes lines": of_lines("2026-11-24T02:38:11.123456789Z stderr F {'loss': 1.2345, 'epoch': 0.12}"),
    "Docker lines": of_lines('{"log":"loss 1.2345 \\u001b[0m\\n","stream":"stderr","time":"2026-11-24T02:38:11.123456789Z"}'),
    "Ray lines": of_lines("\x1b[36m(train pid=12345)\x1b[0m {'loss': 1.2345} [repeated 12x across cluster]"),
}


def inputs() -> dict[str, Callable[[random.Random], Iterator[str]]]:
    """Name → its lines: the readers' examples, then the hostile ones."""
    from parsers.registry import text_formats

    return {form.name: of_lines(form.example) for form in text_formats()} | HOSTILE


def write(path: Path, lines: Iterator[str], size: int) -> int:
    """Writes lines until there are `size` bytes; how many there are."""
    written = 0
    with path.open("wb") as file:
        while written < size:
            written += file.write(next(lines).encode("utf-8", "replace"))
    return written


def read_lines(path: Path) -> int:
    """How many lines a file has, those that end in a mere carriage return included."""
    data = path.read_bytes()
    return data.count(b"\n") + data.count(b"\r") - data.count(b"\r\n")


def cpu_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def cost(path: Path, lines: Iterator[str], size: int) -> Cost:
    """What reading such a file takes."""
    import resource

    from analyzer.diagnosis import known_signatures
    from parsers import read

    written = write(path, lines, size)
    count = read_lines(path)
    begin = cpu_seconds()
    read([path], known_signatures())
    taken = cpu_seconds() - begin
    path.unlink()
    return Cost(written, count, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=float, default=2.0)
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME")
    parser.add_argument("--over", type=float, default=0.0, metavar="SECONDS", help="only what takes longer for 100 MB")
    asked = parser.parse_args()
    chosen = {name: lines for name, lines in inputs().items() if not asked.only or name in asked.only}
    if not chosen:
        raise SystemExit("no such input")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "run.log"
        cost(path, hints(random.Random(1)), 10**5)
        for name, lines in chosen.items():
            one = cost(path, lines(random.Random(name)), int(asked.megabytes * 1e6))
            rows.append((one.cpu / one.size * 1e8, name, one))
            print(f"{name}: {one.cpu:.2f} s", file=sys.stderr, flush=True)
    print("| input | CPU s for 100 MB | MB per CPU-second | µs a line | peak RSS MB |\n|---|---|---|---|---|")
    for seconds, name, one in sorted(rows, reverse=True):
        if seconds >= asked.over:
            rate, line = one.size / one.cpu / 1e6, one.cpu / max(1, one.lines) * 1e6
            print(f"| {name} | {seconds:.1f} | {rate:.1f} | {line:.1f} | {one.rss:.0f} |")


if __name__ == "__main__":
    main()
