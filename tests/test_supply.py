"""The wheel is the same wherever and whenever it is built from the same tree, and says what it depends on."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

import pytest
import tomli as toml
from packaging.requirements import Requirement

from analyzer import demo
from analyzer.version import VERSION
from parsers.native import extension
from tests import advisories, release
from tests.samples import ROOT

BUILD = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
EPOCH = "1767225600"
ALONE = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in sys.argv[2].split(","):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from hatchling.build import build_editable, build_wheel
build_wheel(sys.argv[1])
build_editable(sys.argv[1])
"""
"""Builds as pip does: with nothing but what `[build-system]` asks for."""


def build(tree: Path, out: Path, **changes: str) -> Path:
    out.mkdir()
    env = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **changes}
    subprocess.run([sys.executable, "-c", BUILD, str(out)], cwd=tree, env=env, check=True, capture_output=True)
    return next(out.glob("*.whl"))


EXTENSION = "parsers/_lines.abi3.so"
NO_COMPILER = "no C compiler here, or no headers of Python: this wheel has no extension"


@pytest.fixture(scope="module", params=["", "1"], ids=["platform", "pure"])
def wheels(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The wheel of the tree and that of a copy of it, whose files are younger and lie in another order."""
    if not request.param and extension() is None:
        pytest.skip(NO_COMPILER)
    place = tmp_path_factory.mktemp("supply")
    copy = place / "elsewhere"
    copy.mkdir()
    for name in ("templates", "parsers", "analyzer", f"sample_logs/hf-deepspeed/{demo.RUN}"):
        shutil.copytree(ROOT / name, copy / name, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "hatch_build.py", "README.md", "LICENSE", "NOTICE", ".gitignore"):
        shutil.copyfile(ROOT / name, copy / name)
    return [
        build(ROOT, place / "one", PYTHONHASHSEED="1", TZ="UTC", LC_ALL="C", NANALYZE_PURE=request.param),
        build(copy, place / "two", PYTHONHASHSEED="2", TZ="Asia/Shanghai", LC_ALL="C.UTF-8", NANALYZE_PURE=request.param),
    ]


def test_two_builds_are_the_same_bytes(wheels: list[Path]) -> None:
    first, second = (zipfile.ZipFile(wheel) for wheel in wheels)
    assert first.namelist() == second.namelist()
    assert [name for name in first.namelist() if first.read(name) != second.read(name)] == []
    assert wheels[0].read_bytes() == wheels[1].read_bytes()
    assert {entry.date_time[:3] for entry in first.infolist()} == {time.gmtime(int(EPOCH))[:3]}


def test_a_wheel_says_whether_it_holds_the_extension(wheels: list[Path]) -> None:
    names = zipfile.ZipFile(wheels[0]).namelist()
    tags = wheels[0].stem.split("-")[-3:]
    assert "parsers/_lines.c" not in names
    if EXTENSION in names:
        assert tags[:2] == ["cp310", "abi3"] and tags[2] not in ("any", "")
    else:
        assert tags == ["py3", "none", "any"]
        assert not [name for name in names if name.endswith((".so", ".pyd"))]
    (name,) = [name for name in names if name.endswith(".dist-info/WHEEL")]
    said = zipfile.ZipFile(wheels[0]).read(name).decode()
    assert f"Root-Is-Purelib: {'false' if EXTENSION in names else 'true'}" in said and f"Tag: {'-'.join(tags)}" in said


def test_no_path_of_this_machine_is_compiled_in(wheels: list[Path]) -> None:
    archive = zipfile.ZipFile(wheels[0])
    for name in archive.namelist():
        if name.endswith(".so"):
            assert str(ROOT).encode() not in archive.read(name) and b"nanalyze-build-" not in archive.read(name)


def test_where_nothing_can_be_compiled_the_wheel_is_pure_and_one_sentence_is_said(tmp_path: Path) -> None:
    env = {**os.environ, "CC": "no-such-compiler", "PATH": str(tmp_path)}
    env.pop("NANALYZE_PURE", None)
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(tmp_path)], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    said = [line for line in (done.stdout + done.stderr).splitlines() if "extension" in line]
    assert len(said) == 1 and said[0].startswith("The extension is not built, large logs are read more slowly (")


def test_building_needs_what_it_asks_for_and_no_more(tmp_path: Path) -> None:
    project = toml.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    there = {Requirement(text).name for text in project["build-system"]["requires"]} | {
        "packaging",
        "pathspec",
    }  # hatchling's own
    absent = {Requirement(text).name for text in project["project"]["dependencies"]} - there
    modules = ",".join({"numpy", "rich", "google", *(name.replace("-", "_") for name in absent)})
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(tmp_path), modules], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len(list(tmp_path.glob("*.whl"))) in (1, 2)


def test_the_bill_of_materials_names_what_the_wheel_asks_for(wheels: list[Path]) -> None:
    archive = zipfile.ZipFile(wheels[0])
    (name,) = [name for name in archive.namelist() if ".dist-info/sboms/" in name]
    made = json.loads(archive.read(name))
    assert made["bomFormat"] == "CycloneDX" and made["specVersion"] == "1.6"
    wanted = toml.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["dependencies"]
    asked = {one["properties"][0]["value"].replace(" ", "").replace('"', "'") for one in made["components"]}
    assert asked == {text.replace(" ", "").replace('"', "'") for text in wanted}
    (ours, *others) = made["dependencies"]
    assert ours["ref"] == made["metadata"]["component"]["purl"] and set(ours["dependsOn"]) == {one["ref"] for one in others}


FINE = {"name": "jinja2", "version": "3.1.6", "vulns": []}
BAD = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "PYSEC-1", "fix_versions": ["3.1.3"]}]}
LEFT = {"name": "polars", "skip_reason": "Dependency not found on PyPI"}
OURS = {"name": "nanalyze", "skip_reason": "distribution marked as editable"}


@pytest.mark.parametrize(
    ("found", "code", "said"),
    [
        ([FINE, OURS], 0, "1 of 2 packages looked up, 0 known vulnerabilities"),
        ([FINE, BAD], 1, "jinja2 3.1.2: PYSEC-1, mended in ['3.1.3']"),
        ([LEFT, LEFT], 3, "NOT DONE: 2 of 2 packages could not be looked up (polars, polars: Dependency not found on PyPI)"),
        ([FINE, LEFT], 3, "incomplete: 1 of 2 packages could not be looked up"),
        ([BAD, LEFT], 1, "incomplete"),
        ([], 3, "0 of 0 packages looked up"),
    ],
)
def test_an_audit_says_what_it_looked_up(found: list[dict[str, object]], code: int, said: str) -> None:
    assert advisories.verdict(json.dumps({"dependencies": found}))[0] == code
    assert said in "\n".join(advisories.verdict(json.dumps({"dependencies": found}))[1])


def test_an_audit_that_did_not_happen_is_no_clean_one() -> None:
    code, said = advisories.verdict("")
    assert code == advisories.NOT_DONE and "NOT DONE" in said[0]


def test_a_release_whose_parts_disagree_is_refused() -> None:
    assert release.complaints(f"v{VERSION}") == []
    assert release.complaints("v9.9.9") == [f"the tag is v9.9.9, analyzer/version.py says {VERSION}"]


def test_the_metadata_passes_the_registrys_check(tmp_path: Path) -> None:
    files = release.build(tmp_path)
    assert [file.suffix for file in files] == [".whl", ".gz"]
    assert files[0].name.endswith("-py3-none-any.whl"), "what has an extension is built by cibuildwheel"
    with tarfile.open(files[1]) as archive:
        assert {"parsers/_lines.c", "hatch_build.py", "tests/sanitize.py"} <= {
            name.split("/", 1)[-1] for name in archive.getnames()
        }
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
