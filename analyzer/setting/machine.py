"""Settings of the machine: ranks, nodes, accelerators."""

from __future__ import annotations

import re

from analyzer.model import Evidence
from analyzer.setting.register import Setting, first_number, known, number, of, setting, text_of
from parsers.model import Run


@setting
def world_size(run: Run) -> Setting | None:
    """How many ranks train. Ranks seen in the log bound it from below."""
    found = first_number(run, "run:world_size", "run:num_processes", "arg:world_size", "run:gpus", "config:world_size")
    if found:
        return found
    for fact in known(run.environment, "hardware:gpu_count", "hardware:gpus", "hardware:gpu", "hardware:gpu_name"):
        counted = number(fact.value) if fact.key.endswith(("gpu_count", "gpus")) else None
        named = re.match(r"\s*(\d{1,4})\s*[x×*]", str(fact.value))
        if counted or named:
            return of(fact, counted or float(named[1] if named else 0))
    ranks = [track.rank for track in run.tracks if track.rank is not None]
    ranks += [event.rank for event in run.events if event.rank is not None]
    if ranks and max(ranks) > 0:
        event = next((event for event in run.events if event.rank == max(ranks)), None)
        track = next((track for track in run.tracks if track.rank == max(ranks)), None)
        ref = event.ref if event else track.ref(0) if track else None
        return Setting(float(max(ranks) + 1), (Evidence(ref, "the highest rank that speaks"),) if ref else (), True)
    return None


@setting
def nodes(run: Run) -> Setting | None:
    """How many hosts take part."""
    return first_number(run, "run:nodes", "run:nnodes", "arg:nnodes", "arg:num_nodes", "hardware:nodes")


@setting
def gpu(run: Run) -> Setting | None:
    """Everything that names the accelerator, as one lower-case text."""
    return text_of(run, "run:gpu", "run:device", prefix="hardware:")


@setting
def accelerator(run: Run) -> Setting | None:
    """cuda, rocm, npu or cpu."""
    for fact in known(run.environment, "hardware:accelerator", "run:accelerator"):
        return of(fact, str(fact.value).lower())
    torch_npu = run.environment.get("package:torch-npu")
    named = gpu(run)
    text = str(named.value) if named else ""
    if torch_npu or re.search(r"ascend|npu", text):
        return Setting("npu", named.evidence if named else (Evidence(torch_npu.ref),) if torch_npu else ())
    torch = run.environment.get("package:torch")
    build = str(torch.value) if torch else ""
    if torch and "rocm" in build:
        return of(torch, "rocm")
    if named and re.search(r"\bmi\d{3}|radeon|gfx\d|instinct|\bhip\b", text):
        return Setting("rocm", named.evidence)
    if torch and "+cu" in build:
        return of(torch, "cuda")
    if named and re.search(r"nvidia|tesla|geforce|rtx|[ahvbl]\d{2,3}\b|gh200", text):
        return Setting("cuda", named.evidence)
    return None
