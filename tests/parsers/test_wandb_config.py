"""W&B's config.yaml: plain values and versions."""

from __future__ import annotations

from pathlib import Path

from tests.parsers.runs import run_of

TEXT = """\
_wandb:
    value:
        cli_version: 0.18.0
        python_version: 3.11.4
bf16:
    value: true
deepspeed:
    desc: null
    value: zero3.json
optimizer:
    value:
        name: adamw
learning_rate:
    value: 2e-05
"""


def test_facts(tmp_path: Path) -> None:
    env = run_of(tmp_path, TEXT, "config.yaml").environment
    assert (
        env.value("arg:bf16") is True and env.value("arg:deepspeed") == "zero3.json" and env.value("arg:learning_rate") == 2e-05
    )
    assert env.value("package:wandb") == "0.18.0" and env.value("package:python") == "3.11.4"
    fact = env.get("arg:learning_rate")
    assert fact and fact.ref.line == 14 and fact.ref.text == "value: 2e-05"
