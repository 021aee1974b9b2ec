"""The lab: its rows are sound, its runner keeps what `tee` would hold, and a fault is one function and one row."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from analyzer import diagnose
from analyzer.cause import load
from analyzer.rule import load as known_rules
from lab import rows as lab_rows
from lab.__main__ import main
from lab.rows import HERE, rows, versions
from lab.runner import LONG, PROGRAMS, capture, neutral, relabel, run, says, write_log
from tests.samples import FOLDER, ROOT

ROWS = rows()
FAULTS = set(re.findall(r'@at_seam\("\w+"\)\ndef (\w+)', (PROGRAMS / "faults.py").read_text("utf-8")))


@pytest.fixture(autouse=True)
def _own_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_PYTHON", sys.executable)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda r: r.name)
def test_a_row_names_what_exists(row: lab_rows.Row) -> None:
    assert row.environment in versions()
    assert row.shell or (PROGRAMS / row.program).exists()
    assert row.shell or row.fault == "none" or row.fault in FAULTS
    wanted = {*row.expected, *row.expected_any, *row.tolerated, *row.misses} - {"onset"}
    assert wanted <= {rule.id for rule in known_rules()}
    assert set(row.causes) <= {cause.id for cause in load()}
    assert all((FOLDER / row.name / name).exists() for name in row.inputs)


@pytest.mark.parametrize("row", ROWS.values(), ids=lambda r: r.name)
def test_a_sample_says_what_its_row_says(row: lab_rows.Row) -> None:
    sample = FOLDER / row.name / "provenance.toml"
    assert sample.exists(), f"run it: python -m lab run {row.name}"
    said = lab_rows.table_of(sample)
    assert says(row, said), "python -m lab label"


def test_a_name_used_twice_is_refused(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text('"x/y" = { program = "train_plain.py", root_cause = "none" }')
    with pytest.raises(ValueError, match="x/y twice"):
        rows(tmp_path)


def test_a_key_that_no_row_has_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('"x/y" = { program = "train_plain.py", root_cause = "none", colour = "red" }')
    with pytest.raises(TypeError, match="colour"):
        rows(tmp_path)


NOISY = r"""python -c "
import sys, os
for i in range(3):
    print('\r%d%%|##' % i, end='', file=sys.stderr, flush=True)
    print('step', i, flush=True)
print('\xe9\x00 odd bytes')
os.kill(os.getpid(), 9)
"
echo "after: $?"
"""


def test_the_log_is_what_tee_would_hold(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for name in ("ours", "theirs"):
        (tmp_path / name).mkdir()
    ours, code = capture(NOISY, tmp_path / "ours", environment, 60)
    (tmp_path / "theirs" / "run.sh").write_text(NOISY + "\n")
    subprocess.run(
        ["bash", "-c", "bash run.sh 2>&1 | tee run.log"], cwd=tmp_path / "theirs", env=environment, capture_output=True
    )
    pid = rb"line \d+:\s+\d+ Killed"
    assert re.sub(pid, b"", ours) == re.sub(pid, b"", (tmp_path / "theirs" / "run.log").read_bytes())
    assert b"\r0%|##step 0\n" in ours
    assert code == 0


def test_a_run_that_hangs_is_cut_and_what_it_printed_is_kept(tmp_path: Path) -> None:
    log, code = capture("echo begun; sleep 600", tmp_path, dict(os.environ), 1.0)
    assert (log, code) == (b"begun\n", 124)


def test_paths_of_the_machine_are_replaced(tmp_path: Path) -> None:
    facts: dict[str, object] = {"prefix": ["/srv/me/venv", "/srv/python"], "sites": ["/srv/me/venv/lib/python3.12/site-packages"]}
    log = f"{tmp_path}/train.py\n/srv/me/venv/lib/python3.12/site-packages/torch/x.py\n/srv/me/venv/bin/python\n".encode()
    assert neutral(log, tmp_path, facts) == (
        b"/home/user/exp/train.py\n/opt/venv/lib/python3/site-packages/torch/x.py\n/opt/venv/bin/python\n"
    )


def test_a_long_log_is_compressed(tmp_path: Path) -> None:
    log = b"step 1 loss 2\n" * (LONG // 10)
    assert write_log(tmp_path, log) == "run.log.gz"
    assert gzip.decompress((tmp_path / "run.log.gz").read_bytes()) == log
    assert write_log(tmp_path, b"short") == "run.log"


FUNCTION = '''

@at_seam("item")
def target_blows_up(item: dict[str, Any], _index: int, place: Injector) -> None:
    """The target is NaN from the injection on."""
    if place.is_on:
        item["wanted"] = float("nan")
'''
ROW = """
"plain/target-blows-up" = { program = "train_plain.py", fault = "target_blows_up", at = 33, root_cause = "NaN targets", expected = ["loss-nan"] }
"""


def test_a_fault_is_one_function_and_one_row(tmp_path: Path) -> None:
    programs, table, into = tmp_path / "programs", tmp_path / "rows", tmp_path / "samples"
    shutil.copytree(PROGRAMS, programs)
    table.mkdir()
    with (programs / "faults.py").open("a") as file:
        file.write(FUNCTION)
    (table / "mine.toml").write_text(ROW)
    words = ["--rows", str(table), "run", "plain/*", "--programs", str(programs), "--into", str(into)]
    assert main(words) == 0
    sample = into / "plain" / "target-blows-up"
    said = lab_rows.table_of(sample / "provenance.toml")
    assert said["command"] == "python train_plain.py --fault target_blows_up --at 33"
    assert (said["injected_at_step"], said["exit_code"], said["healthy"]) == (33, 0, False)
    assert said["versions"]["python"]
    found = {finding.rule: finding.first_step for finding in diagnose([sample / "run.log"]).findings}
    assert found["loss-nan"] == 33


def test_the_healthy_twin_is_quiet(tmp_path: Path) -> None:
    row = lab_rows.Row("plain/healthy", "train_plain.py", "healthy", healthy=True, arguments="--steps 80")
    assert run(row, tmp_path)[0] == 0
    assert not diagnose([tmp_path / "plain" / "healthy" / "run.log"]).loud()


def test_a_sample_takes_over_what_its_row_says_now(tmp_path: Path) -> None:
    row = lab_rows.Row("plain/x", "train_plain.py", "before", fault="log_of_zero", expected=("loss-nan",), arguments="--steps 3")
    run(row, tmp_path)
    before = lab_rows.table_of(tmp_path / "plain" / "x" / "provenance.toml")
    relabel(
        lab_rows.Row("plain/x", "train_plain.py", "after", fault="log_of_zero", expected=("eval-nan",)), tmp_path / "plain" / "x"
    )
    after = lab_rows.table_of(tmp_path / "plain" / "x" / "provenance.toml")
    assert (after["root_cause"], after["expected"]) == ("after", ["eval-nan"])
    assert (after["command"], after["versions"]) == (before["command"], before["versions"])


def test_an_unknown_fault_is_a_sentence() -> None:
    done = subprocess.run(
        [sys.executable, str(PROGRAMS / "train_plain.py"), "--fault", "nonsense"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("no fault 'nonsense'; known: ")


def test_the_list_names_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ROWS)


def test_nothing_wanted_is_an_error() -> None:
    assert main(["run", "no/such/row"]) == 1


def test_the_page_holds_the_table_and_every_sample() -> None:
    page = (ROOT / "docs" / "lab.md").read_text("utf-8")
    assert all(f"| {row.name} |" in page for row in ROWS.values()), "python -m lab check --write"


def test_the_lab_is_not_in_the_wheel() -> None:
    wheel = lab_rows.table_of(HERE.parent / "pyproject.toml")["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert not [path for path in wheel["only-include"] if path.startswith("lab")]
