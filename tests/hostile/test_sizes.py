"""One line of a gigabyte, a hundred million lines of nothing, more names and numbers than any run has."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.hostile.running import run, said

SECONDS_PER_MB = 0.1
START = 2.0
"""CPU seconds that the command takes for nothing at all, on a loaded machine."""
MEMORY = 256.0


def filled(path: Path, unit: bytes, megabytes: int, end: bytes = b"") -> Path:
    part = unit * (2**20 // len(unit))
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(part)
        file.write(end)
    return path


UNITS = {
    "letters": b"a", "blanks": b" ", "empty lines": b"\n", "redraws": b"\r", "crlf": b"\r\n", "nuls": b"\0", "bytes": b"\xff",
    "braces": b"{'loss': {", "hints": b"{'loss': 1.0, ", "bars": b" 10%|", "escapes": b"\x1b[31m", "digits": b"9",
    "openings": b"Traceback (most recent call last):\n", "lines": b"x\n",
}  # fmt: skip


@pytest.mark.parametrize("unit", UNITS.values(), ids=UNITS.keys())
def test_one_thing_over_and_over(tmp_path: Path, unit: bytes) -> None:
    size = 6
    path = filled(tmp_path / "run.log", unit, size)
    found = run(str(path))
    assert found.code in (0, 3) and "Traceback" not in found.err and len(found.err.splitlines()) <= 1
    assert found.seconds < START + SECONDS_PER_MB * size and found.megabytes < MEMORY


@pytest.mark.slow
@pytest.mark.parametrize(("unit", "size"), [(b"a", 1024), (b"{'loss': 1.0, ", 1024), (b"\n", 96), (b"\0", 1024), (b"9", 256)])
def test_at_full_size(tmp_path: Path, unit: bytes, size: int) -> None:
    path = filled(tmp_path / "run.log", unit, size)
    found = run(str(path), limit=600)
    assert found.code in (0, 3) and len(found.err.splitlines()) <= 1
    assert found.seconds < START + SECONDS_PER_MB * size and found.megabytes < MEMORY


def test_tracebacks_without_end(tmp_path: Path) -> None:
    path, size = tmp_path / "run.log", 12
    stack = (
        "Traceback (most recent call last):\n"
        '  File "/home/user/exp/train.py", line 150, in <module>\n    engine.train_batch(data)\n'
        '  File "/home/user/venv/lib/python3.11/site-packages/deepspeed/runtime/engine.py", line 3100, in train_batch\n'
        "    self._step(batch, {0})\nValueError: cannot reshape array of size {0} into shape (3,)\n"
    )
    with path.open("w") as file:
        for number in range(size * 2**20 // len(stack)):
            file.write(stack.format(number))
        file.write(stack.format(999_999_999))
    found = run(str(path), "--format", "json")
    assert found.code == 0 and found.seconds < START + SECONDS_PER_MB * size and found.megabytes < MEMORY
    assert "size 0 into" in found.out and "differ in numbers alone were passed over" in found.out


@pytest.mark.parametrize("size", [64, pytest.param(1024, marks=pytest.mark.slow)])
def test_a_hole_is_passed_over(tmp_path: Path, size: int) -> None:
    path = tmp_path / "run.log"
    with path.open("wb") as file:
        file.truncate(size * 2**20)
    found = run(str(path))
    assert found.code == 3 and said(found)
    assert found.seconds < START + SECONDS_PER_MB * size and found.megabytes < MEMORY


def test_long_lines_of_new_names_are_not_learned_without_end(tmp_path: Path) -> None:
    """Each is a form of its own with hundreds of numbers, each of which would be tried out."""
    path = tmp_path / "run.log"
    with path.open("w") as file:
        for number in range(60):
            name = f"{number:b}".replace("0", "x").replace("1", "y")
            metrics = " - ".join(f"a/{chr(97 + at % 26)}{chr(97 + at // 26)}:{at}.5" for at in range(200))
            file.write(f"step:{number} - loss:1.5 - {name}:1 - {metrics}\n")
    found = run(str(path))
    assert found.code == 0 and found.seconds < START + 3 and found.megabytes < MEMORY, (found.seconds, found.megabytes)


def test_a_million_names_are_not_a_million_tables(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with path.open("w") as file:
        for number in range(30_000):
            file.write(f"{{'loss': 1.0, 'm{number}': {number}.5, 'epoch': 0.1}}\n")
    size = path.stat().st_size / 2**20
    found = run(str(path))
    assert found.code == 0 and found.seconds < START + 5 and found.megabytes < MEMORY, (size, found.seconds, found.megabytes)


@pytest.mark.parametrize("name", ["trainer_state.json", "ds_config.json", "wandb-summary.json", "metrics.jsonl", "run.log"])
def test_a_dictionary_of_very_many_keys(tmp_path: Path, name: str) -> None:
    inner = {f"k{number}": 0.5 for number in range(25_000)}
    state = {
        "log_history": [{"step": 1, "loss": 2.0, **inner}],
        "global_step": 1,
        "max_steps": 2,
        "loss": 1.0,
        "step": 3,
        **inner,
    }
    path = tmp_path / name
    path.write_text(json.dumps(state))
    found = run(str(path))
    assert found.code in (0, 3) and len(found.err.splitlines()) <= 1
    assert found.seconds < START + 3 and found.megabytes < MEMORY, (found.seconds, found.megabytes)


@pytest.mark.parametrize("opening", ['{"a":', "["])
@pytest.mark.parametrize("name", ["trainer_state.json", "ds_config.json", "metrics.jsonl", "run.log", "requirements.txt"])
def test_json_without_a_bottom(tmp_path: Path, name: str, opening: str) -> None:
    path = tmp_path / name
    path.write_text('{"log_history":' + opening * 200_000)
    found = run(str(path))
    assert found.code == 3 and found.err and "Traceback" not in found.err
    assert found.seconds < START + 1 and found.megabytes < MEMORY
