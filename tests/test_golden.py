"""Whole documents of a dozen samples: a change in what a user is told shows as a diff. `python -m tests.test_golden` rewrites."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analyzer import Options, diagnose
from analyzer.output.document import document
from tests.samples import FOLDER, ROOT

GOLDEN = ROOT / "tests" / "golden"
CASES = (
    "deepspeed/healthy-plain-fp16-ds0.12.6-s1",
    "deepspeed/lrhigh-plain-ds0.9.2-z2-s1",
    "deepspeed/poison-plain-ds0.12.4-z2-bf16-s14",
    "deepspeed/rank1raises-cpu2-ds0.18.3-s3",
    "hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3",
    "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12",
    "hf-deepspeed/nanfrom-info-ds0.12.6-z2-fp16-hf436-s21",
    "hf-deepspeed/oom-seqgrow-hf436-ds0.12.6-s4",
    "hf-trainer/labelsignored-hf457-s4",
    "hf-trainer/lrzero-hf444-s2",
    "hf-trainer/nanfrom-hf444-s2",
    "hf-trainer/resume-weightsonly-hf444-s2",
    "hf-trainer/spike-hf444-s2",
)


PACKAGES = ("accelerate", "deepspeed", "python", "torch", "transformers")


def made(case: str) -> dict[str, Any]:
    got = document(diagnose(FOLDER / case / "run.log", Options(strict=True)), with_curves=False)
    text = json.dumps(got, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=False)
    data: dict[str, Any] = json.loads(text.replace(str(FOLDER), "sample_logs"))
    data.pop("tool")
    environment = data["run"]["environment"]
    _keep_few(environment["packages"], "")  # a freeze beside a log has two hundred
    _keep_few(environment["evidence"], "package:")
    for match in (*data["causes"], *data["notes"]):
        match.pop("mechanism"), match.pop("remedy"), match.pop("sources")  # the cause files' own text
    return data


def _keep_few(named: dict[str, Any], prefix: str) -> None:
    for name in [name for name in named if name.startswith(prefix) and name.removeprefix(prefix) not in PACKAGES]:
        named.pop(name)


@pytest.mark.parametrize("case", CASES)
def test_the_document_is_the_golden_one(case: str) -> None:
    assert made(case) == json.loads((GOLDEN / f"{case}.json").read_text("utf-8"))


def write() -> None:
    for case in CASES:
        path = GOLDEN / f"{case}.json"
        Path(path.parent).mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(made(case), indent=1, ensure_ascii=False) + "\n", "utf-8")


if __name__ == "__main__":
    write()
