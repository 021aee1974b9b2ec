"""Rotated logs are one text: oldest piece first, one step axis, each point with its own file and line."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from parsers import Run, read
from parsers.discover import find_runs
from parsers.rotation import oldest_first, pieces


def row(step: int) -> str:
    """A line of the Trainer, which prints no step."""
    return f"{{'loss': {3 - 0.01 * step:.4f}, 'learning_rate': 0.0005, 'epoch': {0.01 * step:.2f}}}\n"


def rotated(folder: Path, names: list[str], rows: int = 10) -> Run:
    """The run whose log was cut into these files, oldest first, each of `rows` rows."""
    folder.mkdir(exist_ok=True)
    for number, name in enumerate(names):
        text = "".join(row(number * rows + k) for k in range(1, rows + 1)).encode()
        (folder / name).write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    (found,) = find_runs([folder])
    return read(found.files, strict=True)


@pytest.mark.parametrize(
    "names",
    [
        ["run.log.3.gz", "run.log.2.gz", "run.log.1", "run.log"],
        [*(f"run.log.{age}" for age in range(12, 0, -1)), "run.log"],
        ["run.log-20261122.gz", "run.log-20261123", "run.log"],
        ["train.log.2026-11-23_09", "train.log.2026-11-23_10", "train.log"],
        ["slurm.out.2", "slurm.out.1", "slurm.out"],
    ],
    ids=lambda names: names[0],
)
def test_pieces_are_one_run_in_the_order_of_writing(tmp_path: Path, names: list[str]) -> None:
    run = rotated(tmp_path / "run", names)
    loss = run.series("loss")
    assert loss is not None and len(run.all_series("loss")) == 1 and run.segments == 1
    assert list(loss.steps) == list(range(1, 10 * len(names) + 1))
    assert [Path(file.path).name for file in run.files] == names
    for index in range(len(loss)):
        ref = loss.ref(index)
        assert (Path(ref.file).name, ref.line) == (names[index // 10], index % 10 + 1)


def test_numbers_alone_are_no_rotation() -> None:
    assert not pieces(["log.1", "log.2"])
    assert pieces(["log.1", "log"]) == {"log": ["log.1", "log"]}


def test_others_keep_their_places() -> None:
    assert oldest_first(["a.log", "b.log", "b.log.1", "c.log"]) == ["a.log", "b.log.1", "b.log", "c.log"]


def test_an_older_run_moved_aside_is_a_segment(tmp_path: Path) -> None:
    for name in ("run.log.1", "run.log"):
        text = "".join(f"step {step} loss={3 - 0.01 * step:.4f} lr 1e-4\n" for step in range(1, 11))
        (tmp_path / name).write_text(text)
    run = read(oldest_first([str(tmp_path / "run.log"), str(tmp_path / "run.log.1")]), strict=True)
    loss = run.series("loss")
    assert loss is not None and list(loss.segments) == [0] * 10 + [1] * 10


@pytest.mark.parametrize("old", ["run.log.1", "run.log.2.gz", "run.log-20261123"])
def test_a_log_that_is_named_alone_brings_its_pieces(tmp_path: Path, old: str) -> None:
    names = [old, "run.log"]
    rotated(tmp_path / "run", names)
    (found,) = find_runs([tmp_path / "run" / "run.log"])
    assert [Path(path).name for path in found.files] == names
    run = read(found.files, strict=True)
    assert [Path(file.path).name for file in run.files] == names and len(run.series("loss") or ()) == 20


def test_a_piece_that_is_named_is_read_alone(tmp_path: Path) -> None:
    rotated(tmp_path / "run", ["run.log.1", "run.log"])
    (found,) = find_runs([tmp_path / "run" / "run.log.1"])
    assert [Path(path).name for path in found.files] == ["run.log.1"]
