"""Archives that expand beyond all measure, or that hold something else than a log."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import zstandard

from tests.hostile.running import SAMPLE, inside, run, said

PART = b"\n" * 2**20
MEGABYTES = 32


def gz(path: Path, megabytes: int) -> None:
    with gzip.open(path, "wb", compresslevel=9) as file:
        for _ in range(megabytes):
            file.write(PART)


def xz(path: Path, megabytes: int) -> None:
    with lzma.open(path, "wb", preset=0) as file:
        for _ in range(megabytes):
            file.write(PART)


def bz(path: Path, megabytes: int) -> None:
    one = bz2.compress(PART * 4)  # members one after the other are one file
    path.write_bytes(one * (megabytes // 4))


def zst(path: Path, megabytes: int) -> None:
    with path.open("wb") as raw, zstandard.ZstdCompressor(level=3).stream_writer(raw) as file:
        for _ in range(megabytes):
            file.write(PART)


@pytest.mark.parametrize("make", [gz, xz, bz, zst], ids=["gz", "xz", "bz2", "zst"])
def test_a_bomb_ends_with_a_sentence_in_bounded_time_and_memory(tmp_path: Path, make: object) -> None:
    path = tmp_path / "run.log"
    make(path, MEGABYTES)  # type: ignore[operator]
    found = run(str(path))
    assert found.code == 3 and "expands beyond all measure" in said(found)
    assert found.seconds < 10 and found.megabytes < 256


def test_a_bomb_in_a_bomb_is_no_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inner = tmp_path / "inner.gz"
    gz(inner, 20)
    path = tmp_path / "run.log.gz"
    path.write_bytes(gzip.compress(inner.read_bytes()))
    found = inside(capsys, str(path))
    assert found.code == 3 and "binary" in said(found)


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz"])
def test_an_archive_of_files_is_not_opened(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"run.log.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../../run.log", PART * 20)
    else:
        with tarfile.open(path, "w:gz" if kind == "tar.gz" else "w") as tar:
            entry = tarfile.TarInfo("../../run.log")
            entry.size = len(PART)
            tar.addfile(entry, io.BytesIO(PART))
    found = inside(capsys, str(path))
    assert found.code == 3 and said(found)
    assert [one.name for one in tmp_path.iterdir()] == [path.name]


def test_arguments_in_a_zip_bomb_are_not_inflated(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_bytes(SAMPLE.read_bytes())
    path = tmp_path / "training_args.bin"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("archive/data.pkl", "w") as file:
        for _ in range(MEGABYTES):
            file.write(b"\x80\x02" + bytes(2**20))
    found = run(str(tmp_path))
    assert found.code == 0 and found.seconds < 10 and found.megabytes < 256


def _cut_archive(path: Path, kind: str, data: bytes) -> None:
    pack: dict[str, Callable[[bytes], bytes]] = {
        "gz": gzip.compress, "bz2": partial(bz2.compress, compresslevel=1), "xz": lzma.compress,
        "zst": zstandard.ZstdCompressor().compress,
    }  # fmt: skip
    packed = pack[kind](data)
    path.write_bytes(packed[: len(packed) * 9 // 10])


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
@pytest.mark.parametrize("times", [1, 8])  # less than a block of text, and more
def test_what_an_archive_held_before_it_broke_off_is_judged(
    tmp_path: Path, kind: str, times: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"run.log.{kind}"
    rows = "".join(f"{{'loss': {2 + number % 97 / 100}, 'epoch': {number / 9000:.4f}}}\n" for number in range(9000))
    _cut_archive(path, kind, rows.encode() * times)
    found = inside(capsys, str(path))
    assert found.code == 0 and "loss" in found.out
    assert " ".join(found.out.split()).count("breaks off or is damaged") == 1


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zst"])
def test_a_damaged_archive_gives_what_came_before(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"run.log.{kind}"
    rows = "".join(f"{{'loss': {2 + number % 97 / 100}, 'epoch': {number / 9000:.4f}}}\n" for number in range(20_000))
    _cut_archive(path, kind, rows.encode())
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) * 3 // 4 :] = bytes(len(damaged) // 4)
    path.write_bytes(damaged)
    found = inside(capsys, str(path))
    assert found.code == 0 and "breaks off or is damaged" in " ".join(found.out.split())
