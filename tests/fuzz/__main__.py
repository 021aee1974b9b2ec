"""`python -m tests.fuzz TARGET --minutes N`: looks for inputs that break a promise. Needs the extra `fuzz` (atheris).

TARGET is a name of `tests/fuzz/targets.py` (text, readers, files, events, wandb, document, config, patterns, pickles, lines), the name
of one reader (`analyze formats`), or `all`: the ten targets one after the other, each for its share of the minutes. What is
found is written to tests/fuzz/found/ and ends the target; make it small (`--minimise FILE`), move it to tests/fuzz/corpus/TARGET/
with a name that says what it is, and mend the product: from then on it is a test. Inputs that reach new code are kept
in `.fuzz/TARGET` for the next time. At most one process is at work, with a gigabyte of memory.
"""

from __future__ import annotations

import argparse
import random
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
KEPT: Final = HERE.parents[1] / ".fuzz"
FOUND: Final = HERE / "found"
MEMORY: Final = 1024
"""Megabytes that the process may hold, the fuzzer's own tables included."""
HANG: Final = 120
"""Seconds of wall time after which one input is a hang: many, since a loaded machine gives a process a tenth of its time. What
counts is CPU time, which the targets bound themselves (`targets.SECONDS`)."""


def main() -> int:
    """Fuzzes one target, or all of them in processes of their own."""
    wish = _arguments()
    if wish.target != "all":
        return _fuzz(wish)
    from tests.fuzz.targets import TARGETS

    return max([_again(name, wish.minutes / len(TARGETS), wish.seed) for name in TARGETS])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Coverage-guided fuzzing with atheris.")
    parser.add_argument("target", help="a target, a reader, or all")
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0, help="0: another one every time")
    parser.add_argument("--minimise", metavar="FILE", help="make a found input smaller instead")
    return parser.parse_args()


def _again(name: str, minutes: float, seed: int) -> int:
    command = [sys.executable, "-m", "tests.fuzz", name, "--minutes", str(minutes), "--seed", str(seed)]
    return subprocess.run(command, check=False).returncode


def _fuzz(wish: argparse.Namespace) -> int:
    try:
        import atheris
    except ModuleNotFoundError:
        print("atheris is not installed: pip install -e '.[dev,fuzz]' (Linux, Python 3.11 to 3.13).", file=sys.stderr)
        return 2
    with atheris.instrument_imports(include=["analyzer", "parsers"], enable_loader_override=False):
        _import_everything()
    from tests.fuzz import seeds, targets  # only now: what was imported before has no instruments

    if wish.target not in targets.every_name():
        print(f"there is no target {wish.target!r}: {', '.join(targets.every_name())} or all.", file=sys.stderr)
        return 2
    random.seed(wish.seed or None)
    options = _options(wish, seeds.of(wish.target), seeds.words(wish.target))
    mutate = seeds.mutator(wish.target, lambda data, size: atheris.Mutate(data, size))  # another one from Fuzz() on
    atheris.Setup([sys.argv[0], *options], targets.target(wish.target), custom_mutator=mutate)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(targets.folder(), ignore_errors=True)
    return 0


def _options(wish: argparse.Namespace, inputs: Sequence[bytes], words: Sequence[bytes]) -> list[str]:
    """libFuzzer's command line; the seeds and the dictionary are written where it finds them."""
    kept = KEPT / wish.target
    kept.mkdir(parents=True, exist_ok=True)
    FOUND.mkdir(exist_ok=True)
    for number, data in enumerate(inputs):
        (kept / f"seed-{number:04}").write_bytes(data)
    dictionary = KEPT / f"{wish.target}.dict"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in words), "ascii")
    common = [
        f"-artifact_prefix={FOUND}/{wish.target}-",
        f"-timeout={HANG}",
        f"-report_slow_units={HANG}",
        f"-rss_limit_mb={MEMORY}",
    ]
    if wish.minimise:
        return [*common, "-minimize_crash=1", f"-max_total_time={round(wish.minutes * 60)}", wish.minimise]
    from tests.fuzz.targets import MAX_LENGTH

    return [*common, f"-max_total_time={round(wish.minutes * 60)}", f"-max_len={MAX_LENGTH}", f"-dict={dictionary}",
            f"-seed={wish.seed}", "-print_final_stats=1", "-verbosity=1", str(kept)]  # fmt: skip


def _escaped(word: bytes) -> str:
    return "".join(chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in word)


def _import_everything() -> None:
    """Every module of ours, so that all of it is instrumented."""
    import importlib
    import pkgutil

    for root in ("parsers", "analyzer"):
        package = importlib.import_module(root)
        for info in pkgutil.walk_packages(package.__path__, f"{root}."):
            if not info.name.endswith("__main__") and ".callbacks." not in info.name:
                importlib.import_module(info.name)


if __name__ == "__main__":
    raise SystemExit(main())
