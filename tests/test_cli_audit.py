"""`analyze audit`: what a list of versions is exposed to, how loud, where it stands, and what would make it sure."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.audit import _projects, audit, recommended
from analyzer.given import facts
from analyzer.versions import in_ranges
from tests.samples import FOLDER
from tests.test_cli import analyze, one_sentence

RACE = "ds-zero12-overlap-multirank"
REQUIREMENTS = "torch==2.5.0\ndeepspeed==0.14.0  # pinned\ntransformers==4.46.1\nflash-attn\naccelerate>=0.20\n"
UV = '[[package]]\nname = "deepspeed"\nversion = "0.14.0"\nsource = { registry = "https://example.org/simple" }\n\n[[package]]\nname = "torch"\nversion = "2.5.0"\n'
POETRY = '[[package]]\nname = "deepspeed"\nversion = "0.14.0"\ndescription = "x"\n\n[package.dependencies]\ntorch = "*"\n\n[[package]]\nname = "torch"\nversion = "2.5.0"\n'
PIPFILE = '{\n    "_meta": {"hash": {}},\n    "default": {\n        "deepspeed": {\n            "hashes": [],\n            "version": "==0.14.0"\n        },\n        "torch": {\n            "version": "==2.5.0"\n        }\n    }\n}\n'
CONDA = "name: train\nchannels:\n  - pytorch\ndependencies:\n  - python=3.10\n  - pytorch=2.5.0=py3.10_cuda12.1_cudnn9\n  - pip\n  - pip:\n    - deepspeed==0.14.0\n"
PYPROJECT = '[build-system]\nrequires = ["torch==1.0"]\n\n[project]\nname = "llava"\ndependencies = [\n    "torch==2.5.0", "tokenizers>=0.15",\n]\n\n[project.optional-dependencies]\ntrain = ["deepspeed==0.14.0; python_version < \'4\'", "ninja"]\n'
POETRY_PROJECT = '[tool.poetry.dependencies]\npython = "^3.10"\ntorch = "2.5.0"\ntransformers = "^4.40"\n\n[tool.poetry.group.train.dependencies]\ndeepspeed = "==0.14.0"\n'
CONFIG = '{"zero_optimization": {"stage": 2, "overlap_comm": true}, "bf16": {"enabled": true}}\n'


def written(tmp_path: Path, **files: str) -> Path:
    for name, text in files.items():
        (tmp_path / name.replace("__", ".")).write_text(text, "utf-8")
    return tmp_path


def levels(found) -> dict[str, str]:
    return {one.cause.id: one.level for one in found.exposures}


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [("requirements__txt", REQUIREMENTS, 2), ("uv__lock", UV, 3), ("poetry__lock", POETRY, 3), ("Pipfile__lock", PIPFILE, 6),
     ("environment__yml", CONDA, 9), ("pyproject__toml", PYPROJECT, 11), ("pyproject__toml", POETRY_PROJECT, 7)],
)  # fmt: skip
def test_versions_come_from_every_kind_of_list(tmp_path: Path, name: str, text: str, line: int) -> None:
    found = audit([str(written(tmp_path, **{name: text}))])
    race = next(one for one in found.exposures if one.cause.id == RACE)
    assert (race.hits[0].package, race.hits[0].version, race.hits[0].ref.line) == ("deepspeed", "0.14.0", line)
    assert levels(found)["cudnn-sdpa-torch25"] == "info"


def test_a_condition_that_is_open_is_asked_for_and_one_that_holds_raises_the_level(tmp_path: Path) -> None:
    folder = written(tmp_path, requirements__txt=REQUIREMENTS)
    race = next(one for one in audit([str(folder)]).exposures if one.cause.id == RACE)
    assert race.level == "info"
    assert {c.text for c in race.conditions if c.state == "unknown"} == {
        "ZeRO stage 1 or 2",
        "overlap_comm is on",
        "more than one rank",
    }
    written(tmp_path, ds_config__json=CONFIG)
    sure = next(one for one in audit([str(folder)], facts(["gpus=8"])).exposures if one.cause.id == RACE)
    assert sure.level == "critical"
    assert all(c.state == "met" for c in sure.conditions)
    assert "deepspeed>=0.19.3" in sure.fix
    older = next(one for one in audit([str(folder)], facts(["gpus=8", "deepspeed=0.11.1"])).exposures if one.cause.id == RACE)
    assert older.level == "warning"  # in the window, but not where the version alone says much


@pytest.mark.parametrize(
    "change",
    ["deepspeed=0.7.7", "deepspeed=0.19.8", "stage=3", "overlap_comm=false", "gpus=1"],
)
def test_what_rules_a_cause_out_takes_it_off_the_list(tmp_path: Path, change: str) -> None:
    folder = written(tmp_path, requirements__txt=REQUIREMENTS, ds_config__json=CONFIG)
    assert RACE in levels(audit([str(folder)]))
    assert RACE not in levels(audit([str(folder)], facts([change])))


def test_a_ds_config_alone_asks_for_the_version(tmp_path: Path) -> None:
    found = audit([str(written(tmp_path, ds_config__json=CONFIG))])
    race = next(one for one in found.exposures if one.cause.id == RACE)
    assert (race.level, race.package, race.version, race.windows) == ("info", "deepspeed", "unknown", ">=0.8.0,<0.14.3")
    plain = audit([str(written(tmp_path, ds_config__json='{"zero_optimization": {"stage": 2}, "bf16": {"enabled": true}}'))])
    assert RACE not in levels(plain)


def test_a_cause_of_settings_alone_needs_all_of_them() -> None:
    assert levels(audit([], facts(["model=Qwen/Qwen2-7B", "fp16=true"])))["qwen-fp16-overflow"] == "warning"
    assert "qwen-fp16-overflow" not in levels(audit([], facts(["model=Qwen/Qwen2-7B", "bf16=true"])))
    assert "qwen-fp16-overflow" not in levels(audit([], facts(["model=meta-llama/Llama-3-8B", "fp16=true"])))


def test_windows_without_an_end_are_no_exposure_by_themselves(tmp_path: Path) -> None:
    found = audit([str(written(tmp_path, requirements__txt="deepspeed==0.19.8\ntransformers==5.0.0\n"))])
    assert not {"ds-mpi4py-no-launcher", "evaluation-strategy-renamed", "host-oom-offload-init"} & set(levels(found))
    assert all(one.level != "critical" for one in found.exposures)


def test_a_log_is_audited_by_its_environment() -> None:
    found = audit([str(FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log")])
    assert {fact.key for fact in found.packages} >= {"package:deepspeed", "package:torch"} or found.packages
    assert RACE not in levels(found)


def test_open_requirements_are_listed_not_guessed(tmp_path: Path) -> None:
    found = audit([str(written(tmp_path, requirements__txt=REQUIREMENTS))])
    assert {(one.package, one.allowed, one.ref.line) for one in found.open} == {
        ("flash-attn", "any version", 4),
        ("accelerate", ">=0.20", 5),
    }
    assert "flash-attn2-early-bwd" not in levels(found)


def test_a_project_compares_with_its_pins(tmp_path: Path) -> None:
    found = audit([str(written(tmp_path, requirements__txt=REQUIREMENTS))], project="mgm")
    deviations = {one.package: (one.wanted, one.found) for one in found.deviations}
    assert deviations["deepspeed"] == ("==0.11.1", "0.14.0")
    assert deviations["peft"][1] is None
    assert all(one.source.startswith("https://github.com/") for one in found.deviations)
    fitting = audit([str(written(tmp_path, requirements__txt="deepspeed==0.11.1\ntransformers==4.39.0\n"))], project="mgm")
    assert {"deepspeed", "transformers"}.isdisjoint({one.package for one in fitting.deviations})


def test_every_project_has_a_source_and_ranges_that_parse() -> None:
    for name, project in _projects().items():
        assert project["source"].startswith("https://"), name
        assert project["pins"]
        assert all(in_ranges("1.0", ranges) is not None for ranges in project["pins"].values()), name


@pytest.mark.parametrize(
    ("torch", "deepspeed", "exposed"),
    [("2.1.2", "0.14.0", False), ("2.4.0a0+07cecf4168.nv24.05", "0.14.0", True), ("2.4.0", "0.14.0", True), ("2.4.0", "0.14.1", False), ("2.0.1", "0.8.1", True), ("1.13.1", "0.8.1", False)],
)  # fmt: skip
def test_an_import_that_the_installed_torch_still_has_is_no_exposure(
    tmp_path: Path, torch: str, deepspeed: str, exposed: bool
) -> None:
    folder = written(tmp_path, requirements__txt=f"torch=={torch}\ndeepspeed=={deepspeed}\n")
    assert ("ds-torch-six-removed" in levels(audit([str(folder)]))) is exposed


def test_a_missing_file_among_others_is_told(tmp_path: Path) -> None:
    folder = written(tmp_path, requirements__txt="deepspeed==0.14.0\n")
    done = analyze("audit", folder / "requirements.txt", tmp_path / "uv.lok")
    assert done.returncode == 3
    assert "uv.lok does not exist" in done.stderr


def test_the_case_of_a_project_does_not_count() -> None:
    assert recommended("MGM") == recommended("mgm")


@pytest.mark.parametrize(("fail_on", "code"), [("never", 0), ("critical", 0), ("warning", 0), ("info", 1)])
def test_exit_codes_for_ci(tmp_path: Path, fail_on: str, code: int) -> None:
    folder = written(tmp_path, requirements__txt="deepspeed==0.14.0\n")
    assert analyze("audit", folder, "--fail-on", fail_on).returncode == code


HEALTHY = {
    "llava": "torch==2.1.2 transformers==4.37.2 accelerate==0.21.0 deepspeed==0.12.6 peft==0.7.1 numpy==1.26.4",
    "2024": "torch==2.4.1 transformers==4.44.2 accelerate==0.33.0 deepspeed==0.15.1 peft==0.12.0 numpy==1.26.4 trl==0.10.1",
    "spring": "torch==2.6.0 transformers==4.51.3 accelerate==1.6.0 deepspeed==0.16.7 peft==0.15.2 numpy==2.2.5 trl==0.17.0",
    "summer": "torch==2.7.1 transformers==4.53.3 accelerate==1.9.0 peft==0.16.0 trl==0.19.1 bitsandbytes==0.46.1",
    "autumn": "torch==2.8.0 transformers==4.56.2 accelerate==1.10.1 deepspeed==0.17.6 flash-attn==2.8.3 vllm==0.10.2",
    "winter": "torch==2.9.1 transformers==4.57.3 accelerate==1.12.0 deepspeed==0.18.2 liger-kernel==0.6.4",
    "lightning": "torch==2.3.1 lightning==2.3.0 numpy==1.26.4 torchmetrics==1.4",
    "mgm": "torch==2.0.1 transformers==4.39.0 accelerate==0.28.0 deepspeed==0.11.1 peft==0.4.0 pydantic==1.10.14",
    "torch 2.5": "torch==2.5.1 transformers==4.46.3 accelerate==1.1.1 deepspeed==0.15.4 numpy==1.26.4",
    "new": "torch==2.10.0 transformers==5.1.0 accelerate==1.13.0 deepspeed==0.19.5 peft==0.18.1 numpy==2.3.5",
    "old": "torch==1.13.1 transformers==4.28.1 accelerate==0.18.0 deepspeed==0.9.5 peft==0.3.0",
    "unsloth": "torch==2.2.2 transformers==4.41.2 accelerate==0.30.1 unsloth==2025.9.1",
}


@pytest.mark.parametrize("pins", HEALTHY.values(), ids=HEALTHY)
def test_versions_that_people_train_with_fail_no_pipeline(tmp_path: Path, pins: str) -> None:
    """One version in a window is a remark: what else it takes is said, and decides."""
    found = audit([str(written(tmp_path, requirements__txt=pins.replace(" ", "\n") + "\n"))])
    assert not found.is_loud("warning"), [(one.cause.id, one.level) for one in found.exposures if one.level != "info"]


@pytest.mark.parametrize(
    ("pins", "cause"),
    [("torch==2.2.1\nnumpy==2.0.0\n", "numpy2-abi-mismatch"), ("torch==2.1.2\ndeepspeed==0.8.1\n", "ds-torch-six-removed"),
     ("deepspeed==0.14.0\nnumpy==2.0.0\n", "numpy2-deepspeed-bufsize"),
     ("deepspeed==0.10.3\npydantic==2.5.0\n", "ds-pydantic2-old-deepspeed")],
)  # fmt: skip
def test_two_versions_that_exclude_each_other_fail_it(tmp_path: Path, pins: str, cause: str) -> None:
    found = audit([str(written(tmp_path, requirements__txt=pins))])
    assert levels(found)[cause] in ("warning", "critical")
    assert found.is_loud("warning")


def test_the_pins_of_mgm_with_a_newer_deepspeed_and_its_configuration(tmp_path: Path) -> None:
    pins = "torch==2.0.1\ntransformers==4.36.2\naccelerate==0.21.0\ndeepspeed==0.14.0\npydantic==1.10.13\n"
    folder = written(tmp_path, requirements__txt=pins)
    plain = audit([str(folder)], project="mgm")
    assert levels(plain)[RACE] == "info"
    assert plain.is_loud("warning"), "another deepspeed than MGM asks for"
    written(tmp_path, ds_config__json=CONFIG)
    assert levels(audit([str(folder)], facts(["gpus=8"])))[RACE] == "critical"


def test_one_version_is_one_version(tmp_path: Path) -> None:
    shown = analyze("audit", written(tmp_path, requirements__txt="deepspeed==0.14.0\n")).stdout
    assert shown.startswith("1 package version known, possibly exposed to ")
    assert "; or " not in shown


def test_nothing_to_judge_is_no_clean_bill(tmp_path: Path) -> None:
    for path in (tmp_path, written(tmp_path, requirements__txt="numpy>=1\n"), tmp_path / "missing.txt"):
        done = analyze("audit", path)
        assert done.returncode == 3
        assert one_sentence(done.stderr)
    wrong = analyze("audit", "--project", "nobody", tmp_path)
    assert (wrong.returncode, one_sentence(wrong.stderr)) == (2, True)
    assert "mgm" in wrong.stderr


def test_a_program_that_is_no_interpreter_is_refused(tmp_path: Path) -> None:
    tool = tmp_path / "bin/ls"
    for folder in (tool.parent, tmp_path / "lib/python3.11/site-packages/torch-2.5.0.dist-info"):
        folder.mkdir(parents=True)
    (tmp_path / "lib/python3.11/site-packages/torch-2.5.0.dist-info/METADATA").write_text(
        "Name: torch\nVersion: 2.5.0\n", "utf-8"
    )
    tool.write_bytes(b"")
    done = analyze("audit", "--python", tool)
    assert done.returncode == 3 and "no Python interpreter" in done.stderr
    (tmp_path / "bin/python3").write_bytes(b"")
    assert analyze("audit", "--python", tmp_path / "bin/python3").returncode == 0


def test_ranges_alone_are_named(tmp_path: Path) -> None:
    done = analyze("audit", written(tmp_path, req__txt="deepspeed>=0.12\ntransformers\n") / "req.txt")
    assert done.returncode == 3
    assert "deepspeed >=0.12, transformers any version" in done.stderr
    assert "--python" in done.stderr


def test_a_broken_ds_config_is_no_clean_bill(tmp_path: Path) -> None:
    folder = written(
        tmp_path, requirements__txt=REQUIREMENTS, ds_config__json='{"bf16": {"enabled": true}, "zero_optimization": {'
    )
    done = analyze("audit", folder)
    assert done.returncode == 3
    assert "ds_config.json is not a JSON object" in done.stderr


def test_the_terminal_form_reads_like_a_table(tmp_path: Path) -> None:
    shown = analyze("audit", written(tmp_path, requirements__txt=REQUIREMENTS), "--project", "mgm").stdout
    row = next(line for line in shown.splitlines() if RACE in line)
    assert f"{RACE}: if ZeRO stage 1 or 2; overlap_comm is on; more than one rank" in shown
    for words in ("info", "deepspeed", "0.14.0", ">=0.8.0,<0.14.3", "deepspeed>=0.19.3"):
        assert words in row
    assert "requirements.txt:2" in shown
    assert "==0.11.1" in shown


def test_json_and_sarif(tmp_path: Path) -> None:
    folder = written(tmp_path, requirements__txt=REQUIREMENTS)
    got = json.loads(analyze("audit", folder, "--format", "json", "--project", "llava").stdout)
    race = next(one for one in got["exposures"] if one["cause"] == RACE)
    assert race["packages"][0]["line"] == 2
    assert race["sources"]
    out = tmp_path / "audit.sarif"
    assert analyze("audit", folder, "-o", out).returncode == 0
    sarif = json.loads(out.read_text("utf-8"))
    assert sarif["version"] == "2.1.0"
    driver = sarif["runs"][0]["tool"]["driver"]
    results = sarif["runs"][0]["results"]
    assert {result["ruleId"] for result in results} <= {rule["id"] for rule in driver["rules"]}
    place = next(result for result in results if result["ruleId"] == RACE)["locations"][0]["physicalLocation"]
    assert place["region"]["startLine"] == 2
    assert place["artifactLocation"]["uri"].endswith("requirements.txt")


def test_markdown_is_a_table(tmp_path: Path) -> None:
    shown = analyze("audit", written(tmp_path, requirements__txt=REQUIREMENTS), "--format", "markdown").stdout
    assert f"`{RACE}`" in shown
    assert all(
        line.count("|") == shown.splitlines()[2].count("|")
        for line in shown.splitlines()
        if line.startswith("| ") and "\\|" not in line
    )


def test_code_in_a_remedy_is_not_put_into_code_again(tmp_path: Path) -> None:
    written(tmp_path, requirements__txt="torch==2.5.0\n")
    (row,) = (line for line in analyze("audit", tmp_path, "--format", "markdown").stdout.splitlines() if "nvjitlink" in line)
    assert "`module unload cuda`" in row and "`unset" not in row


def test_the_working_directory_is_the_default(tmp_path: Path) -> None:
    written(tmp_path, requirements__txt="deepspeed==0.14.0\n")
    import os
    import subprocess
    import sys

    from tests.samples import ROOT

    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "analyzer", "audit"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    assert RACE in done.stdout
