"""The wheel holds what the clone holds, and works where nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.samples import FOLDER, ROOT


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    code = "import sys; from hatchling.build import build_wheel; print(build_wheel(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(out)], cwd=ROOT, check=True, capture_output=True)
    return next(out.glob("*.whl"))


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


def test_the_installed_command_works_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    home = tmp_path / "venv"
    venv.create(home, system_site_packages=False, with_pip=False)
    site = next((home / "lib").glob("python*")) / "site-packages"
    zipfile.ZipFile(wheel).extractall(site)
    # The dependencies come from this interpreter, nanalyze itself from the wheel only.
    own = [path for path in sys.path if path.endswith("site-packages")]
    (site / "dependencies.pth").write_text("\n".join(own), "utf-8")
    empty = tmp_path / "empty"
    empty.mkdir()
    env = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH",)}
    log = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log"
    code = "import analyzer, sys; assert 'empty' not in analyzer.__file__; from analyzer.cli import main; main(sys.argv[1:])"
    command = [str(home / "bin" / "python"), "-c", code, str(log), "--html", "report.html"]
    done = subprocess.run(command, cwd=empty, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "loss-zero" in done.stdout
    assert (empty / "report.html").stat().st_size > 10_000
    where = subprocess.run(
        [*command[:2], "import analyzer; print(analyzer.__file__)"],
        cwd=empty,
        env=env,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(home) in where.stdout
