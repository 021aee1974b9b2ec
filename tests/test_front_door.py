"""What a newcomer meets first: the demo, the doctor, the server for coding agents."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import analyzer
from analyzer import demo, doctor, mcp_server
from analyzer.errors import AnalyzerError
from tests.samples import ROOT
from tests.test_cli import analyze

FLOWS = sorted(str(path.relative_to(ROOT)) for path in (ROOT / ".github" / "workflows").glob("*.yml"))
FAILED = ROOT / "sample_logs" / "hf-deepspeed" / demo.RUN / "run.log"


def test_the_demo_diagnoses_a_real_run_and_keeps_the_report(tmp_path) -> None:
    page = tmp_path / "demo.html"
    done = analyze("demo", "--html", str(page))
    assert done.returncode == 0, done.stderr
    assert "FAILED" in done.stdout and "step 34" in done.stdout
    assert done.stdout.startswith("$ analyze ")
    assert "grad-nan" in page.read_text("utf-8")


def test_the_demo_ships_in_the_wheel() -> None:
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    assert f'"sample_logs/hf-deepspeed/{demo.RUN}" = "analyzer/sample"' in text
    assert demo.folder().name in (demo.RUN, "sample")


def test_the_doctor_finds_this_installation_well() -> None:
    done = analyze("doctor")
    assert done.returncode == 0, done.stdout
    for word in ("nanalyze", "python", "polars", "[ray]", "[remote]", "[mcp]", "extension", "cache", "terminal", "rules"):
        assert word in done.stdout
    found = {one["name"]: one for one in json.loads(analyze("doctor", "--format", "json").stdout)}
    assert found["polars"]["state"] == "ok"


def test_the_doctor_says_what_to_install(monkeypatch, capsys) -> None:
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: None if name in ("ray", "polars") else real(name))
    assert doctor.run("terminal") == 4
    said = capsys.readouterr().out
    assert "pip install 'nanalyze[ray]'" in said
    assert "polars: Install it: pip install 'polars" in said


@pytest.mark.parametrize(("wish", "said"), [("", "not built; everything works"), ("1", "NANALYZE_PURE is set")])
def test_the_doctor_says_whether_the_extension_is_in_use(monkeypatch, wish: str, said: str) -> None:
    from parsers import native

    if native.extension() is not None:
        check = next(one for one in doctor.checks() if one.name == "extension")
        assert (check.state, check.remedy) == ("ok", "") and "in use" in check.said
    monkeypatch.setenv("NANALYZE_PURE", wish)
    monkeypatch.setattr(native, "extension", lambda: None)
    check = next(one for one in doctor.checks() if one.name == "extension")
    assert check.state == "absent" and said in check.said
    assert bool(check.remedy) == (not wish), "who asked for it needs no advice"


def test_the_doctor_names_a_cache_that_cannot_be_made(monkeypatch, tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    check = next(one for one in doctor.checks() if one.name == "cache")
    assert (check.state, "--cache off" in check.remedy) == ("bad", True)


def test_the_tools_of_the_agents_answer_with_what_the_commands_say() -> None:
    assert "grad-nan" in mcp_server.diagnose(str(FAILED))
    assert json.loads(mcp_server.diagnose(str(FAILED), format="json"))["run"]["verdict"] == "failed"
    assert mcp_server.explain("loss-zero").startswith("# loss-zero:")
    healthy = ROOT / "sample_logs" / "hf-deepspeed" / "healthy-bf16-ds0.14.5-z1-hf444-s3" / "run.log"
    assert "first part at step 34" in mcp_server.compare(str(healthy), str(FAILED))
    with pytest.raises(AnalyzerError, match="Did you mean"):
        mcp_server.explain("loss-zer")


def test_an_audit_for_agents(tmp_path) -> None:
    pins = tmp_path / "requirements.txt"
    pins.write_text("deepspeed==0.14.0\ntorch==2.1.0\n")
    assert "deepspeed" in mcp_server.audit(str(pins), project="mgm")


def test_without_the_sdk_one_sentence_says_what_to_install() -> None:
    code = "import sys; sys.modules['mcp'] = None; from analyzer.cli import main; main(['mcp'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr == "analyze: `analyze mcp` needs the MCP SDK: pip install 'nanalyze[mcp]'.\n"


@pytest.mark.skipif(importlib.util.find_spec("mcp") is None, reason="the extra mcp is not installed")
def test_an_agent_talks_to_the_server_over_standard_input() -> None:
    from mcp.client.session import ClientSession
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def talk() -> tuple[set[str], str, bool]:
        command = StdioServerParameters(command=sys.executable, args=["-m", "analyzer", "mcp"], cwd=str(ROOT))
        async with stdio_client(command) as (reading, writing), ClientSession(reading, writing) as session:
            await session.initialize()
            names = {tool.name for tool in (await session.list_tools()).tools}
            good = await session.call_tool("diagnose", {"path": str(FAILED)})
            bad = await session.call_tool("diagnose", {"path": "/nowhere/run.log"})
            return names, good.content[0].text, bool(bad.is_error)

    names, text, failed = asyncio.run(talk())
    assert names == {"diagnose", "explain", "compare", "audit"}
    assert "grad-nan" in text and "step 34" in text
    assert failed


@pytest.fixture(scope="module")
def known():
    from analyzer.commands import app
    from analyzer.shells import commands

    return commands(app)


def test_completion_and_man_page_know_what_the_help_knows(known) -> None:
    from analyzer.cli import COMMANDS

    assert {one.name for one in known} == COMMANDS
    for one in known:
        shown = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", analyze(one.name, "--help").stdout)) - {"--help"}
        assert shown == {name for option in one.options for name in option.names if name.startswith("--")}, one.name


def test_the_man_page_is_the_one_that_is_kept() -> None:
    from analyzer.manual import man

    assert (ROOT / "docs" / "man" / "analyze.1").read_text("utf-8") == man(), "python -m analyzer.manual docs/man/analyze.1"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [("sc", "scan"), ("scan x --fail-on c", "critical"), ("run.log --ht", "--html"), ("audit --proj", "--project"),
     ("run.log --lang z", "zh"), ("explain --ru", "--rules"), ("explain loss-z", "loss-zero"), ("completion z", "zsh")],
)  # fmt: skip
def test_bash_completes(words: str, wanted: str, tmp_path) -> None:
    script = tmp_path / "analyze.bash"
    script.write_text(analyze("completion", "bash").stdout)
    typed = ["analyze", *words.split()]
    code = f'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD={len(typed) - 1}; _analyze; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", code, "bash", str(script), *typed], capture_output=True, text=True, cwd=tmp_path)
    assert done.stderr == ""
    assert done.stdout.split() == [wanted]


TYPED = (("analyze sc", "scan"), ("analyze scan x --fail-on c", "critical"), ("analyze run.log --ht", "--html"),
         ("analyze explain loss-z", "loss-zero"), ("analyze completion z", "zsh"))  # fmt: skip


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_fish_completes(typed: str, wanted: str, tmp_path) -> None:
    script = tmp_path / "analyze.fish"
    script.write_text(analyze("completion", "fish").stdout)
    code = f"source {script}; complete -C '{typed}'"
    done = subprocess.run(["fish", "--no-config", "-c", code], capture_output=True, text=True, cwd=tmp_path / "..")
    assert done.stderr == ""
    assert [line.split("\t")[0] for line in done.stdout.splitlines()] == [wanted]


ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "cd $1; fpath=($1 \$fpath); autoload -Uz compinit; compinit -D -u; bindkey '^I' complete-word"
zpty -w z "analyze() { print -r -- \"got <\$*>\" }; print rea''dy"
zpty -r z out '*ready*'
zpty -w z "$2"$'\t'
zpty -r z out '*got <*>*' && print -r -- "$out"
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
@pytest.mark.parametrize(("typed", "wanted"), TYPED)
def test_zsh_completes(typed: str, wanted: str, tmp_path) -> None:
    (tmp_path / "_analyze").write_text(analyze("completion", "zsh").stdout)
    command = ["zsh", "-f", "-c", ZSH, "zsh", str(tmp_path), typed]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert f" {wanted}>" in done.stdout.replace("got <", "got < ") and done.stderr == ""


def test_a_shell_that_is_not_known_is_a_sentence() -> None:
    done = analyze("completion", "tcsh")
    assert (done.returncode, done.stderr) == (2, "analyze: there is no completion for 'tcsh': use bash, zsh or fish.\n")


def test_gitlab_gets_its_code_quality_report(tmp_path) -> None:
    report = tmp_path / "gl.json"
    done = analyze("scan", str(FAILED.parent), "--cache", "off", "--code-quality", str(report), "--fail-on", "critical")
    assert done.returncode == 1
    entries = json.loads(report.read_text("utf-8"))
    first = next(one for one in entries if one["check_name"] == "grad-nan")
    assert set(first) == {"description", "check_name", "fingerprint", "severity", "location"}
    assert (first["severity"], first["location"]["lines"]["begin"]) == ("critical", 78)
    assert not first["location"]["path"].startswith("/")
    audited = json.loads(analyze("audit", str(FAILED.parent / "env.txt"), "--format", "codequality").stdout)
    assert audited and all(one["severity"] in ("critical", "major", "info") for one in audited)
    assert len({one["fingerprint"] for one in [*entries, *audited]}) == len(entries) + len(audited)


def judge(tmp_path, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Runs what the GitHub action runs."""
    tool = tmp_path / "analyze"
    tool.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m analyzer "$@"\n')
    tool.chmod(0o755)
    given = {"COMMAND": "scan", "FAIL_ON": "critical", "SARIF": "", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"), **inputs}
    return subprocess.run(["bash", str(ROOT / ".github" / "judge.sh")], capture_output=True, text=True, cwd=ROOT,
                          env={**os.environ, "ANALYZE": str(tool), **given})  # fmt: skip


def test_the_action_fails_a_failed_run_and_writes_a_summary(tmp_path) -> None:
    done = judge(tmp_path, PATHS=f"{FAILED.parent}\n", SARIF=str(tmp_path / "x.sarif"))
    assert done.returncode == 1, done.stderr
    assert json.loads((tmp_path / "x.sarif").read_text("utf-8"))["version"] == "2.1.0"
    assert "failed" in (tmp_path / "summary.md").read_text("utf-8")


def test_the_action_runs_nothing_that_an_input_says(tmp_path) -> None:
    done = judge(tmp_path, PATHS=f"$(touch {tmp_path}/pwned); touch {tmp_path}/pwned")
    assert done.returncode in (2, 3)
    assert not (tmp_path / "pwned").exists()


def test_the_action_audits(tmp_path) -> None:
    done = judge(tmp_path, PATHS=str(FAILED.parent / "env.txt"), COMMAND="audit", FAIL_ON="never")
    assert done.returncode == 0, done.stderr
    assert "package versions known" in (tmp_path / "summary.md").read_text("utf-8")


def tool(name: str) -> str:
    """A program of the extra `docs`: in this environment, or on the path."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    return found or pytest.skip(f"{name} is missing: pip install -e '.[docs]'")


@pytest.mark.parametrize(
    "words",
    [
        ("hadolint", "Dockerfile"),
        ("shellcheck", "-S", "warning", ".github/judge.sh", ".ci/run", ".ci/audit"),
        ("check-jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *FLOWS),
    ],
    ids=" ".join,
)
def test_files_of_others_tools_pass_their_linters(words: tuple[str, ...]) -> None:
    done = subprocess.run([tool(words[0]), *words[1:]], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("words", [("groff", "-ww", "-man", "-Tutf8"), ("mandoc", "-Tlint", "-W", "warning")], ids=" ".join)
def test_the_man_page_is_set_without_a_warning(words: tuple[str, ...]) -> None:
    command = [tool(words[0]), *words[1:], "docs/man/analyze.1"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert words[0] == "groff" or done.stdout == ""


def test_sarif_is_what_others_understand_by_it(tmp_path) -> None:
    sarif = pytest.importorskip("sarif_pydantic", reason="pip install -e '.[docs]'")
    scanned, audited = tmp_path / "scan.sarif", tmp_path / "audit.sarif"
    assert analyze("scan", str(FAILED.parent), "--cache", "off", "--sarif", str(scanned)).returncode == 0
    assert analyze("audit", str(FAILED.parent / "env.txt"), "--format", "sarif", "-o", str(audited)).returncode == 0
    for path in (scanned, audited):
        (run,) = sarif.Sarif.model_validate(json.loads(path.read_text("utf-8"))).runs
        assert run.results and all(one.locations for one in run.results)


def test_the_files_for_forges_are_well_formed() -> None:
    import yaml

    action = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))
    assert set(action["inputs"]) == {"paths", "command", "fail-on", "sarif", "version"}
    hook = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text("utf-8"))[0]
    assert re.search(hook["files"], "train/requirements-gpu.txt") and not re.search(hook["files"], "train.py")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["version"] == analyzer.__version__
    for form in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("[!c]*.yml"):
        text = form.read_text("utf-8")
        assert "--format markdown" in text
        assert {one["type"] for one in yaml.safe_load(text)["body"]} <= {"textarea", "input"}
