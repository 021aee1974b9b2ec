"""The project file and own rules, as a user meets them on the command line. The pages under docs/how-to are the fixtures."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import rule as rules
from analyzer.diagnosis import Options, diagnose
from analyzer.errors import UsageError
from analyzer.own_rules import load_folders
from analyzer.project import Project, chosen, find, load
from tests.samples import ROOT

ROWS = [5.0, 4.0, 3.5, 3.2, 3.1, 0.0, 0.0, 0.0]
LOG = "".join(
    f"{{'loss': {loss}, 'grad_norm': {2.0 - i / 100}, 'learning_rate': 1e-05, 'epoch': {i / 100}}}\n"
    for i, loss in enumerate(ROWS)
)
HOW_TO = ROOT / "docs" / "how-to"


def fence(page: str, language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", (HOW_TO / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert found
    return found[1]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "run.log"
    path.write_text(LOG, "utf-8")
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "loss_above_budget.py").write_text(fence("own-rule.md", "python"), "utf-8")
    return folder


def analyze(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "analyzer", *map(str, words)]
    env = {"PYTHONPATH": str(ROOT), "PATH": "", "LANG": "C.UTF-8"}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env=env, check=False)


def test_an_ignored_finding_is_counted_and_its_reason_is_told_in_every_form(log: Path, tmp_path: Path) -> None:
    (tmp_path / "nanalyze.toml").write_text('[ignore]\nloss-zero = "seen and understood"\n', "utf-8")
    told = "1 finding ignored: loss-zero (1): seen and understood"
    shown = analyze("run.log", "--html", "r.html", cwd=tmp_path)
    assert shown.returncode == 0
    assert told in shown.stdout
    assert "nothing was found besides 1 finding that is ignored" in shown.stdout
    assert told in analyze("run.log", "--format", "markdown", cwd=tmp_path).stdout
    assert told in (tmp_path / "r.html").read_text("utf-8")
    document = json.loads(analyze("run.log", "--format", "json", cwd=tmp_path).stdout)
    assert document["ignored"] == {"loss-zero": 1}
    assert document["ignored_because"] == {"loss-zero": "seen and understood"}
    assert "loss-zero" not in {finding["rule"] for finding in document["findings"]}
    assert analyze("run.log", "--fail-on", "warning", cwd=tmp_path).returncode == 0
    assert analyze("run.log", "--fail-on", "warning", "--config", "off", cwd=tmp_path).returncode == 1
    assert analyze("run.log", "--fail-on", "warning", "--only", "loss-zero", cwd=tmp_path).returncode == 1


def test_ignoring_on_the_command_line_counts_too(log: Path) -> None:
    got = diagnose(log, Options(ignore=("loss-zero",)))
    assert got.ignored == {"loss-zero": 1}
    assert got.verdict == "healthy"


def test_the_nearest_file_is_taken_and_a_pyproject_that_does_not_speak_of_us_is_none(tmp_path: Path) -> None:
    (tmp_path / "nanalyze.toml").write_text("", "utf-8")
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    (tmp_path / "a" / "pyproject.toml").write_text("this is no TOML, and no matter of ours", "utf-8")
    assert find(below) == tmp_path / "nanalyze.toml"
    (tmp_path / "a" / "pyproject.toml").write_text('[tool.nanalyze.severity]\nstall = "info"\n', "utf-8")
    assert find(below) == tmp_path / "a" / "pyproject.toml"
    assert chosen(None, rules.load(), below).severity == {"stall": "info"}
    assert chosen("off", rules.load(), below) == Project()


def test_the_example_of_the_docs_is_a_project_file(tmp_path: Path) -> None:
    path = tmp_path / "pyproject.toml"
    path.write_text(fence("project-file.md", "toml"), "utf-8")
    project = load(path, rules.load())
    assert project.ignore == {"loss-spike": "batch size 1: single samples are that hard"}
    assert project.severity == {"throughput-drop": "info"}
    assert project.thresholds == {"no-progress": {"min-records": 100}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[ignore]\nloss-zero = " "', "needs a reason"),
        ("[ignore]\nloss-zero = true", "needs a reason"),
        ('[ignore]\nloss-zer = "x"', "did you mean loss-zero?"),
        ('ignore = ["loss-zero"]', "must be a table"),
        ('[severity]\nloss-zero = "fatal"', "critical, warning or info"),
        ("[thresholds.loss-zero]\nmin-records = 1.5", "a whole number"),
        ("[thresholds.loss-zero]\nmin-records = true", "a whole number"),
        ("[thresholds.loss-zero]\nmin-share = nan", "a number"),
        ("[thresholds.loss-zero]\nmin-recrods = 3", "did you mean min-records?"),
        ("[thresholds.oom-cuda]\nx = 1", "has no thresholds"),
        ("[thresholds]\nloss-zero = 3", "must be a table"),
        ("rules = 'here'", "there is no key 'rules'"),
        ("[ignore", "is no TOML"),
    ],
)
def test_a_wrong_file_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "nanalyze.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(UsageError, match=re.escape(said)):
        load(path, rules.load())


def test_a_wrong_file_ends_the_command_with_two(log: Path, tmp_path: Path) -> None:
    (tmp_path / "nanalyze.toml").write_text("[ignore", "utf-8")
    got = analyze("run.log", cwd=tmp_path)
    assert (got.returncode, got.stdout, got.stderr.count("\n")) == (2, "", 1)
    assert analyze("run.log", "--config", "missing.toml", cwd=tmp_path).returncode == 2


def test_a_severity_lowers_and_raises_and_never_hides_a_cause(log: Path) -> None:
    plain = diagnose(log)
    project = Project(severity={"loss-zero": "info"})
    got = diagnose(log, Options(project=project))
    zero = next(f for f in got.findings if f.rule == "loss-zero")
    assert (zero.severity, zero.facts["severity_without_project"]) == ("info", "critical")
    assert [one.id for one in got.causes] == [one.id for one in plain.causes]
    assert got.verdict == "healthy"
    assert project.severity_of("loss-zero", "critical", "info") == "info"
    raised = Project(severity={"no-progress": "critical"})
    assert raised.severity_of("no-progress", "warning", "info") == "info"
    assert raised.severity_of("no-progress", "warning", "warning") == "critical"


def test_a_threshold_holds_for_its_call_and_no_longer(log: Path) -> None:
    stated = Project(thresholds={"loss-zero": {"min-records": 4, "min-isolated": 9}})
    assert not [f for f in diagnose(log, Options(project=stated)).findings if f.rule == "loss-zero"]
    assert [f for f in diagnose(log).findings if f.rule == "loss-zero"]


def test_every_threshold_has_a_reason_and_is_listed_on_its_rules_page() -> None:
    from analyzer.lists import _rule_page

    for one in rules.load():
        page = "\n".join(_rule_page(one))
        for name, threshold in one.thresholds.items():
            assert re.fullmatch(r"[a-z]+(-[a-z]+)*", name)
            assert threshold.reason.endswith("."), (one.id, name)
            assert f"`{name} = " in page


def test_the_own_rule_of_the_docs_fires_is_listed_and_leaves_nothing_behind(log: Path, own: Path, tmp_path: Path) -> None:
    log.write_text("".join(LOG.splitlines(True)[:5]), "utf-8")
    before = dict(rules.RULES), rules.load()
    got = diagnose(log, Options(rules=(own,)))
    found = next(f for f in got.findings if f.rule == "loss-above-budget")
    assert (found.severity, found.evidence[0].ref.line) == ("warning", 5)
    assert (dict(rules.RULES), rules.load()) == before
    assert not [f for f in diagnose(log).findings if f.rule == "loss-above-budget"]
    assert "loss-above-budget" in analyze("rules", "--rules", own, cwd=tmp_path).stdout
    assert "most = 2" in analyze("explain", "loss-above-budget", "--rules", own, cwd=tmp_path).stdout
    assert "loss-above-budget" not in analyze("rules", cwd=tmp_path).stdout
    assert [path.name for path in own.iterdir()] == ["loss_above_budget.py"]
    (tmp_path / "nanalyze.toml").write_text("[thresholds.loss-above-budget]\nmost = 9\n", "utf-8")
    quiet = analyze("run.log", "--rules", own, "--only", "loss-above-budget", "--format", "json", cwd=tmp_path)
    assert json.loads(quiet.stdout)["findings"] == []


def test_an_own_rule_works_in_the_processes_of_a_scan(own: Path, tmp_path: Path) -> None:
    for number in range(6):
        folder = tmp_path / "runs" / str(number)
        folder.mkdir(parents=True)
        (folder / "run.log").write_text("".join(LOG.splitlines(True)[:5]), "utf-8")
    got = analyze("scan", "runs", "--rules", own, "-j", "2", "--format", "jsonl", cwd=tmp_path)
    assert got.returncode == 0, got.stderr
    documents = [json.loads(line) for line in got.stdout.splitlines()]
    assert len(documents) == 6
    assert all("loss-above-budget" in {f["rule"] for f in document["findings"]} for document in documents)


BROKEN = {
    "raises": "raise ValueError('no')",
    "ends": "import sys; sys.exit(0)",
    "no_syntax": "def (",
    "no_rule": "x = 1",
}
HEAD = "from analyzer.rule import at, rule\nfrom analyzer.model import Finding\n@rule(title='t', severity='info')\n"
WRONG = {
    "fails_late": HEAD + "def fails_late(run):\n    yield from ()\n    raise KeyError('late')\n",
    "yields_text": HEAD + "def yields_text(run):\n    yield 'oh'\n",
    "yields_none": HEAD + "def yields_none(run):\n    return None\n",
    "wrong_id": HEAD
    + "def wrong_id(run):\n    s = run.series('loss')\n    yield Finding('loss-zero', 'critical', 'high', 'x', (at(s, 0),))\n",
    "wrong_facts": HEAD
    + "def wrong_facts(run):\n    s = run.series('loss')\n"
    + "    yield Finding('wrong-facts', 'info', 'high', 'x', (at(s, 0),), facts={'a': [1]})\n",
}


@pytest.mark.parametrize("name", [*BROKEN, *WRONG])
def test_a_broken_own_rule_is_a_failure_and_takes_nothing_down(name: str, log: Path, own: Path) -> None:
    (own / f"{name}.py").write_text((BROKEN | WRONG)[name], "utf-8")
    got = diagnose(log, Options(rules=(own,)))
    assert [failure.id for failure in got.failures] == [name.replace("_", "-")]
    assert {"loss-zero"} <= {f.rule for f in got.findings}
    with pytest.raises(Exception):  # noqa: B017
        diagnose(log, Options(rules=(own,), strict=True))


def test_a_broken_own_rule_under_strict_is_exit_code_four(log: Path, own: Path, tmp_path: Path) -> None:
    (own / "raises.py").write_text(BROKEN["raises"], "utf-8")
    assert analyze("run.log", "--rules", own, cwd=tmp_path).returncode == 0
    assert analyze("run.log", "--rules", own, "--strict", cwd=tmp_path).returncode == 4


def test_a_folder_without_rules_and_a_second_rule_of_a_name_are_wrong_usage(tmp_path: Path, own: Path) -> None:
    with pytest.raises(UsageError, match="no such folder"):
        load_folders([tmp_path / "missing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no file"):
        load_folders([tmp_path / "empty"])
    (own / "loss_zero.py").write_text(HEAD + "def loss_zero(run):\n    yield from ()\n", "utf-8")
    with pytest.raises(UsageError, match="second rule 'loss-zero'"):
        load_folders([own])
