"""The command as a user types it: reports, exit codes, and one sentence for everything that is wrong."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import subprocess
import sys
from pathlib import Path

import pytest

from tests.samples import FOLDER, ROOT

NAN = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log"
HEALTHY = FOLDER / "hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3/run.log"


def analyze(*arguments: object, stdin: bytes | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", *map(str, arguments)], input=stdin, capture_output=True, cwd=cwd or ROOT, check=False
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def one_sentence(text: str) -> bool:
    return text.startswith("analyze: ") and len(text.strip().splitlines()) == 1 and "Traceback" not in text


def findings(text: str) -> dict[str, tuple[int | None, int]]:
    return {f["rule"]: (f["first_step"], f["evidence"][0]["line"]) for f in json.loads(text)["findings"]}


def test_the_main_job_names_rule_step_and_line() -> None:
    done = analyze(NAN, "--format", "json", "--no-redact")
    assert done.returncode == 0
    got = findings(done.stdout)
    assert got["loss-zero"][0] == 34
    assert got["grad-nan"][0] == 34
    lines = NAN.read_bytes().split(b"\n")
    assert b"'loss': 0.0, 'grad_norm': nan" in lines[got["loss-zero"][1] - 1]


@pytest.mark.parametrize(
    "pack",
    [gzip.compress, lzma.compress, bz2.compress, lambda data: __import__("zstandard").ZstdCompressor().compress(data)],
    ids=["gz", "xz", "bz2", "zst"],
)
def test_compressed_logs_read_like_plain_ones(tmp_path: Path, pack) -> None:
    packed = tmp_path / "run.log.packed"
    packed.write_bytes(pack(NAN.read_bytes()))
    assert findings(analyze(packed, "--format", "json").stdout) == findings(analyze(NAN, "--format", "json").stdout)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_encodings_read_alike(tmp_path: Path, encoding: str) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(NAN.read_bytes().decode().encode(encoding))
    assert findings(analyze(log, "--format", "json").stdout) == findings(analyze(NAN, "--format", "json").stdout)


def test_windows_newlines_read_alike(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_bytes(NAN.read_bytes().replace(b"\n", b"\r\n"))
    assert findings(analyze(log, "--format", "json").stdout) == findings(analyze(NAN, "--format", "json").stdout)


def test_standard_input() -> None:
    done = analyze("-", "--format", "json", stdin=NAN.read_bytes())
    assert findings(done.stdout)["loss-zero"][0] == 34


def test_a_directory_of_one_run_is_one_diagnosis() -> None:
    done = analyze(NAN.parent, "--format", "json")
    document = json.loads(done.stdout)
    assert {"hf_trainer", "tensorboard", "trainer_state"} <= set(document["run"]["readers"])
    assert findings(done.stdout)["loss-zero"][0] == 34


def test_several_runs_give_an_overview() -> None:
    done = analyze(NAN.parent, HEALTHY.parent)
    assert done.returncode == 0
    assert "2 runs: 1 failed, 1 healthy" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("missing.log", None, 3),
        ("empty.log", b"", 3),
        ("binary.bin", bytes(range(256)) * 40, 3),
        ("noise.log", b"nothing of interest\n" * 50, 3),
        ("cut.log.gz", gzip.compress(b"x" * 100_000)[:40], 3),
    ],
)
def test_what_cannot_be_judged_is_one_sentence_and_never_healthy(
    tmp_path: Path, name: str, content: bytes | None, code: int
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    done = analyze(path)
    assert done.returncode == code
    assert one_sentence(done.stderr), done.stderr
    assert "healthy" not in done.stdout.lower()


def test_a_cut_log_is_judged_by_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    data = NAN.read_bytes()
    path.write_bytes(data[: int(len(data) * 0.8)])
    assert findings(analyze(path, "--format", "json").stdout)["loss-zero"][0] == 34


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([NAN, "--only", "no-such-rule"], 2),
        ([NAN, "-o", "report.docx"], 2),
        ([NAN, "-o", "/nowhere/at/all/report.html"], 2),
        (["explain", "los-zero"], 2),
        (["render", "no-such.json"], 3),
        (["render", ROOT / "pyproject.toml"], 3),
        (["scan", "/nowhere/at/all"], 3),
        ([ROOT / "docs" / "no-such-folder"], 3),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[object], code: int) -> None:
    done = analyze(*arguments)
    assert done.returncode == code, done.stderr
    assert one_sentence(done.stderr), done.stderr
    assert not done.stdout


@pytest.mark.parametrize("words", [(NAN, "--no-such-option"), (NAN, "--format", "pdf"), ("scan",), ("rules", "extra")])
def test_unknown_options_are_usage_errors(words: tuple[object, ...]) -> None:
    done = analyze(*words)
    assert done.returncode == 2
    assert one_sentence(done.stderr), done.stderr


def test_fail_on() -> None:
    assert analyze(NAN, "--fail-on", "critical").returncode == 1
    assert analyze(HEALTHY, "--fail-on", "warning").returncode == 0


def test_only_and_ignore() -> None:
    assert set(findings(analyze(NAN, "--format", "json", "--only", "loss-zero").stdout)) == {"loss-zero"}
    assert "loss-zero" not in findings(analyze(NAN, "--format", "json", "--ignore", "loss-zero").stdout)


def test_reports_are_written_whole(tmp_path: Path) -> None:
    for suffix, start in ((".html", "<!"), (".json", "{"), (".md", "")):
        done = analyze(NAN, "-o", tmp_path / f"report{suffix}")
        assert done.returncode == 0
        assert done.stdout == ""
        assert (tmp_path / f"report{suffix}").read_text("utf-8").lstrip().startswith(start)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["report.html", "report.json", "report.md"]


def test_html_besides_the_summary(tmp_path: Path) -> None:
    done = analyze(NAN, "--html", tmp_path / "report.html")
    assert "loss-zero" in done.stdout
    assert (tmp_path / "report.html").exists()


def test_a_saved_document_is_drawn_again_the_same(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    analyze(NAN, "--no-redact", "-o", saved)
    again = analyze("render", saved, "--format", "json", "--no-redact")
    assert json.loads(again.stdout) == json.loads(saved.read_text("utf-8"))
    for form in ("terminal", "markdown", "html"):
        assert (
            analyze("render", saved, "--format", form, "--no-redact").stdout
            == analyze(NAN, "--format", form, "--no-redact").stdout
        )


def test_the_same_bytes_give_the_same_document() -> None:
    import os

    outputs = set()
    for seed, zone, locale in (("0", "UTC", "C"), ("1", "Asia/Shanghai", "C.UTF-8"), ("7", "America/New_York", "POSIX")):
        env = os.environ | {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": locale}
        command = [sys.executable, "-m", "analyzer", str(NAN), "--format", "json"]
        outputs.add(subprocess.run(command, capture_output=True, cwd=ROOT, env=env, check=True).stdout)
    assert len(outputs) == 1


def test_lists_and_pages() -> None:
    assert "loss-zero" in analyze("rules").stdout
    assert "ds-zero12-overlap-multirank" in analyze("causes").stdout
    assert "hf_trainer" in analyze("formats").stdout
    assert analyze("explain", "loss-zero").stdout.startswith("# loss-zero")
    assert "overlap_comm" in analyze("explain", "ds-zero12-overlap-multirank").stdout


def test_a_word_that_is_a_command_and_a_path(tmp_path: Path) -> None:
    (tmp_path / "scan").write_bytes(NAN.read_bytes())
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "./scan", "--format", "json"], capture_output=True, cwd=tmp_path, check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert "loss-zero" in findings(done.stdout.decode())


def test_the_reader_of_a_pipe_may_leave() -> None:
    done = subprocess.run(
        f"{sys.executable} -m analyzer {NAN} --format json | head -1", shell=True, capture_output=True, cwd=ROOT, check=False
    )
    assert done.stdout.startswith(b"{")
    assert b"Traceback" not in done.stderr


def test_a_url_is_sent_to_the_command_that_reads_it() -> None:
    done = analyze("s3://bucket/run.log")
    assert (done.returncode, done.stderr) == (
        2,
        "analyze: s3://bucket/run.log is a URL: `analyze scan s3://bucket/run.log` reads those.\n",
    )
