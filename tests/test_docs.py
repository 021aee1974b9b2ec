"""README, help and pages cannot drift from the code."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import pytest

from analyzer.cli import COMMANDS, HELP, MAIN
from analyzer.rule import load
from tests.samples import ROOT
from tests.test_cli import analyze

README = (ROOT / "README.md").read_text("utf-8")
HEADINGS = ("What it finds", "Why it matters", "What it does not mean", "Look at", "Examples")


def test_the_readme_names_every_command_and_the_help_too() -> None:
    for command in COMMANDS - {MAIN}:
        assert re.search(rf"analyze {command}\b", README), command
        assert re.search(rf"^  {command}\b", HELP, re.MULTILINE), command


def test_every_command_of_the_readme_exists() -> None:
    for line in re.findall(r"^analyze .*", README, re.MULTILINE):
        for part in line.split("#")[0].split(";"):
            words = shlex.split(part)
            if len(words) > 1 and words[1] not in COMMANDS:
                assert re.search(r"[./]", words[1]), part  # a path, so the main job
            command = words[1] if len(words) > 1 and words[1] in COMMANDS else MAIN
            options = [word for word in words if word.startswith("--")]
            shown = HELP + analyze(command, "--help").stdout if options else ""
            for option in options:
                assert option in shown, part


def test_the_help_shows_every_option_of_the_main_job() -> None:
    shown = analyze(MAIN, "--help").stdout
    for option in set(re.findall(r"--[a-z][a-z-]+", shown)) - {"--help"}:
        assert option in HELP, option


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(command: str) -> None:
    done = analyze(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.split("\n")[2].strip()) > 20


def test_the_first_command_of_the_readme_works() -> None:
    command = re.search(r"&& \.venv/bin/analyze (\S+)", README)
    assert command
    done = analyze(command[1])
    assert done.returncode == 0
    assert "loss-zero" in done.stdout


def test_the_test_command_of_the_readme_is_what_ci_calls() -> None:
    assert ".venv/bin/python -m pytest" in README
    assert ".venv/bin/python -m pytest" in (ROOT / ".ci" / "run").read_text("utf-8")


@pytest.mark.parametrize("one", load(), ids=lambda one: one.id)
def test_every_rule_has_its_page(one) -> None:
    assert one.text.startswith(f"# {one.id}:"), f"{one.page.name} is missing or does not begin with the rule's id"
    positions = [one.text.find(f"\n## {heading}\n") for heading in HEADINGS]
    assert -1 not in positions
    assert positions == sorted(positions)


def test_the_links_of_the_documents_lead_somewhere() -> None:
    for document in ROOT.glob("*.md"):
        for target in re.findall(r"\]\((?!https?://)([^)#]+)", document.read_text("utf-8")):
            assert (document.parent / target).exists(), f"{document.name} → {target}"


def test_the_package_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "analyzer", "--version"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert re.fullmatch(r"nanalyze \d+\.\d+\.\d+\n", done.stdout)
