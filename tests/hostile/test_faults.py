"""Surroundings that fail: full disks, broken disks, no permission, signals, no home, another clock, another locale."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest

from tests.hostile.running import SAMPLE, command, environment, inside, run, said

UNPRIVILEGED = () if os.geteuid() else ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--")
"""Root may do everything; without these two it is held to permissions like anybody."""
without_privileges = pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root needs setpriv (util-linux) to be held to permissions"
)


def left_over(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*") if path.is_file() and not path.name.startswith(".nanalyze")]


def small_files_only() -> None:
    """Writing more than 8 KB to a file fails from here on, as on a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
@pytest.mark.parametrize(
    "arguments", [(str(SAMPLE),), ("rules",), ("scan", str(SAMPLE), "--cache", "off", "--format", "jsonl"), ("--help",)]
)
def test_a_full_disk_behind_standard_output_is_said(arguments: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        found = run(*arguments, stdout=full)
    assert found.code == 2 and "No space left" in said(found)


@pytest.mark.parametrize("form", ["r.json", "r.html", "r.md"])
def test_a_full_disk_leaves_no_half_report(tmp_path: Path, form: str) -> None:
    found = run(str(SAMPLE), "-o", str(tmp_path / form), before=small_files_only)
    made = tmp_path / form
    assert (found.code == 2 and "cannot be written" in said(found) and not made.exists()) or made.stat().st_size < 8192
    assert not left_over(tmp_path)


def test_a_full_disk_under_the_cache_costs_only_the_cache(tmp_path: Path) -> None:
    found = run("scan", str(SAMPLE), "--cache", str(tmp_path / "c.db"), before=small_files_only)
    assert found.code == 0 and "failed" in found.out and "going on without it" in said(found)


def test_a_report_that_was_there_stays_where_the_new_one_fails(tmp_path: Path) -> None:
    old = tmp_path / "r.html"
    old.write_text("old")
    assert run(str(SAMPLE), "-o", str(old), before=small_files_only).code == 2
    assert old.read_text() == "old" and not left_over(tmp_path)


@pytest.mark.skipif(not os.path.exists("/proc/self/mem"), reason="no /proc here")
def test_a_disk_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = inside(capsys, "/proc/self/mem")  # its first page answers EIO
    assert found.code == 3 and said(found)


def test_a_disk_that_breaks_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from parsers import source

    path = tmp_path / "run.log"
    path.write_bytes(SAMPLE.read_bytes() * 40)
    real, calls = source._Metered.read, []

    def broken(self: object, size: int = -1) -> bytes:
        calls.append(size)
        if len(calls) > 4:
            raise OSError(5, "Input/output error")
        return real(self, min(size, 2**17) if size > 0 else 2**17)  # type: ignore[arg-type]

    monkeypatch.setattr(source._Metered, "read", broken)
    found = inside(capsys, str(path))
    assert found.code in (0, 3) and "Traceback" not in found.err
    assert "breaks off" in found.out + found.err


@without_privileges
def test_what_may_not_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    shutil.copy(SAMPLE, path)
    path.chmod(0)
    found = run(str(path), prefix=UNPRIVILEGED)
    assert found.code == 3 and "cannot be read (Permission denied)" in said(found)
    (tmp_path / "in").mkdir()
    shutil.copy(SAMPLE, tmp_path / "in" / "run.log")
    (tmp_path / "in").chmod(0)
    found = run("scan", str(tmp_path), "--cache", "off", prefix=UNPRIVILEGED)
    (tmp_path / "in").chmod(0o700)
    assert found.code in (0, 3) and "in cannot be read" in found.err and "Traceback" not in found.err


@without_privileges
def test_a_folder_that_may_not_be_written_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    found = run(str(SAMPLE), "-o", str(folder / "r.html"), prefix=UNPRIVILEGED)
    assert found.code == 2 and "cannot be written (Permission denied)" in said(found)
    home = environment(HOME=str(folder), XDG_CACHE_HOME=None)
    found = run("scan", str(SAMPLE), prefix=UNPRIVILEGED, env=home)
    assert found.code == 0 and "1 failed" in found.out and "going on without it" in said(found)


def test_nobodys_home(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A container's user whom /etc/passwd does not know, and no HOME."""

    def home(*_: object) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(Path, "home", home)
    monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    found = inside(capsys, "scan", str(SAMPLE), "-j", "1")
    assert found.code == 0 and "1 failed" in found.out and "going on without it" in said(found)


def test_another_locale_and_no_terminal(tmp_path: Path) -> None:
    env = environment(LC_ALL="C", LANG="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", TERM=None)
    plain = run(str(SAMPLE), env=env)
    assert plain.code == 0 and "\x1b" not in plain.out and "loss" in plain.out
    documents = [run(str(SAMPLE), "--format", "json", env=one).out for one in (env, environment(LC_ALL="C.UTF-8"))]
    made = [tmp_path / "a.json", tmp_path / "b.json"]
    for path, one in zip(made, (env, environment(TZ="Asia/Shanghai", LC_ALL="C.UTF-8")), strict=True):
        assert run(str(SAMPLE), "-o", str(path), env=one).code == 0
    assert made[0].read_bytes() == made[1].read_bytes() and documents[0]


def test_windows_line_ends_and_paths(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = SAMPLE.read_bytes().replace(b"\r\n", b"\n")
    found = []
    for name, data in (("unix", text), ("C:\\runs\\dos.log", text.replace(b"\n", b"\r\n"))):
        folder = tmp_path / name.replace("\\", "_").replace(":", "")
        folder.mkdir()
        (folder / name).write_bytes(data)
        shown = inside(capsys, str(folder / name), "--format", "json")
        assert shown.code == 0
        document = __import__("json").loads(shown.out)
        found.append([(one["rule"], one["first_step"], one["evidence"][0]["line"]) for one in document["findings"]])
    assert found[0] == found[1] and found[0]


@pytest.mark.parametrize("jump", [-86400.0, 86400.0 * 400])
def test_a_clock_that_jumps(
    tmp_path: Path, jump: float, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(SAMPLE, tmp_path / "run.log")
    real, calls = time.time, []

    def now() -> float:
        calls.append(1)
        return real() + (jump if len(calls) % 2 else 0.0)

    monkeypatch.setattr(time, "time", now)
    outputs = [inside(capsys, "scan", str(tmp_path), "--cache", str(tmp_path / "c.db"), "-j", "1") for _ in range(2)]
    assert [one.code for one in outputs] == [0, 0] and outputs[0].out == outputs[1].out
    monkeypatch.setattr(time, "time", real)
    os.utime(tmp_path / "run.log", (real() + jump, real() + jump))
    assert inside(capsys, "scan", str(tmp_path), "--cache", str(tmp_path / "c.db"), "-j", "1").out == outputs[0].out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_leaves_nothing_half_done(tmp_path: Path, number: signal.Signals) -> None:
    runs = tmp_path / "runs"
    for at in range(12):
        (runs / f"r{at}").mkdir(parents=True)
        shutil.copy(SAMPLE, runs / f"r{at}" / "run.log")
    pages, cache = tmp_path / "pages", tmp_path / "c.db"
    rng = random.Random(number)
    for delay in (0.05, 0.3, rng.uniform(0.5, 1.0), rng.uniform(1.0, 2.5)):
        arguments = command(
            "scan", str(runs), "--cache", str(cache), "--html", str(pages), "-o", str(tmp_path / "table.txt"), "-j", "2"
        )
        process = subprocess.Popen(
            arguments, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
        )
        time.sleep(delay)
        process.send_signal(number)
        _, said_ = process.communicate(timeout=60)
        if b"Could not import runpy" in said_:  # the interpreter itself was still starting: nothing of ours ran
            continue
        assert process.returncode in (0, 128 + number, -number), said_
        if delay > 0.2:
            assert b"Traceback" not in said_ or b"KeyboardInterrupt" in said_.splitlines()[-1], said_
        assert not left_over(tmp_path), said_
        assert not alive_in_session(process.pid)
        for page in pages.glob("*.html"):
            assert page.read_text("utf-8").rstrip().endswith("</html>")
    found = run("scan", str(runs), "--cache", str(cache))
    assert found.code == 0 and "12 failed" in found.out


def alive_in_session(leader: int) -> list[int]:
    """Processes that a scan started and left behind."""
    for _ in range(30):
        found = (
            [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _session(entry) == leader]
            if os.path.isdir("/proc")
            else []
        )
        if not found:
            return []
        time.sleep(0.1)
    return found


def _session(pid: str) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return int(fields[3]) if fields[0] != "Z" else 0
    except (OSError, ValueError, IndexError):
        return 0


def test_caches_are_for_their_owner_and_reports_follow_the_umask(tmp_path: Path) -> None:
    cache = tmp_path / "home" / "nanalyze" / "c.db"
    before = os.umask(0o022)
    try:
        report = tmp_path / "r.html"
        assert run("scan", str(SAMPLE), "--cache", str(cache), "--html", str(tmp_path / "pages")).code == 0
        assert run(str(SAMPLE), "-o", str(report)).code == 0
        assert stat.S_IMODE(report.stat().st_mode) == 0o644
        assert stat.S_IMODE(cache.parent.stat().st_mode) == 0o700
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in cache.parent.iterdir())
    finally:
        os.umask(before)


def test_a_report_goes_where_a_link_is_not_through_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    victim, link = tmp_path / "victim", tmp_path / "r.html"
    victim.write_text("mine")
    link.symlink_to(victim)
    assert inside(capsys, str(SAMPLE), "-o", str(link)).code == 0
    assert victim.read_text() == "mine" and not link.is_symlink()


def test_a_file_that_shrinks_or_goes_while_it_is_read(tmp_path: Path) -> None:
    from parsers.source import Meter, UnreadableError, blocks

    path = tmp_path / "run.log"
    for harm in (lambda: os.truncate(path, 10), path.unlink, lambda: (path.unlink(), os.mkfifo(path))):
        path.unlink(missing_ok=True)
        path.write_bytes(SAMPLE.read_bytes() * 30)
        seen = 0
        try:
            for number, block in enumerate(blocks(path, Meter(), 2**16)):
                seen += len(block.data)
                if number == 1:
                    harm()
        except UnreadableError:
            pass
        assert seen >= 2**16


@pytest.mark.parametrize("when", [0, 1, 2, 3, 5, 8])
def test_a_log_that_shrinks_under_the_command(
    tmp_path: Path, when: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Between the look at its first bytes, the reading, the quoting: whatever is cited later may be gone by then."""
    from parsers import source

    path = tmp_path / "run.log"
    path.write_bytes(SAMPLE.read_bytes())
    real, opened = source._open, []

    def shrinking(*arguments: object) -> object:
        opened.append(1)
        if len(opened) > when:
            os.truncate(path, 100)
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(source, "_open", shrinking)
    found = inside(capsys, str(path))
    assert found.code in (0, 3) and "Traceback" not in found.err
