"""Blocks that other processes or threads prepared say what they say when they are read in turn."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.diagnosis import known_signatures
from benchmarks import logs
from parsers import ahead as module
from parsers.read import Job, make_router, read_job
from parsers.source import Block
from tests.parsers.test_plain import mixed

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="processes are forked"), pytest.mark.usefixtures("engine")]
READ = sys.modules["parsers.read"]
"""The module: the package's attribute of this name is the function."""


def collected(path: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Everything that is read of a file with so many processes, or (with the extension) with threads where it is more than one."""
    monkeypatch.setattr(READ, "workers", lambda _: count)
    monkeypatch.setattr(READ, "is_worth_threads", lambda _: count > 1)
    found = read_job(Job(str(path), None, False), known_signatures())
    assert not isinstance(found, Exception)
    return repr((found.events, found.facts, found.problems, found.files, found.tables))


@pytest.mark.parametrize("density", [0.05, 1.0])
def test_a_large_log_reads_the_same(tmp_path: Path, density: float, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    logs.write(path, 7 * 10**6, density)
    assert collected(path, 2, monkeypatch) == collected(path, 1, monkeypatch)


@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf", b"x" * (3 * 2**20) + b"\n"], ids=["plain", "mark", "endless line"])
def test_blocks_are_where_they_are_said_to_be(tmp_path: Path, start: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(start + b"".join(mixed(seed, 3000) for seed in range(12)))
    assert collected(path, 2, monkeypatch) == collected(path, 1, monkeypatch)


def test_a_compressed_log_reads_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import gzip

    path = tmp_path / "run.log.gz"
    path.write_bytes(gzip.compress(b"".join(logs.pieces(5 * 10**6, 0.2)), 1))
    assert collected(path, 2, monkeypatch) == collected(path, 1, monkeypatch)


def test_a_process_that_is_killed_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    if engine == "native":
        pytest.skip("the extension needs no processes")
    path = tmp_path / "run.log"
    logs.write(path, 7 * 10**6, 0.2)
    expected = collected(path, 1, monkeypatch)
    main = os.getpid()
    prepare = module._prepare

    def dies(data: bytes, line: int, dead: frozenset[int]) -> object:
        if os.getpid() != main and line > 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return prepare(data, line, dead)

    monkeypatch.setattr(module, "_prepare", dies)
    assert collected(path, 2, monkeypatch) == expected


def test_where_no_process_can_be_forked_one_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: str) -> None:
    if engine == "native":
        pytest.skip("the extension needs no processes")
    path = tmp_path / "run.log"
    logs.write(path, 7 * 10**6, 0.2)
    expected = collected(path, 1, monkeypatch)

    def fork() -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    assert collected(path, 2, monkeypatch) == expected


def test_a_file_that_was_written_anew_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_bytes(b"another text\n" * 1000)
    block = Block(b"the text that was read\n" * 500, 1, offset=0)
    ((same, prepared),) = module.ahead(str(path), iter([block]), make_router(known_signatures()), 2, frozenset)
    assert same is block
    assert prepared is None


@pytest.mark.parametrize(("size", "expected"), [(10**6, 1), (10**9, None)])
def test_small_files_are_read_by_one_process(size: int, expected: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "active_count", lambda: 1)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    assert module.workers(size) == (expected or module.MAX_WORKERS)


LARGE = """
import sys
from parsers import ahead
ahead.MIN_BYTES = 0
from analyzer.cli import main
sys.argv = ["analyze", sys.argv[1]]
main()
"""


PURE = {**os.environ, "NANALYZE_PURE": "1"}


def processes(folder: Path) -> list[str]:
    """The processes that have this folder in their command line."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes()
        except OSError:
            continue
        found += [place.parent.name] if str(folder).encode() in words else []
    return found


@pytest.mark.skipif(not Path("/proc").is_dir() or (os.cpu_count() or 1) < 2, reason="processes are looked for in /proc")
def test_a_command_that_is_killed_leaves_no_process(tmp_path: Path, engine: str) -> None:
    if engine == "native":
        pytest.skip("the extension needs no processes")
    path = tmp_path / "run.log"
    path.write_bytes(b"".join(logs.pieces(10**6, 0.5)) * 60)
    words = [sys.executable, "-c", LARGE, str(path)]
    reading = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True, env=PURE)
    for _ in range(300):
        if len(processes(tmp_path)) > 1:
            break
        time.sleep(0.05)
    assert len(processes(tmp_path)) > 1
    reading.kill()
    reading.communicate(timeout=60)
    for _ in range(200):
        if not processes(tmp_path):
            break
        time.sleep(0.05)
    assert processes(tmp_path) == []
