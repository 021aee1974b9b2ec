"""Blocks of whole fragments, whatever the chunks, the encoding or the compression."""

from __future__ import annotations

import gzip
import random
import resource
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from parsers import source
from parsers.model import SourceRef
from parsers.source import MAX_FRAGMENT, Cutter, UnreadableError, blocks, head, is_binary, quote

PIECES = st.lists(st.sampled_from([b"a", b"bc", b"\n", b"\r", b"\r\n", b"loss", b" "]), max_size=40)


def fragments(chunks: list[bytes]) -> list[bytes]:
    cutter = Cutter()
    whole = b"".join(block.data for chunk in chunks for block in cutter.feed(chunk))
    return [whole, *(block.data for block in cutter.close())]


@given(PIECES, st.integers(1, 7))
def test_any_chunking_gives_every_byte_once(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    assert b"".join(fragments(chunks)) == data


@given(PIECES, st.integers(1, 7))
def test_blocks_end_between_fragments_and_know_their_line(pieces: list[bytes], size: int) -> None:
    data = b"".join(pieces)
    cutter = Cutter()
    seen = b""
    for start in range(0, len(data), size):
        for block in cutter.feed(data[start : start + size]):
            assert block.line == seen.count(b"\n") + 1
            assert block.data.endswith((b"\n", b"\r"))
            seen += block.data
            assert not (block.data.endswith(b"\r") and data[len(seen) : len(seen) + 1] == b"\n")


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "long.log"
    path.write_bytes(b"x" * (5 * MAX_FRAGMENT) + b"\nlast\n")
    got = list(blocks(path, size=MAX_FRAGMENT // 3))
    assert max(len(block.data) for block in got) < 2 * MAX_FRAGMENT
    assert got[-1].data == b"last\n"
    assert got[-1].line == 2


def test_cited_lines_are_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"one\n 10%|# | 1/10 [00:01<00:02]\r\x1b[31m{'loss': 1}\x1b[0m\nthree\n")
    refs = [SourceRef(str(path), 2), SourceRef(str(path), 3)]
    filled, around = quote(refs, around=1)
    assert filled[refs[0]].text == "{'loss': 1}"
    assert around[str(path), 1] == "one"
    assert filled[refs[1]].text == "three"


def test_a_directory_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(UnreadableError, match=r"check|name"):
            list(blocks(path))


def test_text_with_holes_is_text_and_noise_is_not() -> None:
    assert not is_binary(b"step 1\n" + b"\0" * 200 + b"step 2\n" * 40)
    assert not is_binary("Зтер 1 損失 0.5\n".encode() * 5)
    assert is_binary(bytes(range(256)))


def test_a_log_that_begins_with_a_hole_is_text(tmp_path: Path) -> None:
    cut_under_its_writer = tmp_path / "run.log"
    cut_under_its_writer.write_bytes(b"\0" * 3_000_000 + b"{'loss': 1.5}\n" * 9)
    assert not is_binary(head(cut_under_its_writer))
    nothing = tmp_path / "nothing.log"
    nothing.write_bytes(b"\0" * 9000)
    assert is_binary(head(nothing))


def test_frames_of_zstd_follow_each_other_and_a_cut_one_is_told(tmp_path: Path) -> None:
    text = b"".join(b"%d of many lines\n" % (i * 7919) for i in range(40_000))
    frames = zstandard.ZstdCompressor().compress(text) * 2
    path = tmp_path / "run.log.zst"
    path.write_bytes(frames)
    assert b"".join(block.data for block in blocks(path, size=5000)) == text * 2
    path.write_bytes(frames[: len(frames) * 3 // 4])
    got = bytearray()
    with pytest.raises(UnreadableError, match="breaks off"):
        for block in blocks(path):
            got += block.data
    assert (text * 2).startswith(bytes(got))
    assert len(got) >= len(text)
    path.write_bytes(zstandard.ZstdCompressor().compress(text[:20_000])[:2000])  # not one whole block
    with pytest.raises(UnreadableError, match="breaks off"):
        list(blocks(path))


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UnreadableError, match="standard input is closed"):
        list(blocks("-"))


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "big.log"
    with path.open("wb") as file:
        for _ in range(60):
            file.write(b"some ordinary line of output\n" * 40_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(len(block.data) for block in blocks(path)) == path.stat().st_size
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert grown < 30, f"{grown:.0f} MiB for a file of {path.stat().st_size / 2**20:.0f} MiB"


@pytest.mark.parametrize("seed", range(60))
def test_lines_at_the_ends_of_a_compressed_log_are_the_ones_that_are_found_in_it(tmp_path: Path, seed: int) -> None:
    luck, path = random.Random(seed), tmp_path / "run.log.gz"
    breaks = (b"\n", b"\n", b"\r", b"\r\n")
    data = b"".join(
        bytes(luck.choices(b"abc %|", k=luck.randrange(60))) + luck.choice(breaks) for _ in range(luck.randrange(1, 400))
    )
    path.write_bytes(gzip.compress(data.rstrip(b"\n") if seed % 3 else data))
    meter, refs = source.Meter(), [SourceRef(str(path), number) for number in range(1, data.count(b"\n") + 2)]
    assert b"".join(block.data for block in source.blocks(path, meter, size=luck.choice((64, 300, 5000))))
    source._ENDS.clear()
    found = quote(refs)
    source.remember(str(path), meter)
    assert str(path) in source._ENDS
    assert quote(refs)[0] == found[0]


def test_what_is_cited_at_the_end_of_a_compressed_log_is_not_decompressed_again(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "run.log.gz"
    path.write_bytes(gzip.compress(b"".join(b"line %d\n" % number for number in range(9000))))
    meter = source.Meter()
    assert list(source.blocks(path, meter))
    source.remember(str(path), meter)
    monkeypatch.setattr(source, "blocks", None)
    assert quote([SourceRef(str(path), 8999)])[0][SourceRef(str(path), 8999)].text == "line 8998"
