"""What a newcomer meets first: the demo, the doctor, the server for coding agents."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
import sys

import pytest

from analyzer import demo, doctor, mcp_server
from analyzer.errors import AnalyzerError
from tests.samples import ROOT
from tests.test_cli import analyze

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
    for word in ("nanalyze", "python", "polars", "[ray]", "[remote]", "[mcp]", "cache", "terminal", "rules"):
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
