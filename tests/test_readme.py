"""The README keeps its word: every command of its block is run, its figures are those of the pages, its translation says the same."""

from __future__ import annotations

import gzip
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.samples import ROOT

ENGLISH, CHINESE = ((ROOT / name).read_text("utf-8") for name in ("README.md", "README.zh.md"))
SAMPLES = ROOT / "sample_logs" / "hf-deepspeed"
FAILED = SAMPLES / "nanfrom-ds0.14.5-z2-bf16-hf444-s12"
GOOD = SAMPLES / "healthy-bf16-ds0.14.5-z1-hf444-s3"
CODES = {"--fail-on critical": (1,), "analyze mcp": (0, 2), "--max-wait": (0, 6)}
"""Exit codes of commands that say more than 0; without its extra `analyze mcp` is wrong usage."""


def block(text: str) -> list[str]:
    """The lines of the longest shell block, without their remarks."""
    longest = max(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL), key=len)
    return [re.sub(r"\s+# .*", "", line).strip() for line in longest.splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A user's folder with everything that the block names, and a process that may be stopped."""
    place = tmp_path_factory.mktemp("user")
    for name, source in (
        ("good", GOOD),
        ("bad", FAILED),
        ("output_dir", FAILED),
        ("experiments/a", GOOD),
        ("experiments/b", FAILED),
    ):
        shutil.copytree(source, place / name, copy_function=shutil.copyfile)  # written today: --since 7d
    shutil.copy(FAILED / "run.log", place / "run.log")
    (place / "run.log.gz").write_bytes(gzip.compress((FAILED / "run.log").read_bytes()))
    for name in ("freeze.txt", "requirements.txt"):
        shutil.copy(FAILED / "env.txt", place / name)
    (place / "train.py").write_text("print('step 1 loss=0.5')\n")
    (place / "ci" / "rules").mkdir(parents=True)
    own = (ROOT / "docs" / "how-to" / "own-rule.md").read_text("utf-8")
    (place / "ci" / "rules" / "loss_above_budget.py").write_text(own.split("```python\n")[1].split("```")[0])
    (place / "bin").mkdir()
    for name, words in (("analyze", "-m analyzer "), ("python", "")):
        shim = place / "bin" / name
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words}"$@"\n')
        shim.chmod(0o755)
    with subprocess.Popen(["sleep", "600"]) as sleeping:
        (place / "pid").write_text(str(sleeping.pid))
        yield place
        sleeping.kill()


@pytest.mark.parametrize("line", block(ENGLISH))
def test_every_command_of_the_readme_runs(line: str, folder: Path) -> None:
    if line.startswith("analyze render"):
        run("analyze run.log -o report.json", folder)
    line = line.replace("4711", (folder / "pid").read_text()).replace("analyze watch", "analyze watch --max-wait 20")
    for part in line.split(";"):
        wanted = next((codes for words, codes in CODES.items() if words in part), (0,))
        done = run(part, folder)
        codes = (*wanted, 5) if "--stop-pid" in part else wanted
        assert done.returncode in codes, done.stderr
        assert done.stdout or done.stderr or "analyze mcp" in part


def run(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "XDG_CACHE_HOME": str(folder / "cache"),
    }
    return subprocess.run(["bash", "-c", line], cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
                          check=False)  # fmt: skip


def test_the_translation_shows_the_same_commands() -> None:
    lines = [line.replace(" --lang zh", "") for line in block(CHINESE)]
    assert lines == block(ENGLISH)


def test_the_translation_has_the_same_tables_pictures_and_figures() -> None:
    def rows(text: str) -> list[list[str]]:
        lines = [line for line in text.splitlines() if line.startswith("|")]
        return [sorted(re.findall(r"\d[\d,.]*\d|\d|docs/[\w./-]+", line)) for line in lines]

    assert rows(CHINESE) == rows(ENGLISH)


def test_the_figures_are_those_of_the_pages() -> None:
    lab, rules = ((ROOT / "docs" / name).read_text("utf-8") for name in ("lab.md", "rules.md"))
    faulty, healthy = re.findall(r"(\d+) faulty and (\d+) healthy samples, 0 not diagnosed", lab)[0]
    (least,) = re.findall(r"all of more than (\d+) samples", ENGLISH)
    assert int(faulty) + int(healthy) > int(least)
    found = re.findall(r"(\d+) of them healthy\. Recall (\d+)/(\d+) .*false alarms (\d+)/", rules[rules.index("176 runs") :])[0]
    assert f"{found[1]} of {found[2]} expected findings, no alarm in {found[0]} healthy logs" in ENGLISH and found[3] == "0"
    assert all(shlex.split(command) for command in re.findall(r"\| `(python [^`]+)`", ENGLISH))
