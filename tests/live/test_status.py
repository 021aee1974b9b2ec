"""What the live view draws below the findings, and what of it fits on a screen."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

from analyzer.live.session import Session
from analyzer.live.status import duration, screen
from analyzer.output.strings import catalogue
from parsers.discover import RunFiles
from tests.live.test_watch import start
from tests.samples import ROOT

ROW = "{'loss': %s, 'grad_norm': %s, 'learning_rate': 1e-05, 'epoch': %s}\n"


def session(log: Path, bad: int, steps: int = 80) -> tuple[Session, float]:
    log.write_text("***** Running training *****\n  Total optimization steps = 200\n")
    one, now = Session(RunFiles(str(log), (str(log),)), 0.0), 0.0
    one.clock = lambda: 0.0
    with log.open("a") as file:
        for step in range(1, steps + 1):
            file.write(ROW % (0.0 if step >= bad else 2.5, "nan" if step >= bad else 1.0, step / 200))
            file.flush()
            now += 2.0
            one.look(now)
    return one, now


def test_one_run_step_speed_time_left_curves_and_findings(tmp_path: Path) -> None:
    one, now = session(tmp_path / ("a-long-name-" * 12 + "run.log"), bad=70)
    lines = [text for _, text in screen([one], now + 3, 80, 24)]
    assert lines[0].startswith("…")
    assert "step 80/200 · 2 s/step · 4 min left · last record 3 s ago" in lines[0]
    assert [line.split()[0] for line in lines[1:4]] == ["loss", "grad_norm", "lr"]
    assert "✕" in lines[2]
    found = [line for line in lines[4:] if "●" in line]
    assert any("critical: loss-zero since step 70, seen " in line for line in found)
    assert all(len(line) < 80 for line in lines)


def test_many_runs_fit_and_those_with_findings_come_first(tmp_path: Path) -> None:
    pairs = [session(tmp_path / f"{i}.log", bad=70 if i == 7 else 999) for i in range(8)]
    lines = screen([one for one, _ in pairs], pairs[0][1], 100, 6)
    assert len(lines) == 6
    assert "7.log" in lines[0][1]
    assert lines[1][0] == "critical"
    assert "more lines" in lines[-1][1]


def test_wide_characters_count_twice(tmp_path: Path) -> None:
    one, now = session(tmp_path / "run.log", bad=70)
    lines = [text for _, text in screen([one], now + 3, 50, 24, catalogue("zh"))]
    assert "第 80/200 步 · 2 秒/步" in lines[0] and "严重：loss-zero，自第 70 步" in "".join(lines)
    assert all(sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in line) < 50 for line in lines)


def test_durations() -> None:
    assert [duration(s) for s in (5, 119, 300, 7300, 300_000)] == ["5 s", "119 s", "5 min", "2 h 2 min", "3 d 11 h"]


def test_a_terminal_shows_the_run_and_ends_with_the_summary(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    training = start(log, "--fault", "nan", "--records", "60", "--every", "0.05")
    pid, master = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        words = [sys.executable, "-m", "analyzer", "watch", "run.log", "--stop-pid", str(training.pid)]
        os.execve(sys.executable, words, {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"})
    out, until = b"", time.monotonic() + 200
    while time.monotonic() < until:
        if select.select([master], [], [], 0.2)[0]:
            try:
                out += os.read(master, 65536)
            except OSError:
                break
        training.poll()  # reaped, so that it is gone
    os.waitpid(pid, 0)
    text = out.decode()
    assert "\x1b[1mrun.log: step " in text
    assert "\x1b[1;31m" in text
    assert "loss       " in text
    last = text.rpartition("\x1b[J")[2]
    assert "gone" in last and "\x1b[1mrun.log: step " not in last


def test_no_color(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(ROW % (2.5, 1.0, 0.1) * 80 + ROW % (0.0, "nan", 0.2) * 3)
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "watch", str(log), "--max-wait", "1", "--format", "live"],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "NO_COLOR": "1"}, check=False,
    )  # fmt: skip
    assert "loss-zero" in done.stdout
    assert "\x1b[31" not in done.stdout and "\x1b[1" not in done.stdout.replace("\x1b[1A", "")


def test_a_watcher_speaks_chinese(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(
        "".join(f"{{'loss': 2.0, 'grad_norm': {1.0 if step < 20 else float('nan')}, 'epoch': 0.1}}\n" for step in range(60))
    )
    command = [sys.executable, "-m", "analyzer", "watch", str(log), "--max-wait", "1", "--lang", "zh"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    assert re.search(r"严重：grad-nan，第 \d+ 步：从第", said)
    assert "在 --max-wait 允许的时间内没有写入新内容" in said and "失败" in said
    assert "critical" not in said and "nothing new" not in said
