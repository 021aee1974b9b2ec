"""The extension under AddressSanitizer and UndefinedBehaviorSanitizer: `python -m tests.sanitize --minutes 10`.

Builds `parsers/_lines.c` with both beside the tree (GCC or Clang with its libasan), then runs, in a Python that asks the system
for every byte (PYTHONMALLOC=malloc), its tests, the inputs that fuzzing found, and for so many minutes new ones: the
target `lines` of `tests/fuzz`, changed as logs suffer it, half of the time bytes. A read or write where nothing is, an overflow
or another result than Python's ends it with exit code 1; the input lies in tests/fuzz/found/ then. Leaks are looked for at the
end, among what the extension itself asked for.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import random
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.samples import ROOT

FOUND: Final = ROOT / "tests" / "fuzz" / "found"
FLAGS: Final = (
    "-std=c11", "-O1", "-g", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined",
)  # fmt: skip
NAME: Final = "_lines.abi3.so"
TESTS: Final = ("tests/parsers/test_native.py", "tests/parsers/test_chunking.py", "tests/fuzz/test_corpus.py")
MAX_BYTES: Final = 2**15


def built(folder: Path) -> Path:
    """The extension with both sanitizers. Raises CalledProcessError."""
    target = folder / NAME
    compiler = os.environ.get("CC", "cc")
    include = f"-I{sysconfig.get_paths()['include']}"
    subprocess.run([compiler, *FLAGS, include, str(ROOT / "parsers" / "_lines.c"), "-o", str(target)], check=True)
    return target


def preloaded() -> str:
    """The sanitizers' libraries, which must be in the process before anything else. Raises FileNotFoundError."""
    compiler = os.environ.get("CC", "cc")
    found = []
    for name in ("libasan.so", "libubsan.so"):
        asked = subprocess.run([compiler, f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        if not Path(asked).is_absolute():
            raise FileNotFoundError(f"the compiler has no {name}")
        found.append(str(Path(asked).resolve()))
    return ":".join(found)


def load(path: str) -> None:
    """Makes this the extension of this process."""
    spec = importlib.util.spec_from_file_location("parsers._lines", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules["parsers._lines"] = module


def inside(path: str, minutes: float, seed: int) -> int:
    """What is done in the process with the sanitizers."""
    load(path)
    import pytest

    from parsers.native import extension

    assert extension() is sys.modules["parsers._lines"]
    code = pytest.main(
        ["-q", "-x", "-p", "no:cacheprovider", "-k", "native or lines or chunk", *(str(ROOT / name) for name in TESTS)]
    )
    return int(code) or changed(time.monotonic() + 60 * minutes, seed)


def changed(end: float, seed: int) -> int:
    """Changed inputs until the time is over."""
    from tests.fuzz import extension, seeds

    luck, pool, inputs = random.Random(seed or None), seeds.lines(), seeds.of("lines")
    count = 0
    FOUND.mkdir(exist_ok=True)
    last = FOUND / f"lines-under-sanitizer-{os.getpid()}"
    while time.monotonic() < end:
        data = luck.choice(inputs)
        for _ in range(luck.randrange(3)):
            data = seeds.as_logs_suffer(data, luck, pool)
        data = _bytes_changed(data, luck)[:MAX_BYTES]
        last.write_bytes(data)  # a sanitizer ends the process: what it read last is what it found
        extension.lines(data)
        count += 1
    last.unlink(missing_ok=True)
    print(f"{count} inputs, nothing found")
    return 0


def _bytes_changed(data: bytes, luck: random.Random) -> bytes:
    made = bytearray(data)
    for _ in range(luck.choice((0, 0, 1, 2, 8))):
        at = luck.randrange(len(made) + 1)
        made[at : at + luck.randrange(3)] = luck.choice(
            (luck.randbytes(luck.randrange(4)), b"\r", b"\n", b"9", b"\xff\xfe", b"\xe2\x96\x88")
        )
    return bytes(made)


def leaks(path: str) -> int:
    """Everything that the extension does a thousand times, errors too: then the process ends, and what is lost is told."""
    load(path)
    from parsers.native import extension
    from tests.fuzz import extension as target
    from tests.fuzz import seeds

    native = extension()
    assert native is not None
    for data in seeds.of("lines"):
        target.lines(data)
    for _ in range(1000):
        sorter = native.Sorter(1, 2)
        sorter.sort(b"step 10 x\nstep 11 y\n" * 5, False)
        sorter.tell(0, 0, *target.numbers(b"\5\1\0\0\2\0\0\0", b"\2\0\5\1\0", b"\0\0\0\0\1"), b"s")
        for wrong in (b"\1", b"\5\7\0\0", b"\1\0\0\0\1\0\0\0"):
            try:
                sorter.tell(1, 0, *target.numbers(wrong))
            except ValueError:
                continue
        sorter.gather(1, b"\1")
        sorter.forget()
        native.picked(bytes(80), bytes(8))
        native.numbered(3, 1, [bytes(8)])
    return 0


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sanitize", description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=0, help="0: another one every time")
    parser.add_argument("--inside", metavar="FILE", help=argparse.SUPPRESS)
    parser.add_argument("--leaks", metavar="FILE", help=argparse.SUPPRESS)
    wish = parser.parse_args(arguments)
    if wish.inside:
        return inside(wish.inside, wish.minutes, wish.seed)
    if wish.leaks:
        return leaks(wish.leaks)
    with tempfile.TemporaryDirectory(prefix="nanalyze-sanitize-") as folder:
        path = built(Path(folder))
        env = {**os.environ, "LD_PRELOAD": preloaded(), "PYTHONMALLOC": "malloc", "UBSAN_OPTIONS": "print_stacktrace=1"}
        env.pop("NANALYZE_PURE", None)
        words = [
            sys.executable,
            "-m",
            "tests.sanitize",
            "--minutes",
            str(wish.minutes),
            "--seed",
            str(wish.seed),
            "--inside",
            str(path),
        ]
        quiet = {**env, "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:allocator_may_return_null=1"}
        code = subprocess.run(words, cwd=ROOT, env=quiet, check=False).returncode
        return code or told_leaks(path, {**env, "ASAN_OPTIONS": "detect_leaks=1:fast_unwind_on_malloc=0:malloc_context_size=8"})


def told_leaks(path: Path, env: dict[str, str]) -> int:
    """Exit code 1 where something is lost that the extension asked for; Python keeps much of its own till the end."""
    words = [sys.executable, "-m", "tests.sanitize", "--leaks", str(path)]
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if "LeakSanitizer has encountered a fatal error" in done.stderr:
        print("leaks: not looked for, this machine does not let a process look at itself")
        return 0
    if done.returncode and "LeakSanitizer" not in done.stderr:
        print(done.stderr[-4000:])
        return 1
    ours = [part for part in done.stderr.split("\n\n") if "_lines.c" in part and "leak of" in part]
    print("\n\n".join(ours[:10]) or "leaks: none of the extension's")
    return 1 if ours else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
