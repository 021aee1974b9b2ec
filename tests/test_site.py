"""The documentation: it builds strictly, is spelt right, and its commands exist; those of the tutorial are run."""

from __future__ import annotations

import ast
import json
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import tomli
import yaml

from analyzer.cli import COMMANDS, HELP, MAIN
from tests.browser import screenshots
from tests.samples import ROOT
from tests.test_cli import analyze

DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
RUN = "sample_logs/hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12"


def commands(page: Path) -> list[str]:
    """The `analyze …` lines of a page's shell blocks, joined where a backslash ends them."""
    blocks = re.findall(r"^```(?:sh|bash)?\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [
        part.strip()
        for line in lines
        for part in re.split(r"\s#\s|;|\|\||&&|\|(?!\w)", line)
        if part.strip().startswith("analyze ")
    ]


@pytest.fixture(scope="module")
def options() -> dict[str, str]:
    return {command: analyze(command, "--help").stdout for command in COMMANDS}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_commands_of_a_page_exist(page: Path, options: dict[str, str]) -> None:
    for line in commands(page):
        words = shlex.split(re.split(r"\s[<>0-9]*>", line)[0])[1:]
        command = words[0] if words and words[0] in COMMANDS else MAIN
        own = words[: words.index("--")] if "--" in words else words  # what comes after is somebody else's command
        for option in (word.split("=")[0] for word in own if word.startswith("--")):
            assert option in options[command] or (command == MAIN and option in HELP), line


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs_gen_files", reason="pip install -e '.[docs]'")
    done = subprocess.run([sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(tmp_path)], cwd=ROOT,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, [line for line in done.stderr.splitlines() if "INFO" not in line][
        -30:
    ]  # -q would hide what counts
    for page in (
        "tutorial",
        "reference/cli",
        "reference/knowledge/rules/loss-zero",
        "reference/python",
        "explanation/differential",
    ):
        assert (tmp_path / page / "index.html").is_file(), page
    api = (tmp_path / "reference" / "python" / "index.html").read_text("utf-8")
    assert "global optimizer steps" in api  # docstrings, with units
    for name in ("findings", "causes", "first_cause", "verdict", "to_markdown", "metrics"):
        assert f'id="analyzer.api.Diagnosis.{name}"' in api, name
    assert "PathLike" in api  # types
    rule = (tmp_path / "reference" / "knowledge" / "rules" / "overflow-streak" / "index.html").read_text("utf-8")
    assert "<li>overflow messages" in rule and '<span class="filename">nothing is found here</span>' in rule
    assert not re.search(r'<(?:script|link)[^>]+(?:src|href)="https?://(?!github)', api), "nothing is loaded from elsewhere"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_list_has_an_empty_line_before_it(page: Path) -> None:
    """Without one the site's Markdown makes it part of the paragraph."""
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"^(?![-#|>\s]|\* )(.+)\n- ", text, re.MULTILINE) == []


def test_the_pages_are_spelt_right() -> None:
    pytest.importorskip("codespell_lib", reason="pip install -e '.[docs]'")
    ignored = "ans,ot,fo,nd,te,ue,hist,rouge,ser,mis,re-use,pres,trough,nin,ment,vie,checkin"
    done = subprocess.run([sys.executable, "-m", "codespell_lib", "-L", ignored, "--ignore-regex", r"`[^`]*`", "-S", "*.json,*.png",
                           *map(str, PAGES), "mkdocs.yml", ".github", "action.yml"], cwd=ROOT, capture_output=True, text=True, check=False)  # fmt: skip
    assert done.stdout == ""


def blocks() -> list[tuple[str, str]]:
    """(language, text) of every fenced block with a language, under the page and line that hold it."""
    found = []
    for page in PAGES:
        text = page.read_text("utf-8")
        for block in re.finditer(r"^( *)```(\w+)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
            where = f"{page.relative_to(ROOT)}:{text[: block.start()].count(chr(10)) + 1}"
            found.append(pytest.param(block[2], textwrap.dedent(block[3]), id=f"{where}-{block[2]}"))
    return found


@pytest.mark.parametrize(("language", "text"), blocks())
def test_the_code_blocks_are_code(language: str, text: str, tmp_path: Path) -> None:
    if language in ("sh", "bash"):
        done = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, check=False)
        assert done.stderr == ""
    else:
        {"python": ast.parse, "json": json.loads, "yaml": yaml.safe_load, "toml": tomli.loads}.get(language, str)(text)


def test_the_pictures_show_what_is_drawn_today(tmp_path: Path) -> None:
    kept = (screenshots.IMAGES / screenshots.SHOWN).read_text("utf-8")
    assert screenshots.shown(screenshots.drawn(tmp_path)) == kept, "python -m tests.browser.screenshots, and look at the pictures"


def test_every_picture_is_shown_and_there() -> None:
    named = {Path(target).name for page in PAGES for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", page.read_text("utf-8"))}
    assert named == {path.name for path in (DOCS / "images").glob("*.png")}


def test_the_tutorial_says_what_happens(tmp_path: Path) -> None:
    shutil.copytree(ROOT / RUN, tmp_path / "RUN")
    lines = [line.replace("RUN", str(tmp_path / "RUN")) for line in commands(DOCS / "tutorial.md") if "analyze run" not in line]
    assert len(lines) >= 6
    said = {}
    for number, line in enumerate(lines):
        done = analyze(*shlex.split(line.replace("--fix-dir fix", f"--fix-dir {tmp_path / 'fix'}"))[1:])
        assert done.returncode == 0, (line, done.stderr)
        said[number] = done.stdout
    assert "run.log:78" in said[0] and "step 34" in said[0] and "(confirmed)" not in said[0] + said[1] + said[2]
    assert "DeepSpeed 0.14.5" in said[1] and "ZeRO-2" in said[1]
    assert re.search(r"WHY\s+DeepSpeed before 0\.19\.0: ZeRO-2 with overlap_comm[\s\S]*?\(likely\)", said[2])
    assert (tmp_path / "fix" / "APPLY.md").is_file()
    assert '"overlap_comm": false' in (tmp_path / "fix" / "ds_config.fixed.json").read_text("utf-8")
