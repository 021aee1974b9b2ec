"""Which files make a run, and how many runs a tree holds."""

from __future__ import annotations

from pathlib import Path

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
    tree(tmp_path, "a/run.log", "a/ds_config.json", "a/notes.md")
    (run,) = find_runs([tmp_path / "a" / "run.log"])
    assert [Path(file).name for file in run.files] == ["run.log", "ds_config.json"]
    tree(tmp_path, "a/other.log")
    (run,) = find_runs([tmp_path / "a" / "run.log"])
    assert [Path(file).name for file in run.files] == ["run.log"]
