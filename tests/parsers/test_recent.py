"""Lines cited from memory are the lines of the file, and never those of another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import SourceRef, read, recent
from parsers.source import quote

TEXT = "first\n\x1b[1mbold\x1b[0m\r 50%|█    | 1/2\rlast of its line\r\n\nwith \0 and \xff\nend"


@pytest.mark.parametrize("text", [TEXT, TEXT + "\n", "one line", "\n\n\n", "a\r\nb\r\n"])
def test_they_are_what_is_quoted_from_the_file(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(text.encode("latin-1", "replace"))
    read([path])
    numbers = set(range(1, 9))
    (_, texts) = quote([SourceRef(str(path), number) for number in numbers])
    assert recent.lines(str(path), numbers) == {line: shown for (_, line), shown in texts.items()}


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("loss: 1.5\nloss: 1.4\n")
    read([path])
    assert recent.lines(str(path), {1}) == {1: "loss: 1.5"}
    path.write_text("loss: 2.5\nloss: 2.4\nmore\n")
    assert recent.lines(str(path), {1}) is None


def test_what_is_too_large_or_made_out_of_its_bytes_is_not_kept(tmp_path: Path) -> None:
    large, wide = tmp_path / "large.log", tmp_path / "wide.log"
    large.write_text("loss: 1.5\n" * (recent.MAX_BYTES // 10 + 1))
    wide.write_bytes("loss: 1.5\n".encode("utf-16"))
    read([large])
    read([wide])
    assert recent.lines(str(large), {1}) is None
    assert recent.lines(str(wide), {1}) is None


def test_only_few_files_are_kept(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.log" for number in range(recent.MAX_FILES + 2)]
    for path in paths:
        path.write_text("loss: 1.5\n")
        read([path])
    kept = [recent.lines(str(path), {1}) is not None for path in paths]
    assert kept == [False, False] + [True] * recent.MAX_FILES
