"""What a scan remembers: unchanged runs are not read again, changed ones are, and nothing that happens to it loses anything."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyzer.batch import body, local
from analyzer.batch import cache as caches
from analyzer.diagnosis import Options, diagnose
from analyzer.output import document
from analyzer.scan import Batch, Extras, batch, find
from tests.samples import FOLDER, ROOT
from tests.test_cli import analyze, one_sentence

RUNS = ("nanfrom-ds0.14.5-z2-bf16-hf444-s12", "healthy-bf16-ds0.14.5-z1-hf444-s3", "oom-seqgrow-hf436-ds0.12.6-s4")


def make(root: Path, copies: int = 1) -> Path:
    for number in range(copies):
        for name in RUNS:
            shutil.copytree(FOLDER / "hf-deepspeed" / name, root / f"sweep-{number:02d}" / name)
            log = root / f"sweep-{number:02d}" / name / "run.log"
            log.write_bytes(f"run {number}\n".encode() + log.read_bytes())
    for path in root.rglob("*"):
        os.utime(path, (1.7e9, 1.7e9))
    return root


def scanned(
    root: Path, cache: Path | str, read: list[str] | None = None, monkeypatch: pytest.MonkeyPatch | None = None, **more: object
) -> str:
    """The table of a scan in this process; `read` gets the runs that were judged."""
    if read is not None and monkeypatch is not None:
        perform = local.perform
        monkeypatch.setattr(local, "perform", lambda task, work: (read.append(task.files.root), perform(task, work))[1])
    extras = Extras(cache=str(cache), **more)  # type: ignore[arg-type]
    target = root.parent / f"table-{random.random()}.txt"
    job = Batch(find([str(root)], extras), "terminal", target, None, "never", Options(), True, "en", 1, extras)
    assert batch(job) == 0
    if monkeypatch is not None:
        monkeypatch.undo()
    return target.read_text("utf-8")


def count(cache: Path) -> tuple[int, int]:
    with sqlite3.connect(cache) as base:
        assert base.execute("pragma integrity_check").fetchone() == ("ok",)
        cards, documents = (base.execute(f"select count(*) from {table}").fetchone()[0] for table in ("cards", "documents"))
    return cards, documents


def has_tables(cache: Path) -> bool:
    """Whether the scan came so far as to make them before it was killed."""
    with sqlite3.connect(cache) as base:
        return base.execute("select count(*) from sqlite_master where name in ('cards', 'documents')").fetchone()[0] == 2


def test_an_unchanged_run_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    first = scanned(root, cache)
    read: list[str] = []
    assert scanned(root, cache, read, monkeypatch) == first
    assert read == []


def test_only_a_changed_run_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    scanned(root, cache)
    changed = root / "sweep-00" / RUNS[1]
    with (changed / "run.log").open("a") as file:
        file.write("torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB\n")
    read: list[str] = []
    assert "oom-cuda" in next(line for line in scanned(root, cache, read, monkeypatch).splitlines() if RUNS[1] in line)
    assert read == [str(changed)]


def test_a_touched_a_copied_and_a_moved_run_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    first = scanned(root, cache)
    root.rename(tmp_path / "moved")
    (tmp_path / "moved" / "sweep-00" / RUNS[0] / "run.log").touch()
    read: list[str] = []
    second = scanned(tmp_path / "moved", cache, read, monkeypatch)
    assert read == []
    assert second.replace(str(tmp_path / "moved"), str(root)).split() == first.split()


def test_a_document_of_a_moved_run_names_the_new_place_and_quotes_as_before(tmp_path: Path) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    words = ("--format", "jsonl", "--no-redact", "--cache")
    old = analyze("scan", root, *words, cache).stdout
    root.rename(tmp_path / "moved")
    new = analyze("scan", tmp_path / "moved", *words, cache).stdout
    assert new == analyze("scan", tmp_path / "moved", *words, "off").stdout
    assert new.replace(str(tmp_path / "moved"), str(root)) == old


def test_another_option_or_another_tool_reads_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert caches.knowledge(Options()) != caches.knowledge(Options(ignore=("loss-zero",)))
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    scanned(root, cache)
    monkeypatch.setattr("analyzer.version.VERSION", "999")
    read: list[str] = []
    scanned(root, cache, read, monkeypatch)
    assert len(read) == 3


def test_no_resume_reads_again_and_off_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    scanned(root, cache)
    read: list[str] = []
    scanned(root, cache, read, monkeypatch, resume=False)
    assert len(read) == 3
    scanned(root, "off")
    assert count(cache) == (3, 3)


def test_a_file_that_was_just_written_is_not_trusted(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    (run,) = (run for run in find([str(root)], Extras()) if RUNS[0] in run.root)
    before = caches.mark(run)
    assert before.stamp
    (root / "sweep-00" / RUNS[0] / "run.log").touch()
    after = caches.mark(run)
    assert not after.stamp
    assert before.shape == after.shape


def test_new_runs_are_not_read_to_see_whether_they_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    scanned(root, cache)
    (root / "sweep-00" / "new").mkdir()
    (root / "sweep-00" / "new" / "run.log").write_text("{'loss': 2.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n")
    looked: list[str] = []
    monkeypatch.setattr("analyzer.batch.plan.content_on_disk", lambda run: looked.append(run.root) or b"")
    scanned(root, cache)
    assert not looked
    assert count(cache) == (4, 4)


def test_a_kept_document_is_the_same_again(tmp_path: Path) -> None:
    long = [f"{{'loss': {'nan' if i in (2000, 2001) else 1 + i % 7}, 'learning_rate': 1e-05}}" for i in range(1, 4001)]
    (tmp_path / "run.log").write_text("\n".join([*long, "RuntimeError: \udc80 is no text", ""]), "utf-8", "surrogateescape")
    for log in (tmp_path / "run.log", *(FOLDER / "hf-deepspeed" / name / "run.log" for name in RUNS)):
        made = diagnose(log)
        kept = body.packed(made)
        assert document.dumps(body.unpacked(kept)) == document.dumps(made)
        assert body.is_thinned(kept) == any(one.points > len(one.steps) for one in made.run.curves)
        assert {name: [*map(len, columns)] for name, columns in body.samples(kept).items()} == {
            one.metric: [len(one.steps)] * 3 for one in made.run.curves
        }


def test_a_document_that_is_damaged_in_the_cache_is_made_again(tmp_path: Path) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "cache.db"
    forms = [("--format", "jsonl"), ("--parquet", str(tmp_path / "tables"))]
    for form in forms:
        first = analyze("scan", root, "--cache", cache, *form)
        with sqlite3.connect(cache) as base:
            base.execute("update documents set body = cast('wno document' as blob)")
        again = analyze("scan", root, "--cache", cache, *form)
        assert (again.returncode, again.stdout) == (first.returncode, first.stdout)
        assert "Traceback" not in again.stderr
    with sqlite3.connect(cache) as base:
        assert {bytes(body[:1]) for (body,) in base.execute("select body from documents")} == {b"w"}


@pytest.mark.parametrize("spoil", ["damaged", "folder-is-a-file"])
def test_a_cache_that_cannot_be_used_costs_a_sentence(tmp_path: Path, spoil: str) -> None:
    root, cache = make(tmp_path / "tree"), tmp_path / "place" / "cache.db"
    if spoil == "damaged":
        cache.parent.mkdir()
        cache.write_bytes(b"this is no database, whatever its name says. " * 100)
    else:
        cache.parent.write_text("a file")
    done = analyze("scan", root, "--cache", cache)
    assert done.returncode == 0
    assert "3 runs: 2 failed, 1 healthy" in done.stdout
    if spoil == "damaged":
        assert count(cache) == (3, 3)
        assert cache.with_name("cache.db.damaged").exists()
    else:
        assert one_sentence(done.stderr)
        assert "going on without it" in done.stderr


def limited(words: list[object], size: int) -> subprocess.CompletedProcess[str]:
    """The command where no file may grow beyond `size` bytes: a disk that is full."""
    code = (
        f"import resource, signal, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}));"
        "from analyzer.cli import main; main(sys.argv[1:])"
    )
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, cwd=ROOT, check=False)


def test_a_full_disk_costs_a_sentence_and_no_half_file(tmp_path: Path) -> None:
    root = make(tmp_path / "tree")
    out = tmp_path / "out"
    out.mkdir()
    done = limited(["scan", root, "--format", "jsonl", "-o", out / "runs.jsonl", "--cache", "off"], 8192)
    assert done.returncode == 2
    assert one_sentence(done.stderr)
    assert list(out.iterdir()) == []
    done = limited(["scan", root, "--cache", tmp_path / "cache.db"], 8192)
    assert done.returncode == 0
    assert "3 runs: 2 failed, 1 healthy" in done.stdout
    assert "going on without it" in done.stderr


@pytest.mark.parametrize("option", ["-o", "--html", "--parquet", "--junit", "--sarif"])
def test_an_output_that_cannot_be_written_is_a_sentence(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("no folder")
    done = analyze("scan", make(tmp_path / "tree"), option, tmp_path / "file" / "out", "--cache", "off")
    assert done.returncode == 2
    assert one_sentence(done.stderr.splitlines()[-1])


def start(root: Path, cache: Path, out: Path, jobs: int = 2) -> subprocess.Popen[bytes]:
    words = ["scan", root, "--format", "jsonl", "-o", out, "--cache", cache, "--jobs", jobs]
    return subprocess.Popen([sys.executable, "-m", "analyzer", *map(str, words)], cwd=ROOT, stderr=subprocess.DEVNULL)


def test_two_scans_at_once_share_a_cache(tmp_path: Path) -> None:
    root, cache = make(tmp_path / "tree", 6), tmp_path / "cache.db"
    both = [start(root, cache, tmp_path / f"{name}.jsonl") for name in ("a", "b")]
    assert [one.wait(120) for one in both] == [0, 0]
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    assert len((tmp_path / "a.jsonl").read_bytes().splitlines()) == 18
    assert count(cache) == (18, 18)


@pytest.mark.slow
def test_a_scan_killed_at_twenty_moments_loses_nothing(tmp_path: Path) -> None:
    root, cache, out = make(tmp_path / "tree", 10), tmp_path / "cache.db", tmp_path / "runs.jsonl"
    assert start(root, tmp_path / "other.db", tmp_path / "whole.jsonl").wait(300) == 0
    rng, kept = random.Random(7), 0
    for _ in range(20):
        scan = start(root, cache, out)
        time.sleep(rng.uniform(0.1, 2.5))
        scan.send_signal(signal.SIGKILL)
        scan.wait()
        assert not out.exists() or out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
        out.unlink(missing_ok=True)
        if cache.exists() and has_tables(cache):
            assert count(cache)[0] >= kept
            kept = count(cache)[0]
    assert start(root, cache, out).wait(300) == 0
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert count(cache) == (30, 30)


def test_ctrl_c_shows_what_is_done_and_the_next_scan_goes_on(tmp_path: Path) -> None:
    root, cache = make(tmp_path / "tree", 30), tmp_path / "cache.db"
    words = [sys.executable, "-m", "analyzer", "scan", str(root), "--cache", str(cache), "--jobs", "2"]
    scan = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for _ in range(600):
        time.sleep(0.1)
        if cache.exists() and rows(cache) > 2:
            break
    scan.send_signal(signal.SIGINT)
    out, err = scan.communicate(timeout=60)
    if scan.returncode == 0:
        pytest.skip("the scan was over before Ctrl-C came")
    assert scan.returncode == 130
    assert "of 90 runs; what was done is shown" in err
    assert "Traceback" not in err
    assert " runs: " in out.splitlines()[0]
    done = rows(cache)
    assert 2 < done < 90
    assert analyze("scan", root, "--cache", cache).returncode == 0
    assert count(cache) == (90, 90)


def rows(cache: Path) -> int:
    try:
        with sqlite3.connect(f"file:{cache}?mode=ro", uri=True) as base:
            return int(base.execute("select count(*) from cards").fetchone()[0])
    except sqlite3.Error:
        return 0


def test_the_cache_is_in_the_users_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert caches.path_of("") == tmp_path / "nanalyze" / "scan-1.db"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    assert caches.path_of("") == tmp_path / "me" / ".cache" / "nanalyze" / "scan-1.db"
    assert caches.path_of("off") is None


def test_what_nobody_asked_for_longest_is_forgotten_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, path = make(tmp_path / "runs", 2), tmp_path / "cache.db"
    scanned(root, path)
    assert count(path) == (6, 6)
    with sqlite3.connect(path) as base:
        base.execute("update cards set at = 1000")
    scanned(root / "sweep-01", path)  # what is asked for becomes young again
    with sqlite3.connect(path) as base:
        assert base.execute("select count(*) from cards where at > 1000").fetchone() == (3,)
    monkeypatch.setattr(caches, "ASKED", 3)
    with caches.Cache(path, b"") as cache:
        assert cache.prune() == 0
        held = cache._held()
        assert cache.prune(held - 1) == 3
    assert count(path) == (3, 3)
    with sqlite3.connect(path) as base:
        assert all("sweep-01" in place for (place,) in base.execute("select root from cards"))


def test_a_scan_that_only_looks_up_keeps_nobody_from_writing(tmp_path: Path) -> None:
    root, path = make(tmp_path / "runs"), tmp_path / "cache.db"
    scanned(root, path)
    with sqlite3.connect(path) as base:
        base.execute("update cards set at = 1000")
        keys = [key for (key,) in base.execute("select key from cards")]
    with caches.Cache(path, b"") as cache:
        assert len(cache.known(keys)) == 3
        other = sqlite3.connect(path, timeout=0)
        other.execute("delete from places")  # raises where the look-up still holds the lock
        other.commit()
        other.close()
