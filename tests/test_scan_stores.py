"""Runs in Google Cloud Storage, on the Hugging Face Hub, on another machine: the real clients against servers on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import stores
from tests.samples import ROOT
from tests.test_cli import one_sentence
from tests.test_scan_cache import RUNS, make

NAN, HEALTHY, OOM = RUNS
TABLES = ["causes.parquet", "findings.parquet", "metrics.parquet", "runs.parquet"]


def scan(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "analyzer", "scan", *map(str, words)]
    return subprocess.run(line, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, timeout=120)


def contents(root: Path, prefix: str) -> stores.Files:
    return {f"{prefix}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*") if path.is_file()}


def check(url: str, tmp_path: Path, **environment: str) -> None:
    """What must hold of any store: the same verdicts as on disk, known the second time, patterns and times."""
    cache = tmp_path / "cache.db"
    first = scan(url, "--cache", cache, "--jobs", 2, **environment)
    assert first.returncode == 0, first.stderr
    assert "3 runs: 2 failed, 1 healthy" in first.stdout
    assert f"{url}/sweep-00/{NAN}" in first.stdout
    assert scan(url, "--cache", cache, **environment).stdout == first.stdout
    some = scan(url, "--cache", cache, "--exclude", OOM, "--format", "jsonl", "--no-redact", **environment)
    assert [json.loads(line)["run"]["source"].rsplit("/", 1)[1] for line in some.stdout.splitlines()] == [HEALTHY, NAN]
    nowhere = scan(f"{url}-nowhere", "--cache", "off", **environment)
    assert nowhere.returncode == 3, nowhere.stdout
    assert "Traceback" not in nowhere.stderr


def test_google_cloud_storage(tmp_path: Path) -> None:
    pytest.importorskip("gcsfs")
    files = contents(make(tmp_path / "tree"), "lab/experiments")
    with stores.served(stores.Google, files) as (address, asked):
        environment = {"STORAGE_EMULATOR_HOST": address, "FSSPEC_GS_TOKEN": "anon", "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false"}
        check("gs://lab/experiments", tmp_path, **environment)
        assert asked
        done = scan("gs://lab/experiments", "--cache", "off", "--parquet", "gs://lab/tables", **environment)
        assert done.returncode == 0, done.stderr
        assert sorted(name.removeprefix("lab/tables/") for name in files if name.startswith("lab/tables/")) == TABLES
        assert all(files[f"lab/tables/{name}"].endswith(b"PAR1") for name in TABLES)
        old = scan("gs://lab/experiments", "--since", "2026-11-02", "--cache", "off", **environment)
        assert old.returncode == 3
        assert "runs" not in old.stdout


def test_the_hub(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    with stores.served(stores.Hub, contents(make(tmp_path / "tree"), "experiments")) as (address, asked):
        environment = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "hub"), "HF_HUB_DISABLE_TELEMETRY": "1"}
        check("hf://datasets/lab/runs/experiments", tmp_path, **environment)
        assert asked


def test_another_machine(tmp_path: Path) -> None:
    pytest.importorskip("paramiko")
    make(tmp_path / "there" / "experiments")
    (tmp_path / "there" / "experiments" / ".nanalyzeignore").write_text("nothing-of-this\n")
    environment = {"FSSPEC_SFTP_USERNAME": "me", "FSSPEC_SFTP_PASSWORD": "secret-word"}
    with stores.sftp(tmp_path / "there", "secret-word") as address:
        check(f"sftp://{address}/experiments", tmp_path, **environment)
        done = scan(f"sftp://{address}/experiments", "--cache", "off", "--parquet", f"sftp://{address}/tables", **environment)
        assert done.returncode == 0, done.stderr
        assert sorted(os.listdir(tmp_path / "there" / "tables")) == TABLES
        wrong = scan(f"sftp://{address}/experiments", "--cache", "off", **{**environment, "FSSPEC_SFTP_PASSWORD": "wrong"})
        assert wrong.returncode == 3
        assert one_sentence(wrong.stderr)
        told = scan(f"sftp://me:secret-word@{address}/experiments", "--cache", "off")
        assert told.returncode == 2
        assert one_sentence(told.stderr)
        assert "secret-word" not in told.stderr
