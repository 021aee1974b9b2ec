"""`--fix-dir`: the change alone, beside the originals, applicable with `patch`, and nothing overwritten."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from analyzer import Options, diagnose
from analyzer.errors import AnalyzerError, UsageError
from analyzer.fix import patched, write_fixes
from analyzer.given import facts
from analyzer.json_edit import set_value
from parsers import dsconfig
from tests.samples import FOLDER

NAN = FOLDER / "hf-trainer/nanfrom-hf444-s2/run.log"
CONFIG = '{\n    "bf16": {"enabled": "auto"}, // filled in by the Trainer\n    "zero_optimization": {\n        "stage": 2,\n        "overlap_comm": true,\n    }\n}\n'


def run_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(NAN, folder / "run.log")
    (folder / "ds_config.json").write_text(CONFIG, "utf-8")
    (folder / "requirements.txt").write_text("torch==2.1.2\ndeepspeed==0.14.0\n", "utf-8")
    return folder


def diagnosed(folder: Path):
    files = [folder / "run.log", folder / "ds_config.json", folder / "requirements.txt"]
    return diagnose(files, Options(facts=facts(["gpus=8", "bf16=true", "deepspeed=0.14.0"])))


def test_the_patched_files_stand_beside_the_originals(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    written = write_fixes(diagnosed(folder), folder)
    assert {path.name for path in written} == {
        "ds_config.fixed.json", "constraints.fixed.txt", "requirements.fixed.txt", "fix.diff", "APPLY.md"
    }  # fmt: skip
    assert {name: (folder / name).read_bytes() for name in before} == before
    fixed = (folder / "ds_config.fixed.json").read_text("utf-8")
    assert fixed == CONFIG.replace('"overlap_comm": true', '"overlap_comm": false')
    assert (folder / "requirements.fixed.txt").read_text("utf-8") == "torch==2.1.2\ndeepspeed>=0.19.3\n"


def test_the_diff_applies(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    write_fixes(diagnosed(folder), tmp_path / "fix")
    diff = (tmp_path / "fix/fix.diff").read_bytes()
    done = subprocess.run(["patch", "-p1"], input=diff, cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout
    assert '"overlap_comm": false' in (folder / "ds_config.json").read_text("utf-8")
    assert "deepspeed>=0.19.3" in (folder / "requirements.txt").read_text("utf-8")


def test_the_order_names_versions_what_to_discard_and_the_cost(tmp_path: Path) -> None:
    write_fixes(diagnosed(run_folder(tmp_path)), tmp_path / "fix")
    told = (tmp_path / "fix/APPLY.md").read_text("utf-8")
    for words in (
        "ds-zero12-overlap-multirank",
        "deepspeed>=0.19.3",
        "To discard: every checkpoint",
        "cost: ",
        "The run that settles it",
    ):
        assert words in told


def test_a_second_diagnosis_does_not_read_what_was_written(tmp_path: Path) -> None:
    from parsers.discover import find_runs

    folder = run_folder(tmp_path)
    before = list(find_runs([folder]))
    write_fixes(diagnosed(folder), folder)
    assert list(find_runs([folder])) == before


def test_without_a_file_the_settings_are_a_fragment(tmp_path: Path) -> None:
    told = diagnose(NAN, Options(facts=facts(["deepspeed=0.14.0", "overlap_comm=true", "stage=2", "gpus=8", "bf16=true"])))
    write_fixes(told, tmp_path)
    assert dsconfig.loads((tmp_path / "ds_config.fixed.json").read_text("utf-8")) == {
        "zero_optimization": {"overlap_comm": False}
    }
    assert not (tmp_path / "fix.diff").exists()


def test_what_somebody_wrote_below_the_record_stays(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    write_fixes(diagnosed(folder), folder)
    told = folder / "APPLY.md"
    told.write_text(told.read_text("utf-8") + "done on Monday\n", "utf-8")
    with pytest.raises(UsageError, match="changed since"):
        write_fixes(diagnosed(folder), folder)
    assert told.read_text("utf-8").endswith("done on Monday\n")


@pytest.mark.parametrize("name", ["APPLY.md", "fix.diff", "ds_config.fixed.json", "constraints.fixed.txt"])
def test_a_file_of_somebody_else_is_never_overwritten(tmp_path: Path, name: str) -> None:
    folder = run_folder(tmp_path)
    (folder / name).write_text("my own notes\n", "utf-8")
    with pytest.raises(UsageError, match=f"{name} was not written by --fix-dir") as refused:
        write_fixes(diagnosed(folder), folder)
    assert refused.value.code == 2
    assert (folder / name).read_text("utf-8") == "my own notes\n"
    assert sum(path.name in ("APPLY.md", "fix.diff") or ".fixed." in path.name for path in folder.iterdir()) == 1


def test_what_was_written_may_be_written_again_until_somebody_changes_it(tmp_path: Path) -> None:
    folder = run_folder(tmp_path)
    first = {path: path.read_text("utf-8") for path in write_fixes(diagnosed(folder), folder)}
    other = diagnose(
        [folder / "run.log", folder / "ds_config.json"], Options(facts=facts(["gpus=8", "bf16=true", "deepspeed=0.17.3"]))
    )
    write_fixes(other, folder)
    assert {path: path.read_text("utf-8") for path in write_fixes(diagnosed(folder), folder)} == first
    changed = (folder / "ds_config.fixed.json").read_text("utf-8").replace("2", "1")
    (folder / "ds_config.fixed.json").write_text(changed, "utf-8")
    with pytest.raises(UsageError, match="changed since"):
        write_fixes(diagnosed(folder), folder)
    assert (folder / "ds_config.fixed.json").read_text("utf-8") == changed


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder, kept = run_folder(tmp_path), tmp_path / "kept.md"
    kept.write_text("kept\n", "utf-8")
    (folder / "APPLY.md").symlink_to(kept)
    with pytest.raises(UsageError):
        write_fixes(diagnosed(folder), folder)
    assert kept.read_text("utf-8") == "kept\n" and (folder / "APPLY.md").is_symlink()


def test_a_healthy_run_has_nothing_to_fix(tmp_path: Path) -> None:
    healthy = diagnose(FOLDER / "hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3/run.log")
    with pytest.raises(AnalyzerError, match="nothing to write"):
        write_fixes(healthy, tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    with pytest.raises(UsageError, match="fix-dir"):
        write_fixes(diagnosed(run_folder(tmp_path)), tmp_path / "file")


@pytest.mark.parametrize(
    "text", [CONFIG, "{}", '{"bf16": {"enabled": true}}', '{\n  "zero_optimization": {}\n}', '{"a": [{"b": 1}, 2], "zero_optimization": {"stage": 1}}',
             '{"zero_optimization": "auto"}', '# a comment\n{"x": "} not an end {",\n "zero_optimization": {"overlap_comm": null}}'],
)  # fmt: skip
def test_settings_are_set_and_everything_else_stays(text: str) -> None:
    after = dict(
        dsconfig.flat(dsconfig.loads(patched(text, {"zero_optimization.overlap_comm": False, "gradient_clipping": 1.0})))
    )
    before = dict(dsconfig.flat(dsconfig.loads(text)))
    assert after["zero_optimization.overlap_comm"] is False
    assert after["gradient_clipping"] == 1.0
    assert {key: after.get(key, value) for key, value in before.items() if not key.startswith("zero_optimization")} == {
        key: value for key, value in before.items() if not key.startswith("zero_optimization")
    }


def test_a_new_setting_is_indented_as_its_neighbours_are() -> None:
    assert set_value('{\n\t"fp16": {\n\t\t"enabled": true\n\t}\n}\n', "fp16.initial_scale_power", 12) == (
        '{\n\t"fp16": {\n\t\t"initial_scale_power": 12,\n\t\t"enabled": true\n\t}\n}\n'
    )
