"""Batch: every run below a folder, in a table, as JSON Lines, as pages."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.samples import FOLDER
from tests.test_cli import analyze

RUNS = ("nanfrom-ds0.14.5-z2-bf16-hf444-s12", "healthy-bf16-ds0.14.5-z1-hf444-s3", "oom-seqgrow-hf436-ds0.12.6-s4")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in RUNS:
        shutil.copytree(FOLDER / "hf-deepspeed" / name, tmp_path / "tree" / name)
    (tmp_path / "tree" / "broken").mkdir()
    (tmp_path / "tree" / "broken" / "run.log").write_bytes(b"\x00\x01\x02" * 500)
    return tmp_path / "tree"


def test_the_table_has_every_run_and_its_verdict(tree: Path) -> None:
    done = analyze("scan", tree)
    assert done.returncode == 0
    assert "4 runs: 2 failed, 1 healthy, 1 unread" in done.stdout
    rows = {line.split()[0].rsplit("/", 1)[-1]: line for line in done.stdout.splitlines() if str(tree) in line}
    assert "failed" in rows[RUNS[0]]
    assert "healthy" in rows[RUNS[1]]
    assert "oom-cuda" in rows[RUNS[2]]


def test_json_lines_are_one_document_a_run_in_order(tree: Path) -> None:
    documents = [json.loads(line) for line in analyze("scan", tree, "--format", "jsonl").stdout.splitlines()]
    assert [Path(d["run"]["source"]).name for d in documents] == ["broken", *sorted(RUNS)]
    assert [d["run"]["verdict"] for d in documents] == ["unjudged", "healthy", "failed", "failed"]
    assert "binary" in documents[0]["problems"][0]["reason"]


def test_json_is_one_array_of_the_same_documents(tree: Path) -> None:
    lines = [json.loads(line) for line in analyze("scan", tree, "--format", "jsonl").stdout.splitlines()]
    assert json.loads(analyze(tree, "--format", "json").stdout) == lines


def test_workers_do_not_change_the_result(tree: Path) -> None:
    for extra in range(6):
        shutil.copytree(tree / RUNS[0], tree / f"more-{extra}")
    one = analyze("scan", tree, "--format", "jsonl", "--jobs", "1").stdout
    assert analyze("scan", tree, "--format", "jsonl", "--jobs", "3").stdout == one


def test_pages_and_index(tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "pages"
    done = analyze("scan", tree, "--html", out)
    assert done.returncode == 0
    index = (out / "index.html").read_text("utf-8")
    pages = [page.name for page in out.glob("*.html") if page.name != "index.html"]
    assert len(pages) == 3
    for page in pages:
        assert page in index


def test_fail_on_wins_over_nothing_to_judge(tree: Path) -> None:
    assert analyze("scan", tree, "--fail-on", "critical").returncode == 1
