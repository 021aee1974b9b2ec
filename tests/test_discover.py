"""Which files make a run, and how many runs a tree holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers.discover import find_runs


def tree(root: Path, *files: str) -> dict[str, list[str]]:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", "utf-8")
    return {
        Path(run.root).relative_to(root).as_posix(): [Path(file).relative_to(root).as_posix() for file in run.files]
        for run in find_runs([root])
    }


def test_a_trainer_output_folder_is_one_run(tmp_path: Path) -> None:
    got = tree(
        tmp_path,
        "a/run.log", "a/ds_config.json", "a/checkpoint-20/trainer_state.json", "a/checkpoint-100/trainer_state.json",
        "a/runs/Nov24_02-38-11_host/events.out.tfevents.1.host.1.0",
    )  # fmt: skip
    assert got == {
        "a": [
            "a/run.log", "a/checkpoint-100/trainer_state.json",
            "a/runs/Nov24_02-38-11_host/events.out.tfevents.1.host.1.0", "a/ds_config.json",
        ]
    }  # fmt: skip


def test_the_state_of_the_run_itself_outranks_its_checkpoints(tmp_path: Path) -> None:
    got = tree(tmp_path, "a/trainer_state.json", "a/checkpoint-20/trainer_state.json")
    assert got == {"a": ["a/trainer_state.json"]}


def test_ranks_rotations_and_streams_are_one_run(tmp_path: Path) -> None:
    assert list(tree(tmp_path, "a/rank_0.log", "a/rank_1.log")) == ["a"]
    assert list(tree(tmp_path, "b/run.log", "b/run.log.1", "b/run.log.2.gz")) == ["a", "b"]
    assert list(tree(tmp_path, "c/train.out", "c/train.err")) == ["a", "b", "c"]


def test_different_logs_in_one_folder_are_different_runs(tmp_path: Path) -> None:
    assert list(tree(tmp_path, "exp/baseline.log", "exp/lr-high.log")) == ["exp/baseline.log", "exp/lr-high.log"]


def test_links_that_go_round_end(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "again").symlink_to(tmp_path)
    assert list(tree(tmp_path, "a/run.log")) == ["a"]


def test_a_log_brings_the_environment_beside_it(tmp_path: Path) -> None:
    tree(tmp_path, "a/run.log", "a/ds_config.json", "a/notes.md", "a/readme.md")
    (run,) = find_runs([tmp_path / "a" / "run.log"])
    assert [Path(file).name for file in run.files] == ["run.log", "ds_config.json", "notes.md"]
    tree(tmp_path, "a/other.log")
    (run,) = find_runs([tmp_path / "a" / "run.log"])
    assert [Path(file).name for file in run.files] == ["run.log"]


TORCH = "events.out.tfevents.1795495593.vm.10691."
TENSORBOARDX = "events.out.tfevents.1795495596.vm"


@pytest.mark.parametrize(
    "files",
    [
        (f"{TORCH}2", f"Loss_train/{TORCH}3", f"Loss_val/{TORCH}4", f"1795495596.1595929/{TORCH}10"),
        (TENSORBOARDX, f"Loss/train/{TENSORBOARDX}", f"my/Metric/a/{TENSORBOARDX}", f"1795495597.28/{TENSORBOARDX}"),
        (f"train/{TORCH}18", f"train_inner/{TORCH}19", f"valid/{TORCH}20", f"valid1/{TORCH}21"),
        (f"train/{TORCH}0.v2", f"validation/{TORCH}1.v2"),
        (TENSORBOARDX, f"eval/{TENSORBOARDX}", f"eval_holdout/{TENSORBOARDX}"),
        ("train.log", f"tb/train/{TORCH}18", f"tb/train_inner/{TORCH}19"),
        ("train.log", f"lightning_logs/version_0/{TORCH}1"),
    ],
    ids=["torch", "tensorboardX", "fairseq", "keras", "estimator", "fairseq-log", "lightning-log"],
)
def test_folders_that_one_program_writes_event_files_to_are_one_run(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert [sorted(found) for found in tree(tmp_path / "a", *files).values()] == [sorted(files)]
    assert list(tree(tmp_path, f"b/{TORCH}2")) == ["a", "b"]


@pytest.mark.parametrize(
    "files",
    [
        (f"lr_01/{TORCH}0", f"lr_02/{TORCH}1"),
        (f"1795495593.5/{TORCH}0", f"1795495594.5/{TORCH}1"),
        (f"runs/Nov24_04-46-36_vm_a/{TORCH}0", f"runs/Nov24_04-46-36_vm_b/{TORCH}1"),
        (f"0/{TORCH}0", f"1/{TORCH}1"),
        (f"lightning_logs/version_0/{TORCH}0", f"lightning_logs/version_1/{TORCH}1"),
        (f"{TORCH}0", "b/events.out.tfevents.1795499999.vm.999.0"),
    ],
    ids=["sweep", "times", "stamps", "numbers", "versions", "another-process"],
)
def test_folders_beside_each_other_are_runs(tmp_path: Path, files: tuple[str, ...]) -> None:
    assert len(tree(tmp_path, *files)) == 2


def test_runs_in_an_output_folder_beside_a_log_are_runs(tmp_path: Path) -> None:
    assert list(tree(tmp_path, "driver.log", f"logs/a/{TORCH}0", f"logs/b/{TORCH}1")) == [".", "logs/a", "logs/b"]


def test_restarts_of_a_trainer_are_one_run(tmp_path: Path) -> None:
    got = tree(tmp_path, "trainer_state.json", f"runs/Nov24_02-38-11_vm/{TORCH}0", f"runs/Nov24_03-38-11_vm/{TORCH}1")
    assert list(got) == ["."] and len(got["."]) == 3
