"""The Python face, as a notebook or a script uses it."""

from __future__ import annotations

import json
import math
import shutil

import pytest

import analyzer
from analyzer import Diagnosis, Options, diagnose
from parsers import UnreadableError
from tests.samples import ROOT
from tests.test_cli import analyze

FAILED = ROOT / "sample_logs" / "hf-deepspeed" / "nanfrom-ds0.14.5-z2-bf16-hf444-s12"


@pytest.fixture(scope="module")
def report() -> Diagnosis:
    return diagnose(FAILED / "run.log")


def test_the_public_names_are_stable() -> None:
    assert sorted(analyzer.__all__) == ["Diagnosis", "Evidence", "Finding", "Match", "Options", "__version__", "diagnose"]
    for name in analyzer.__all__:
        assert getattr(analyzer, name) is not None
    assert dir(analyzer) == sorted(analyzer.__all__)


def test_a_diagnosis_says_what_when_and_why(report: Diagnosis) -> None:
    assert report.verdict == "failed"
    assert [(one.rule, one.first_step) for one in report.findings[:2]] == [("grad-nan", 34), ("loss-zero", 34)]
    assert report.findings[0].evidence[0].ref.line == 78
    assert report.causes[0].id in {one.id for one in report.causes}


def test_metrics_are_a_tidy_frame_with_non_finite_values(report: Diagnosis) -> None:
    frame = report.metrics
    assert frame.columns == ["step", "metric", "name", "value", "time", "rank", "segment", "reader", "file", "line"]
    norms = frame.filter(frame["metric"] == "grad_norm").sort("step")
    assert norms.height == 100
    assert math.isnan(norms["value"][33]) and math.isfinite(norms["value"][32])


def test_the_forms_of_a_report(report: Diagnosis) -> None:
    assert "grad-nan" in report.to_markdown()
    assert "失败" in report.to_markdown(lang="zh") or report.to_markdown(lang="zh") != report.to_markdown()
    assert json.loads(report.to_json())["run"]["verdict"] == "failed"
    page = report.to_html()
    assert page.startswith("<!doctype html>") or page.startswith("<!DOCTYPE html>")
    assert "Plotly" in page
    assert "FAILED" in str(report)


def test_a_notebook_shows_a_small_frame_without_scripts(report: Diagnosis) -> None:
    shown = report._repr_html_()
    assert shown.startswith("<iframe sandbox srcdoc=")
    assert 10_000 < len(shown) < 1_000_000
    assert "grad-nan" in shown
    assert shown.count("<iframe") == 1 and '"' not in shown.split('srcdoc="', 1)[1].split('" title="nanalyze"')[0]


def test_shared_forms_hide_what_is_private(tmp_path) -> None:
    log = tmp_path / "run.log"
    log.write_text(
        (FAILED / "run.log").read_text("utf-8")
        + 'Traceback (most recent call last):\n  File "/home/zebulon/train.py", line 3, in'
        " <module>\n    main()\nRuntimeError: token hf_abcdefghijklmnopqrstuvwxyzABCDEFGH at /home/zebulon/x\n"
    )
    found = diagnose(log)
    assert "zebulon" not in found.to_markdown() + found.to_json() + found.to_html() + found._repr_html_()
    assert "zebulon" in found.to_json(redact=False)


def test_facts_are_weighed(report: Diagnosis) -> None:
    told = diagnose(FAILED / "run.log", facts={"torch": "2.4.0", "overlap_comm": True})
    assert told.run.packages["torch"] == "2.4.0"
    assert [one.id for one in told.causes] != [one.id for one in report.causes]


def test_a_folder_and_several_files_are_one_run() -> None:
    assert diagnose(FAILED).run.source == str(FAILED)
    assert diagnose([FAILED / "run.log"]).verdict == "failed"


@pytest.mark.parametrize("paths", [("run.log",), ("",), ("run.log", "ds_config.json"), ("run.log", "env.txt")])
def test_the_document_is_the_one_of_the_command(paths: tuple[str, ...]) -> None:
    several = [str(FAILED / path) for path in paths]
    said = json.loads(analyze(*several, "--format", "json").stdout)
    assert json.loads(diagnose(several).to_json()) == said
    assert len(paths) > 1 or json.loads(diagnose(several[0]).to_json()) == said


def test_a_log_brings_its_rotated_pieces_and_its_environment_along(tmp_path) -> None:
    lines = (FAILED / "run.log").read_text("utf-8").splitlines(keepends=True)
    (tmp_path / "run.log.1").write_text("".join(lines[:60]), "utf-8")
    (tmp_path / "run.log").write_text("".join(lines[60:]), "utf-8")
    (tmp_path / "freeze.txt").write_text("deepspeed==0.14.5\n", "utf-8")
    found = diagnose(tmp_path / "run.log")
    assert [file.path for file in found.run.files] == [str(tmp_path / name) for name in ("run.log.1", "run.log", "freeze.txt")]
    assert json.loads(found.to_json()) == json.loads(analyze(str(tmp_path / "run.log"), "--format", "json").stdout)


def test_several_files_that_do_not_look_like_one_run_are_read_as_one(tmp_path) -> None:
    for name in ("alpha.log", "beta.log"):
        shutil.copy(FAILED / "run.log", tmp_path / name)
    found = diagnose([tmp_path / "alpha.log", tmp_path / "beta.log"])
    assert len(found.run.files) == 2
    with pytest.raises(UnreadableError, match="holds 2 runs: name one, or scan it"):
        diagnose(tmp_path)


def test_options_choose_rules() -> None:
    found = diagnose(FAILED / "run.log", Options(only=("loss-zero",)))
    assert {one.rule for one in found.findings} == {"loss-zero"}


def test_what_cannot_be_opened_is_a_sentence(tmp_path) -> None:
    with pytest.raises(UnreadableError, match=r"gone\.log"):
        diagnose(tmp_path / "gone.log")


def test_a_saved_result_has_no_samples() -> None:
    with pytest.raises(ValueError, match="diagnose the log itself"):
        Diagnosis(run=diagnose(FAILED / "run.log").run).metrics  # noqa: B018
