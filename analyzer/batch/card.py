"""What a batch remembers of every run: enough for the table, the fleet's statements, JUnit and SARIF; the rest stays on disk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from analyzer.model import SEVERITIES, Diagnosis, Finding

SETTINGS: Final = {
    "config:zero_optimization.stage": "ZeRO stage", "config:bf16.enabled": "bf16", "config:fp16.enabled": "fp16",
    "config:zero_optimization.overlap_comm": "overlap_comm", "config:zero_optimization.offload_optimizer.device": "offload",
    "hardware:gpu": "GPU", "hardware:gpu_count": "GPUs", "arg:optim": "optimizer", "arg:gradient_checkpointing": "checkpointing",
    "arg:learning_rate": "learning rate", "arg:attn_implementation": "attention",
}  # fmt: skip
"""Settings that runs of a fleet are compared by, beside the versions of packages."""
PACKAGES: Final = frozenset({
    "deepspeed", "transformers", "torch", "accelerate", "peft", "trl", "flash-attn", "cuda", "nccl", "python", "lightning",
    "pytorch-lightning", "megatron-core", "vllm", "ray", "numpy", "bitsandbytes", "transformer-engine",
})  # fmt: skip
_PLACES: Final = {"host": "node", "node": "node", "device": "GPU", "gpu": "GPU"}


class _Sent:
    """Pickled as its values alone: a thousand times a second, dataclasses' own way is what a scan waits for."""

    __slots__: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), tuple([getattr(self, name) for name in self.__slots__])


@dataclass(frozen=True, slots=True)
class Found(_Sent):
    """A finding in a line."""

    rule: str
    severity: str
    confidence: str
    summary: str
    first_step: int | None
    last_step: int | None
    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Why(_Sent):
    """A cause in a line."""

    id: str
    title: str
    verdict: str
    score: float


@dataclass(frozen=True, slots=True)
class Card(_Sent):
    """One run of a batch. `first` is the finding it began with (an index), -1 where there is none.

    `begin` and `end` are seconds since the epoch as the log states them, None where it states none; `places` names the
    nodes and GPUs that its critical findings point at.
    """

    root: str
    verdict: str
    outcome: str = "unknown"
    last_step: int | None = None
    planned_steps: int | None = None
    findings: tuple[Found, ...] = ()
    causes: tuple[Why, ...] = ()
    first: int = -1
    settings: Mapping[str, str] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    begin: float | None = None
    end: float | None = None
    error: str = ""

    @property
    def word(self) -> str:
        """The verdict, or `unread` where there is none."""
        return "unread" if self.error else self.verdict

    @property
    def lead(self) -> Found | None:
        """The finding that the run began to fail with."""
        return self.findings[self.first] if self.first >= 0 else None

    @property
    def cause(self) -> Why | None:
        """The first cause."""
        return self.causes[0] if self.causes else None

    def loud(self, at_least: str) -> tuple[Found, ...]:
        """Findings of this severity or worse; none for `never`."""
        if at_least == "never":
            return ()
        worst = SEVERITIES[: SEVERITIES.index(at_least) + 1]
        return tuple(found for found in self.findings if found.severity in worst)


_CARD, _FOUND, _WHY = (tuple(each.name for each in fields(kind)) for kind in (Card, Found, Why))


def unread(root: str, error: str) -> Card:
    """The card of a run that gave no diagnosis."""
    return Card(root, "unjudged", error=error)


def card(diagnosis: Diagnosis) -> Card:
    """The card of a diagnosis."""
    run = diagnosis.run
    first = diagnosis.first_cause.finding if diagnosis.first_cause else 0 if diagnosis.findings else -1
    times = sorted(entry.time for entry in diagnosis.timeline if entry.time is not None and entry.time > 1e9)
    whys = tuple(Why(one.id, one.title, one.verdict, one.score) for one in diagnosis.causes)
    return Card(
        run.source, run.verdict, run.outcome, run.last_step, run.planned_steps, tuple(map(_found, diagnosis.findings)), whys,
        first, _settings(diagnosis), _places(diagnosis), times[0] if times else None, times[-1] if times else None,
    )  # fmt: skip


def _found(finding: Finding) -> Found:
    ref = finding.evidence[0].ref
    return Found(finding.rule, finding.severity, finding.confidence, finding.summary, finding.first_step, finding.last_step,
                 ref.file, ref.line, ref.text)  # fmt: skip


def _settings(diagnosis: Diagnosis) -> dict[str, str]:
    run = diagnosis.run
    groups = {"config:": run.config, "hardware:": run.hardware, "arg:": run.arguments}
    told = {name: str(version) for name, version in run.packages.items() if name in PACKAGES and version}
    for key, name in SETTINGS.items():
        prefix, _, rest = key.partition(":")
        value = groups[f"{prefix}:"].get(rest)
        if value is not None:
            told[name] = str(value)[:80]
    return told


def _places(diagnosis: Diagnosis) -> tuple[str, ...]:
    told: dict[str, None] = {}
    for finding in diagnosis.loud("critical"):
        for key, kind in _PLACES.items():
            value = finding.facts.get(key)
            if value not in (None, "", "localhost"):
                told[f"{kind} {value}"] = None
    return tuple(told)


def dumps(one: Card) -> str:
    """A card as JSON, for the cache."""
    told: dict[str, Any] = {name: getattr(one, name) for name in _CARD}
    told["findings"] = [{name: getattr(found, name) for name in _FOUND} for found in one.findings]
    told["causes"] = [{name: getattr(why, name) for name in _WHY} for why in one.causes]
    return json.dumps(told, ensure_ascii=False)


def loads(text: str, root: str, move: Mapping[str, str]) -> Card:
    """A card from JSON as that of the run at `root`; `move`: the folder it was written for → the one it is in now."""
    data: dict[str, Any] = json.loads(text)
    findings = tuple(Found(**{**entry, "file": moved(entry["file"], move)}) for entry in data["findings"])
    causes = tuple(Why(**entry) for entry in data["causes"])
    return Card(**{**data, "root": root, "findings": findings, "causes": causes, "places": tuple(data["places"])})


def moved(path: str, move: Mapping[str, str]) -> str:
    """A path below a folder that is somewhere else now."""
    for old, new in move.items():
        if path == old or path.startswith(old.rstrip("/") + "/"):
            return new + path[len(old) :]
    return path
