"""Settings of DeepSpeed: is it there, which stage, what overlaps, what is offloaded."""

from __future__ import annotations

import os
import re
from typing import Final

from analyzer.model import Evidence
from analyzer.setting.model import framework
from analyzer.setting.register import Setting, first_number, is_true, known, of, setting
from parsers import kinds
from parsers.discover import kind_of
from parsers.model import Fact, Run


@setting
def zero_stage(run: Run) -> Setting | None:
    """DeepSpeed's ZeRO stage; read from the config file's name where nothing else says it."""
    found = first_number(run, "config:zero_optimization.stage", "config:zero_optimization_stage", "config:zero_config.stage")
    if found:
        return found
    for fact in known(run.environment, "arg:deepspeed", "arg:deepspeed_config", "run:deepspeed_config", "run:script"):
        named = re.search(r"(?:zero|z|stage)[-_]?([0-3])(?![0-9])", str(fact.value).lower())
        if named:
            return Setting(float(named[1]), (Evidence(fact.ref, "by the name of the config"),))
    return None


_DEEPSPEED_PROJECTS: Final = r"deepspeed|llava|mgm|mini-?gemini|internvl|bunny|llama-vid|vg-llm|share4v"
"""Projects whose scripts start DeepSpeed."""


@setting
def deepspeed(run: Run) -> Setting | None:
    """Whether DeepSpeed drives the run. A log that shows the start and no word of it says no; with it installed, nothing."""
    starts = run.events_of(kinds.RUN_START)
    facts = list(
        known(run.environment, "package:deepspeed", "config:zero_optimization.stage", "arg:deepspeed", "run:deepspeed_config")
    )
    for fact in facts:
        if not starts or not _is_listed(fact) or _is_spoken(run):
            return of(fact, str(fact.value).lower() not in ("false", "not installed"))
    if _is_spoken(run):
        named = framework(run)
        return Setting(True, named.evidence if named else ())
    return Setting(False, (Evidence(starts[0].ref, "no word of DeepSpeed up to here"),)) if starts and not facts else None


def _is_spoken(run: Run) -> bool:
    """Whether a line of DeepSpeed's was read, or the program is one that starts it."""
    if any(reader.startswith("deepspeed") for reader in run.readers):
        return True
    named = framework(run)
    return bool(named and re.search(_DEEPSPEED_PROJECTS, str(named.value)))


def _is_listed(fact: Fact) -> bool:
    """Whether it is but a line of what is installed (a freeze, a lock file, an interpreter): that does not say it is used."""
    if not fact.key.startswith("package:"):
        return False
    is_from_file = fact.given and fact.ref.line > 0 and fact.ref.file != "--fact"
    return is_from_file or kind_of(os.path.basename(fact.ref.file)) == "environment"


@setting
def overlap_comm(run: Run) -> Setting | None:
    """Whether ZeRO overlaps the reduction with the backward pass."""
    for fact in known(run.environment, "config:zero_optimization.overlap_comm", "config:overlap_comm", "arg:overlap_comm"):
        return of(fact, is_true(fact.value))
    return None


@setting
def offload(run: Run) -> Setting | None:
    """The device the optimizer is offloaded to (`cpu`, `nvme`, `none`)."""
    for key in ("offload_optimizer.device", "offload_optimizer", "cpu_offload"):
        fact = run.environment.get(f"config:zero_optimization.{key}")
        if fact is not None:
            value = str(fact.value).lower()
            return of(fact, "cpu" if value == "true" else "none" if value in ("false", "none") else value)
    return None
