"""`analyze watch` against programs that really run: what is said, when, what is done, and the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from analyzer.cli import main
from tests.samples import ROOT

TRAINER = [sys.executable, str(Path(__file__).parent / "trainer.py")]


def start(log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen([*TRAINER, *arguments], stdout=out, stderr=out)


def watch(*arguments: object, timeout: float = 240) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "analyzer", "watch", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False)


def events(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_lost_run_is_stopped_and_reported(tmp_path: Path) -> None:
    log, page, flag = tmp_path / "run.log", tmp_path / "end.json", tmp_path / "STOP"
    training = start(log, "--fault", "nan", "--records", "2000")
    done = watch(
        log, "--stop-pid", training.pid, "--stop-file", flag, "--yes", "--format", "jsonl", "--report", page, "--no-redact"
    )
    assert done.returncode == 5, done.stderr
    assert training.wait(60) == -signal.SIGTERM
    assert "loss-zero" in flag.read_text() or "grad-nan" in flag.read_text()
    lines = events(done.stdout)
    found = {e["finding"]["rule"]: e["finding"]["first_step"] for e in lines if e["event"] == "found"}
    assert {"loss-zero": 20, "grad-nan": 20}.items() <= found.items()
    assert lines[-1]["event"] == "end"
    assert lines[-1]["reason"] == "the training process was stopped"
    assert lines[-1]["documents"][0]["run"]["last_step"] < 1000  # of 2000: a loaded machine starts the watcher late
    assert json.loads(page.read_text())["findings"][0]["severity"] == "critical"


def test_without_yes_nothing_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    training = start(log, "--fault", "nan")
    done = watch(log, "--stop-pid", training.pid, "--format", "plain", "--fail-on", "critical")
    assert training.wait(120) == 0
    assert done.stdout.count("would send SIGTERM") == 1
    assert done.returncode == 1


def test_a_process_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    training = start(log, "--fault", "stubborn", "--records", "2000")
    done = watch(log, "--stop-pid", training.pid, "--yes", "--grace", "0.5", "--format", "plain")
    assert done.returncode == 5
    assert training.wait(60) == -signal.SIGKILL
    assert done.stdout.index("SIGTERM") < done.stdout.index("sent SIGKILL")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_healthy_run_is_silent(tmp_path: Path, seed: int) -> None:
    log = tmp_path / "run.log"
    training = start(log, "--seed", str(seed))
    done = watch(log, "--stop-pid", training.pid, "--yes", "--format", "jsonl")
    assert training.wait(60) == 0
    assert done.returncode == 0
    assert [e["event"] for e in events(done.stdout)] == ["end"]


def test_a_crash_is_told_and_a_file_may_appear_later(tmp_path: Path) -> None:
    log = tmp_path / "later.log"
    watcher = subprocess.Popen(
        [sys.executable, "-m", "analyzer", "watch", str(log), "--format", "jsonl", "--max-wait", "30", "--fail-on", "critical"],
        stdout=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    time.sleep(1)
    start(log, "--fault", "crash").wait(120)
    out, _ = watcher.communicate(timeout=200)
    assert watcher.returncode == 1
    rules = [e["finding"]["rule"] for e in events(out) if e["event"] == "found"]
    assert "traceback" in rules


def test_a_silence_out_of_rhythm_is_a_stall(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    training = start(log, "--fault", "hang")
    done = watch(log, "--stall", "2", "--format", "plain", "--max-wait", "20")
    training.kill()
    assert done.returncode == 6
    assert "warning, medium confidence: stall at step 1" in done.stdout


def test_the_document_goes_to_the_command_and_no_shell_sees_the_log(tmp_path: Path) -> None:
    log, got = tmp_path / "run.log", tmp_path / "got.json"
    script = tmp_path / "take.py"
    script.write_text(f"import os, sys\nopen({str(got)!r}, 'w').write(os.environ['NANALYZE_RULE'] + '\\n' + sys.stdin.read())\n")
    lines = ["{'loss': 2.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}"] * 80
    lines += ["{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 1e-05, 'epoch': 0.2} $(touch /tmp/never) `id`"] * 3
    log.write_text("\n".join(lines) + "\n")
    done = watch(
        log, "--on-finding", f"{sys.executable} {script}", "--on-rule", "loss-zero", "--max-wait", "1", "--format", "plain"
    )
    assert done.returncode == 6
    rule, document = got.read_text().split("\n", 1)
    assert rule == "loss-zero"
    assert json.loads(document)["run"]["verdict"] == "failed"


def test_numbers_for_prometheus(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("{'loss': 2.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n" * 80)
    port = 20000 + os.getpid() % 20000
    watcher = subprocess.Popen(
        [sys.executable, "-m", "analyzer", "watch", str(log), "--listen", f"127.0.0.1:{port}", "--max-wait", "90"],
        stdout=subprocess.DEVNULL, cwd=ROOT,
    )  # fmt: skip
    text = ""
    for _ in range(600):
        time.sleep(0.1)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
                text = answer.read().decode()
        except OSError:
            continue
        if "nanalyze_last_step{" in text:
            break
    watcher.terminate()
    assert watcher.wait(60) == 130  # SIGTERM ends the watching as Ctrl-C does
    assert f'nanalyze_last_step{{run="{log}"}} 80' in text
    assert 'severity="critical"} 0' in text


def test_a_folder_of_several_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.log").write_text("{'loss': 2.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n" * 80)
    done = watch(tmp_path, "--max-wait", "1", "--format", "jsonl", "--no-redact")
    sources = [d["run"]["source"] for d in events(done.stdout)[-1]["documents"]]
    assert sources == [str(tmp_path / "a/run.log"), str(tmp_path / "b/run.log")]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["no/such/folder/run.log"], 3, "does not exist"),
        (["-"], 3, "analyze run"),
        (["run.log", "--max-wait", "0.3"], 3, ""),
        (["run.log", "--webhook", "file:///etc/passwd"], 2, "http"),
        (["run.log", "--stop-pid", "1", "--yes"], 2, "the machine"),
        (["run.log", "--stop-pid", "999999999"], 2, "no such process"),
        (["run.log", "--on-rule", "nothing"], 2, "no rule"),
        (["run.log", "--on-finding", "echo 'open"], 2, "on-finding"),
        (["run.log", "--listen", "9464"], 2, "--listen"),
        (["run.log", "--format", "xml"], 2, "--format"),
        (["run.log", "--report", "x.pdf"], 2, ".html"),
    ],
)
def test_wrong_usage_is_one_sentence(
    arguments: list[str], code: int, word: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["watch", *[str(tmp_path / a) if a == "run.log" else a for a in arguments]])
    assert ended.value.code == code
    told = capsys.readouterr().err
    assert word in told
    assert "Traceback" not in told
