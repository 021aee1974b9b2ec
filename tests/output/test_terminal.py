from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer.output import terminal
from analyzer.output.plain import cells
from tests.output import diagnoses

ROOT = Path(__file__).resolve().parents[2]
ALL = (diagnoses.rich, diagnoses.healthy, diagnoses.crash, diagnoses.empty, diagnoses.hostile)


def test_one_screen_verdict_first_then_proof_why_and_what_to_do() -> None:
    text = terminal.render(diagnoses.rich(), width=100, color=False)
    lines = text.splitlines()
    assert len(lines) <= 45
    order = ["step 80 of 5,198, stopped", " FAILED ", "first NaN", "run.log:112", " WHY ", "for  ", "against", "unknown", " DO "]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "loss is exactly 0 from step 38" in lines[next(i for i, line in enumerate(lines) if "FAILED" in line)]
    assert "run.log:3" in text
    assert "more than one GPU took part  [nvidia-smi -L]" in text
    assert "not so: the loss scale was falling before" in text
    assert "settle it: rerun 60 steps" in text
    assert "analyze explain ds-zero12-overlap-multirank" in text


def test_settings_that_a_step_names_are_not_said_twice() -> None:
    text = terminal.render(diagnoses.rich(), width=100, color=False)
    assert text.count('overlap_comm": false') + text.count("overlap_comm: false") == 1


def test_piped_output_has_neither_colour_nor_bars() -> None:
    text = terminal.render(diagnoses.rich(), width=100, color=False)
    assert "\x1b" not in text
    assert not set("▁▂▃▄▅▆▇█✕") & set(text)
    assert "1.993 → 0.0" in text


def test_colour_adds_and_never_carries() -> None:
    colored = terminal.render(diagnoses.rich(), width=100, color=True)
    plain = terminal.render(diagnoses.rich(), width=100, color=False, bars=True)
    assert "\x1b[31m" in colored
    stripped = re.sub(r"\x1b\[[0-9;]*m", "", colored)
    assert [line.rstrip() for line in stripped.splitlines()] == plain.splitlines()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}])
def test_the_environment_decides_where_the_caller_does_not(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert ("\x1b[" in terminal.render(diagnoses.rich())) is ("FORCE_COLOR" in environment)


@pytest.mark.parametrize("make", ALL)
@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_line_is_wider_than_the_window(make, lang: str, width: int) -> None:
    for bars in (True, False):
        for line in terminal.render(make(), width=width, color=False, lang=lang, bars=bars).splitlines():
            assert cells(line) <= width, line


def test_escape_sequences_of_a_log_never_reach_the_terminal() -> None:
    text = terminal.render(diagnoses.hostile(), width=100, color=False)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\ud800-\udfff]", text)
    assert "\u241b[31mred" in text


def test_healthy_crashed_and_unjudged_runs() -> None:
    healthy = terminal.render(diagnoses.healthy(), width=100, color=False)
    assert "HEALTHY" in healthy and "loss 13.6 → 3.936" in healthy and " DO " not in healthy
    assert "gradient norm" in healthy, "what could not be judged is said"
    crash = terminal.render(diagnoses.crash(), width=100, color=False)
    assert "RuntimeError" in crash and "look at run.log:41" in crash and "analyze explain traceback" in crash
    empty = terminal.render(diagnoses.empty(), width=100, color=False)
    assert "NOT JUDGED" in empty and "HEALTHY" not in empty


def test_chinese_speaks_chinese() -> None:
    text = terminal.render(diagnoses.rich(), width=100, color=False, lang="zh")
    assert (
        "失败" in text and "从第 38 步到结尾，loss 恰好为 0（43 条记录）" in text and "第 80 步，计划 5,198 步，中途停止" in text
    )


def test_rendering_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom tests.output import diagnoses\nfrom analyzer.output import terminal\n"
        "terminal.render(diagnoses.rich(), color=True)\n"
        "heavy = {'rich', 'jinja2', 'plotly', 'polars', 'numpy', 'typer'} & set(sys.modules)\nassert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
