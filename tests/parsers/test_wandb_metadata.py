"""W&B's description of where a run was started."""

from __future__ import annotations

import json
from pathlib import Path

from parsers import read

METADATA = {
    "os": "Linux-5.15.0-x86_64-with-glibc2.35",
    "python": "3.10.12",
    "startedAt": "2024-05-01T12:00:00.123456",
    "program": "/home/u/LLaVA/llava/train/train_mem.py",
    "args": ["--deepspeed", "./scripts/zero3.json", "--learning_rate", "2e-5", "--bf16", "True"],
    "gpu": "NVIDIA A100-SXM4-80GB",
    "gpu_count": 8,
    "cudaVersion": "12.2",
    "memory": {"total": 1007.7},
}


def test_the_command_line_and_the_hardware(tmp_path: Path) -> None:
    path = tmp_path / "wandb-metadata.json"
    path.write_text(json.dumps(METADATA, indent=4))
    environment = read([path], strict=True).environment
    assert environment.value("arg:learning_rate") == 2e-5 and environment.value("arg:bf16") is True
    assert environment.value("package:python") == "3.10.12"
    assert environment.value("hardware:gpu") == "NVIDIA A100-SXM4-80GB" and environment.value("hardware:gpu_count") == 8
    fact = environment.get("hardware:gpu")
    assert fact is not None and '"gpu"' in fact.ref.text and fact.weight == 2


def test_a_torn_file_is_a_problem(tmp_path: Path) -> None:
    path = tmp_path / "wandb-metadata.json"
    path.write_text(json.dumps(METADATA)[:80])
    assert [problem.reader for problem in read([path], strict=True).problems] == ["wandb_metadata"]


def test_keys_of_other_kinds_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "wandb-metadata.json"
    path.write_text('{"args": 3, "program": [], "gpu": {"a": 1}, "gpu_count": true, "python": null}')
    run = read([path], strict=True)
    assert not len(run.environment) and not run.problems
