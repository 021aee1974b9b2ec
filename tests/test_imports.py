"""Nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.samples import FOLDER

LOG = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12/run.log"
HEAVY = {"polars", "numpy", "tensorboard", "plotly", "rich", "jinja2", "typer", "pandas", "google.protobuf"}


def imported(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom analyzer.cli import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "sys.stderr.write('\\n' + ' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    return HEAVY & set(done.stderr.rsplit("\n", 1)[-1].split())


def test_help_and_version_import_nothing_heavy() -> None:
    assert imported("--help") == set()
    assert imported("--version") == set()


@pytest.mark.parametrize("form", ["json", "terminal", "markdown"])
def test_a_small_text_log_needs_no_frame_no_template_no_event_file_library(form: str) -> None:
    assert imported(str(LOG), "--format", form) == set()


def test_the_html_report_needs_templates_only() -> None:
    assert imported(str(LOG), "--format", "html") == {"jinja2"}


def test_the_public_names_are_the_documented_ones() -> None:
    import analyzer

    assert dir(analyzer) == sorted(analyzer.__all__)
    for name in analyzer.__all__:
        assert getattr(analyzer, name) is not None
