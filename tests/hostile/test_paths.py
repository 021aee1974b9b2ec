"""Names and kinds of files that are no ordinary log: links in circles, pipes, devices, odd names, ways out of a folder."""

from __future__ import annotations

import os
import shutil
import socket
import time
from pathlib import Path

import pytest

from analyzer.batch.names import inside as below
from analyzer.batch.names import page_name
from parsers import tree
from tests.hostile.running import SAMPLE, inside, run, said

ODD = [
    b"a\nb.log",
    b"\xff\xfe.log",
    b"-o.log",
    b"--html.log",
    b"a\x1b[31mb.log",
    b"\xe2\x80\xaegol.log",
    b" .log",
    b"a|b`c`.log",
    b"<b>.log",
]


@pytest.mark.parametrize("flag", [(), ("--follow-links",)])
def test_links_that_go_round(tmp_path: Path, flag: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    run_folder = tmp_path / "runs" / "one"
    run_folder.mkdir(parents=True)
    shutil.copy(SAMPLE, run_folder / "run.log")
    (run_folder / "up").symlink_to(tmp_path / "runs")
    (tmp_path / "runs" / "self.log").symlink_to(tmp_path / "runs" / "self.log")
    (tmp_path / "runs" / "two").symlink_to(run_folder)
    found = inside(capsys, "scan", str(tmp_path / "runs"), "--cache", "off", "-j", "1", *flag)
    assert found.code == 0 and found.out.count("failed") >= 1 and "Traceback" not in found.err


def test_a_link_to_itself_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run.log").symlink_to("run.log")
    found = inside(capsys, str(tmp_path / "run.log"))
    assert found.code == 3 and said(found)


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/full", "/dev/null", "/dev/urandom", "/dev/tty"])
def test_devices_are_no_logs(device: str, capsys: pytest.CaptureFixture[str]) -> None:
    if not os.path.exists(device):
        pytest.skip(f"no {device} here")
    found = inside(capsys, device)
    assert found.code == 3 and said(found)


def test_pipes_and_sockets_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run.log")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s.log"))
        for name in ("run.log", "s.log"):
            found = run(str(tmp_path / name), limit=20)
            assert found.code == 3 and "not a regular file" in said(found)
        for arguments in ((str(tmp_path),), ("scan", str(tmp_path), "--cache", "off"), ("audit", str(tmp_path / "run.log")),
                          ("compare", str(SAMPLE), str(tmp_path / "run.log")), ("render", str(tmp_path / "run.log")),
                          (str(SAMPLE), "--env", str(tmp_path / "run.log")), (str(SAMPLE), "--config", str(tmp_path / "run.log"))):  # fmt: skip
            found = run(*arguments, limit=30)
            assert found.code in (2, 3) and "Traceback" not in found.err, (arguments, found)


def test_a_pipe_beside_a_log_does_no_harm(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "run.log")
    for name in ("ds_config.json", "requirements.txt", "trainer_state.json", "nanalyze.toml", ".nanalyzeignore", "env.txt"):
        os.mkfifo(tmp_path / name)
    found = run(str(tmp_path), limit=30, cwd=tmp_path)
    assert found.code == 0 and "loss" in found.out


@pytest.mark.parametrize("name", ODD, ids=map(ascii, ODD))
def test_odd_names(tmp_path: Path, name: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = os.fsencode(tmp_path) + b"/" + name
    shutil.copy(SAMPLE, path)
    outputs = [("-o", str(tmp_path / "r.json")), ("-o", str(tmp_path / "r.md")), ("--html", str(tmp_path / "r.html"))]
    for output in outputs[: 3 if name in ODD[:2] else 1]:
        found = run(path, *output)
        assert found.code == 0 and "\x1b" not in found.out + found.err and "Traceback" not in found.err, found
    pages, cache = str(tmp_path / "pages"), str(tmp_path / "c.db")
    words = "scan", str(tmp_path), "--cache", cache, "--html", pages
    found = run(*words) if name in ODD[:2] else inside(capsys, *words, "-j", "1")
    assert found.code == 0 and "\x1b" not in found.out + found.err and "Traceback" not in found.err, found
    assert sum(1 for page in (tmp_path / "pages").glob("*.html") if page.name != "index.html") == 1


def test_a_name_that_looks_like_an_option_is_said_to_be_none(tmp_path: Path) -> None:
    shutil.copy(SAMPLE, tmp_path / "-run.log")
    assert run("-run.log", cwd=tmp_path).code == 2
    assert run("--", "-run.log", cwd=tmp_path).code == 0
    assert run("./-run.log", cwd=tmp_path).code == 0


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "..", ".", "", "a/../../b", "..\\..\\b", "a\0b", "\n", "x" * 5000]
)
def test_no_name_leads_out_of_the_output_folder(tmp_path: Path, name: str) -> None:
    assert os.path.realpath(below(str(tmp_path), name.replace("\0", ""))).startswith(os.path.realpath(tmp_path))
    page = page_name(name, "en", True)
    assert "/" not in page and not page.startswith(".") and len(os.fsencode(page)) <= 255


def test_an_error_names_a_path_without_obeying_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (("/no/\x1b]0;x\x07\x1b[2J.log",), ("scan", "/no/\x1b[2J"), ("render", "/no/\x1b[2J"), ("explain", "\x1b[2J"),
                      ("--config", "\x1b[2J", str(SAMPLE)), ("--only", "\x1b[2J", str(SAMPLE)), ("--fact", "\x1b[2J", str(SAMPLE))):  # fmt: skip
        found = inside(capsys, *arguments)
        assert found.code in (2, 3) and "\x1b" not in found.err and "\x07" not in found.err, arguments


def test_a_pattern_that_would_match_for_ever_ends_after_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Endless(tree._Bounded):
        """Stars alone were never found to take so long: this is what the limit is for."""

        def __init__(self, _: str, said: str) -> None:
            super().__init__("^(a|a)*[bc]$", said)

    runs = tmp_path / ("a" * 100)
    runs.mkdir()
    shutil.copy(SAMPLE, runs / ("a" * 100))
    monkeypatch.setattr(tree, "_Bounded", Endless)
    monkeypatch.chdir(tmp_path)
    begin = time.process_time()
    found = inside(capsys, "scan", "a" * 100, "--include", "*a*a", "--cache", "off", "-j", "1")
    assert found.code == 2 and said(found) == "the pattern '*a*a' takes too long: use fewer *."
    assert time.process_time() - begin < 3 * tree.MAX_MATCH
