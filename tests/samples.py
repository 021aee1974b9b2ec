"""The sample logs and what their provenance says; `python -m tests.samples` writes `sample_logs/README.md`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import tomli

from analyzer import Diagnosis

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "sample_logs"
INTERVAL = 11
"""The same where the log does not say how often it prints: one interval of ten, and the step it is printed at."""

ONSET = {"loss-zero", "loss-nan", "grad-nan", "grad-constant", "grad-zero", "loss-spike", "lr-zero", "throughput-drop"}
"""Rules whose onset a number shows."""

# What a label asks for is met by a rule that knows more: the specific rule owns the finding.
FATAL = {
    "traceback", "oom-cuda", "oom-host", "device-assert", "dependency-error", "config-error", "checkpoint-failure",
    "dataloader-crash", "disk-full", "communication-error", "collective-timeout", "hardware-fault", "scale-at-minimum",
}  # fmt: skip
MET_BY = {
    "traceback": FATAL,
    "rank-failure": FATAL | {"rank-failure", "killed-by-signal"},
    "killed-by-signal": {"killed-by-signal", "oom-host", "rank-failure"},
    "grad-nan": {"grad-nan", "grad-constant"},
    "loss-nan": {"loss-nan", "loss-zero"},
    "scale-collapse": {"scale-collapse", "scale-at-minimum"},
    "overflow-streak": {"overflow-streak", "scale-collapse", "scale-at-minimum"},
    "divergence": {"divergence", "loss-nan"},
    "stall": {"stall", "collective-timeout", "incomplete"},
    "disk-full": {"disk-full", "checkpoint-failure"},
    "communication-error": {"communication-error", "collective-timeout"},
    "interrupted": {"interrupted", "killed-by-signal"},
    "config-error": {"config-error", "dependency-error"},
}


@dataclass(frozen=True, eq=False)
class Sample:
    """A sample's folder and its provenance."""

    folder: Path
    provenance: dict[str, Any]

    @property
    def id(self) -> str:
        return self.folder.relative_to(FOLDER).as_posix()

    @property
    def log(self) -> Path:
        """The text log; for samples without one, the folder itself."""
        log = self.folder / str(self.provenance.get("log", "run.log"))
        return log if log.exists() else self.folder

    @property
    def is_healthy(self) -> bool:
        return self.provenance["healthy"] is True


def interval(diagnosis: Diagnosis) -> int:
    """Steps by which an onset may miss its injection: one logging interval of the loss, and the step it is printed at."""
    run = diagnosis.run
    points = next((curve.points for curve in run.curves if curve.metric == "loss"), 0)
    if points < 2 or run.first_step is None or run.last_step is None:
        return INTERVAL
    return -(-(run.last_step - run.first_step) // (points - 1)) + 1


@cache
def samples() -> tuple[Sample, ...]:
    """All samples, by path."""
    found = sorted(FOLDER.rglob("provenance.toml"))
    return tuple(Sample(path.parent, tomli.loads(path.read_text("utf-8"))) for path in found)


def table() -> str:
    """`sample_logs/README.md`."""
    lines = [
        "# Sample logs",
        "",
        "Logs that real programs printed, each with a `provenance.toml`: program, versions, hardware, command, injected fault,",
        "what must be found. This table is written by `python -m tests.samples`; `tests/test_sample_logs.py` holds the tool to it.",
        "",
        "| sample | program | fault | at step | must be found |",
        "|---|---|---|---|---|",
    ]
    for sample in samples():
        facts = sample.provenance
        step = facts.get("injected_at_step")
        found = "nothing" if sample.is_healthy else ", ".join([*facts.get("expected", []), *facts.get("causes", [])])
        lines.append(
            f"| [{sample.id}]({sample.id}) | {facts['program']} | {facts['fault']} | {'' if step is None else step} | {found} |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(table(), "utf-8")
