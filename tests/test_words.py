"""The main job's words are understood alike with and without typer."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analyzer import cli, job, words
from analyzer.commands import FailOn, Format, Lang, app
from analyzer.errors import UsageError


def by_typer(line: list[str], monkeypatch) -> job.Request | None:
    asked: list[job.Request] = []
    with monkeypatch.context() as patch:
        patch.setattr(job, "run", lambda request: asked.append(request) or 0)
        with contextlib.suppress(UsageError, SystemExit):
            cli._typer(["diagnose", *line])
    return asked[0] if asked else None


PLAIN = [
    ["run.log"],
    ["run.log", "other.log", "-"],
    ["run.log", "--format", "json"],
    ["--format=html", "run.log", "-o", "a.html"],
    ["-o", "a b.md", "run.log", "--html", "dir/x.html", "--lang=zh"],
    ["run.log", "--only", "loss-nan", "--only=grad-nan", "--ignore", "stall"],
    ["run.log", "--fail-on", "warning", "--fail-on", "critical", "--strict"],
    ["run.log", "--no-redact", "--redact", "--no-redact"],
    ["run.log", "--fact", "deepspeed=0.14.0", "--fact=a=b=c", "--env", "freeze.txt", "--env", "ds.json", "--python", "python3"],
    ["run.log", "--fix-dir", "out", "--config", "off", "--rules", "mine", "--rules=yours"],
    ["späße/лог.log", "run log"],
]
ODD = [
    [],
    ["--help"],
    ["run.log", "--help"],
    ["--", "--format"],
    ["run.log", "--format", "pdf"],
    ["run.log", "--format", "JSON"],
    ["run.log", "--format"],
    ["run.log", "--strict=yes"],
    ["run.log", "-oa.html"],
    ["run.log", "-o", ""],
    ["run.log", "-o", "-x"],
    ["run.log", "--only", "--strict"],
    ["run.log", "--outpu", "x.md"],
    ["run.log", "-z"],
    [""],
]


@pytest.mark.parametrize("line", PLAIN, ids=" ".join)
def test_plain_words_are_read_without_typer_and_mean_the_same(line: list[str], monkeypatch) -> None:
    asked = words.request(line)
    assert asked is not None
    assert asked == by_typer(line, monkeypatch)


@pytest.mark.parametrize("line", ODD, ids=repr)
def test_what_is_not_plain_is_left_to_typer(line: list[str]) -> None:
    assert words.request(line) is None


WORDS = st.sampled_from(
    [
        "run.log",
        "-",
        "x",
        "--",
        "-o",
        "json",
        "html",
        "zh",
        "info",
        "off",
        "a=b",
        "--format=json",
        "--lang=xx",
        "-",
        "--help",
        "-x",
    ]
    + [*words.ONCE, *words.MANY, *words.FLAGS]
    + [f"{name}=terminal" for name in words.ONCE]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.lists(WORDS, max_size=7))
def test_any_words_that_are_understood_mean_what_typer_takes_them_for(line: list[str], monkeypatch, capsys) -> None:
    asked = words.request(line)
    if asked is not None:
        assert asked == by_typer(line, monkeypatch)


def test_every_option_of_the_main_job_is_known_to_both() -> None:
    command = typer.main.get_command(app).commands["diagnose"]
    options = {name for one in command.params for name in (*one.opts, *one.secondary_opts) if name.startswith("-")}
    assert options - {"--help"} == {*words.ONCE, *words.MANY, *words.FLAGS}


def test_the_choices_are_the_same() -> None:
    for kind, names in ((Format, words.FORMATS), (FailOn, words.SEVERITIES), (Lang, words.LANGUAGES)):
        assert tuple(one.value for one in kind) == names


def test_a_path_stays_as_it_was_typed() -> None:
    assert words.request(["./a/../b.log", "-o", "x/../y.md"]) == job.Request(("./a/../b.log",), output=Path("x/../y.md"))
