"""The wheel holds what the clone holds, and works where nothing else is."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from parsers.native import extension
from tests.samples import FOLDER, ROOT

Run = Callable[..., "subprocess.CompletedProcess[str]"]
GOOD = FOLDER / "hf-deepspeed" / "healthy-bf16-ds0.14.5-z1-hf444-s3"
BAD = FOLDER / "hf-deepspeed" / "nanfrom-ds0.14.5-z2-bf16-hf444-s12"
BARE = """
import sys
home = sys.argv.pop(1)
for name in ("ray", "fsspec", "mcp"):
    sys.modules[name] = None
import analyzer
assert analyzer.__file__.startswith(home), analyzer.__file__
from analyzer.cli import main
main(sys.argv[1:])
"""
COMMANDS = (
    ("--help", 0), ("--version", 0), (f"{BAD}/run.log --html report.html", 0), (f"{BAD} -o report.json", 0),
    ("render report.json -o report.md", 0), (f"scan {BAD} --html pages --parquet tables --junit j.xml --sarif s.sarif -j 1", 0),
    (f"compare {GOOD} {BAD} --html c.html", 0), (f"audit {BAD}/env.txt --project mgm", 0),
    (f"watch {BAD}/run.log --max-wait 1", 6), ("run -- sh -c 'echo step 1 loss=2; exit 3'", 3), ("explain loss-zero", 0),
    ("rules", 0), ("causes", 0), ("formats", 0), ("doctor", 0), ("demo", 0), (f"{BAD} --fix-dir fix", 0),
    ("completion bash", 0), ("completion zsh", 0), ("completion fish", 0), (f"{BAD}/run.log --lang zh --format markdown", 0),
)  # fmt: skip


def built(out: Path, pure: str = "") -> Path:
    """A wheel of the tree; `pure`: without the extension."""
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    env = {**os.environ, "NANALYZE_PURE": pure}
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True, capture_output=True, env=env)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_two_packages_and_their_data(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    roots = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert roots == {"analyzer", "parsers"}
    assert {"analyzer/py.typed", "parsers/py.typed", "analyzer/templates/report.html.j2", "analyzer/sample/run.log"} <= set(names)
    assert "analyzer/templates/compiled/stamp.txt" in names
    assert not [name for name in names if name.startswith("templates")]
    assert "analyzer/rules/loss_zero.md" in names
    assert "analyzer/causes/ds-zero12-overlap-multirank.toml" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert not [name for name in names if "test" in name.lower().split("/")]


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return unpacked(wheel, tmp_path_factory.mktemp("installed"))


@pytest.fixture(scope="module")
def pure(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same of a wheel without the extension."""
    return unpacked(built(tmp_path_factory.mktemp("wheel"), "1"), tmp_path_factory.mktemp("pure"))


def unpacked(wheel: Path, place: Path) -> Run:
    """Runs the command as the wheel holds it, in an empty folder, where the packages of no extra can be imported."""
    venv.create(place / "venv", system_site_packages=False, with_pip=False)
    site = next((place / "venv" / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies come from this interpreter, nanalyze itself from the wheel only.
    own = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(own), "utf-8")
    (place / "empty").mkdir()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"XDG_CACHE_HOME": str(place / "cache")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(place / "venv" / "bin" / "python"), "-c", BARE, str(place / "venv"), *words]
        return subprocess.run(
            command, cwd=place / "empty", env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize(
    ("words", "code"), COMMANDS, ids=lambda value: value.replace("/", "|")[-60:] if isinstance(value, str) else ""
)
def test_every_command_of_the_wheel_works_without_extras(installed: Run, words: str, code: int) -> None:
    done = installed(*shlex.split(words))
    assert done.returncode == code, done.stderr
    assert done.stdout or done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [f"{BAD}/run.log --format json", f"{BAD} --format json", "doctor"])
def test_the_wheel_without_the_extension_says_the_same(installed: Run, pure: Run, words: str) -> None:
    with_it, without = installed(*shlex.split(words)), pure(*shlex.split(words))
    assert (without.returncode, without.stderr) == (with_it.returncode, with_it.stderr)
    if words == "doctor":
        assert "not built; everything works" in without.stdout
        assert extension() is None or "in use: large logs" in with_it.stdout
    else:
        assert without.stdout == with_it.stdout


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("mcp", "analyze: `analyze mcp` needs the MCP SDK: pip install 'nanalyze[mcp]'."),
        (f"scan {BAD} --engine ray --cache off",
         "analyze: the engine ray needs Ray: pip install 'nanalyze[ray]', or use --engine local."),
        ("scan s3://bucket/runs",
         "analyze: s3://bucket/runs needs fsspec: pip install 'nanalyze[remote]' and the file system's own package."),
    ],
)  # fmt: skip
def test_a_missing_extra_is_one_sentence(installed: Run, words: str, sentence: str) -> None:
    done = installed(*shlex.split(words))
    assert (done.returncode, done.stderr) == (2, sentence + "\n")
