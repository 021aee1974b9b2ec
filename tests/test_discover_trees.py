"""Which folders of a tree are runs, and which the user does not want to see."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from parsers.discover import find_runs
from parsers.tree import Choice
from tests.test_discover import tree


def chosen(root: Path, choice: Choice) -> list[str]:
    return [Path(run.root).relative_to(root).as_posix() for run in find_runs([root], choice)]


def test_the_jobs_of_a_hydra_sweep_are_runs_though_their_folders_are_numbers(tmp_path: Path) -> None:
    jobs = [f"multirun/2026-11-24/10-00-00/{n}/{name}" for n in range(3) for name in ("train.log", ".hydra/config.yaml")]
    assert list(tree(tmp_path, *jobs)) == [f"multirun/2026-11-24/10-00-00/{n}" for n in range(3)]


def test_mlflow_runs_have_their_metrics_and_parameters(tmp_path: Path) -> None:
    got = tree(tmp_path, *(f"mlruns/0/{run}/{file}" for run in ("ab", "cd") for file in
                           ("meta.yaml", "metrics/loss", "metrics/train/lr", "params/epochs", "artifacts/model.bin")))  # fmt: skip
    assert sorted(got) == ["mlruns/0/ab", "mlruns/0/cd"]
    assert sorted(got["mlruns/0/ab"]) == [
        f"mlruns/0/ab/{file}" for file in ("meta.yaml", "metrics/loss", "metrics/train/lr", "params/epochs")
    ]


def test_wandb_runs_leave_the_clients_own_logs_out(tmp_path: Path) -> None:
    files = [f"wandb/run-20261124_10000{n}-ab{n}/{name}" for n in (1, 2) for name in
             ("files/output.log", "files/wandb-summary.json", "logs/debug.log", "logs/debug-internal.log")]  # fmt: skip
    got = tree(tmp_path, *files)
    assert list(got) == ["wandb/run-20261124_100001-ab1", "wandb/run-20261124_100002-ab2"]
    assert not any("debug" in file for run in got.values() for file in run)


def test_only_a_config_of_wandb_is_a_part_of_the_run(tmp_path: Path) -> None:
    run = "wandb/run-20261124_100001-ab/files"
    got = tree(tmp_path / "a", f"{run}/output.log", f"{run}/config.yaml", "config.yaml")
    assert got == {"wandb/run-20261124_100001-ab": [f"{run}/output.log", f"{run}/config.yaml"]}
    copied = tree(tmp_path / "b", "output.log", "config.yaml", "wandb-metadata.json")
    assert copied == {".": ["output.log", "config.yaml", "wandb-metadata.json"]}
    assert tree(tmp_path / "c", "run.log", "config.yaml") == {".": ["run.log"]}


def test_the_only_wandb_run_beside_a_log_belongs_to_it(tmp_path: Path) -> None:
    got = tree(tmp_path, "a/run.log", "a/wandb/run-20261124_100001-ab/run-ab.wandb")
    assert got == {"a": ["a/run.log", "a/wandb/run-20261124_100001-ab/run-ab.wandb"]}


def test_wandb_s_copy_and_its_links_are_no_runs_beside_the_log(tmp_path: Path) -> None:
    run = "a/wandb/offline-run-20261124_100001-ab"
    got = tree(
        tmp_path, "a/run.log", f"{run}/run-ab.wandb", f"{run}/files/output.log", f"{run}/logs/debug.log", "a/wandb/debug.log"
    )
    assert got == {"a": ["a/run.log", f"{run}/run-ab.wandb"]}
    alone = tree(tmp_path / "b", f"{run}/run-ab.wandb", f"{run}/files/output.log")
    assert alone == {run: [f"{run}/files/output.log", f"{run}/run-ab.wandb"]}


def test_the_only_mlflow_run_beside_a_log_belongs_to_it(tmp_path: Path) -> None:
    one = ("run.log", "mlruns/0/ab/meta.yaml", "mlruns/0/ab/metrics/loss", "mlruns/0/ab/artifacts/results.csv")
    (got,) = tree(tmp_path / "a", *one).values()
    assert sorted(got) == ["mlruns/0/ab/meta.yaml", "mlruns/0/ab/metrics/loss", "run.log"]
    assert len(tree(tmp_path / "b", *one, "mlruns/0/cd/meta.yaml", "mlruns/0/cd/metrics/loss")) == 3


def test_labels_of_images_are_no_logs(tmp_path: Path) -> None:
    got = tree(tmp_path, "run.log", "out/train/results.csv", *(f"data/labels/train/{n}.txt" for n in range(3)))
    assert list(got.values()) == [["run.log", "out/train/results.csv"]]


def test_lightning_versions_and_slurm_jobs_are_runs(tmp_path: Path) -> None:
    assert list(tree(tmp_path / "l", "lightning_logs/version_0/metrics.csv", "lightning_logs/version_1/metrics.csv")) == [
        "lightning_logs/version_0", "lightning_logs/version_1",
    ]  # fmt: skip
    assert len(tree(tmp_path / "s", "slurm-811.out", "slurm-812.out", "slurm-813_4.out")) == 3


def test_include_exclude_and_an_ignore_file(tmp_path: Path) -> None:
    tree(tmp_path, "a/run.log", "b/run.log", "b/old/x.log", "c/run.log", "c/notes.txt")
    assert chosen(tmp_path, Choice(include=("a/**", "b/*.log"))) == ["a", "b"]
    assert chosen(tmp_path, Choice(exclude=("b/", "notes.txt"))) == ["a", "c"]
    (tmp_path / ".nanalyzeignore").write_text("# old ones\n/c/\n", "utf-8")
    (tmp_path / "b" / ".nanalyzeignore").write_text("*\n!run.log\n", "utf-8")
    assert chosen(tmp_path, Choice()) == ["a", "b"]


def test_links_are_followed_only_when_asked_and_each_folder_once(tmp_path: Path) -> None:
    tree(tmp_path / "top", "a/run.log")
    tree(tmp_path, "elsewhere/b/run.log")
    (tmp_path / "top" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "b" / "round").symlink_to(tmp_path / "top")
    assert chosen(tmp_path / "top", Choice()) == ["a"]
    assert chosen(tmp_path / "top", Choice(follow=True)) == ["a", "link/b"]


def test_a_folder_that_cannot_be_read_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "a/run.log", "shut/run.log")
    scandir = os.scandir

    def refusing(place: str) -> object:
        if str(place).endswith("shut"):
            raise PermissionError(13, "Permission denied", str(place))
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refusing)
    choice = Choice()
    assert chosen(tmp_path, choice) == ["a"]
    assert choice.unreadable == [str(tmp_path / "shut")]


def test_since_leaves_out_what_nobody_wrote_to(tmp_path: Path) -> None:
    from analyzer.scan import Extras, find

    tree(tmp_path, "new/run.log", "old/run.log")
    os.utime(tmp_path / "old" / "run.log", (time.time() - 10 * 86400,) * 2)
    assert [Path(run.root).name for run in find([str(tmp_path)], Extras(since="7d"))] == ["new"]
    assert len(find([str(tmp_path)], Extras(since="2020-01-01"))) == 2
