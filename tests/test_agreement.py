"""What a text log says agrees with what the same run wrote elsewhere: states, event files, trackers' files, tables.

Every step and value of the independent record is in the log's own reading, to the digits that were printed; the log is read
alone, so that its steps are the recovered ones.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import pytest

from parsers import Run, read
from parsers.read import file_format
from parsers.source import head
from tests.samples import FOLDER, samples

METRICS = ("loss", "eval_loss", "grad_norm", "lr")
BEHIND = {"lightning_csv": 1}
"""Steps that a record's count is behind the log's: Lightning logs the fifth batch when 4 are finished, its bar shows 5."""
DIGITS = 2e-3
"""Relative: transformers 5 prints four significant digits, half a unit of the last is at most 5e-4 of a value."""
COARSER = {"lightning_csv": 5e-3}
"""Lightning's bar prints three significant digits."""
SMALLEST = 6e-5
"""transformers 4 rounds the loss to four decimals."""


RECORDS = {
    "trainer_state", "tensorboard", "wandb_run", "ultralytics_csv", "generic_jsonl", "generic_csv", "lightning_csv", "deepspeed_csv",
    "mlflow", "mlflow_db", "llamafactory_jsonl", "swift_jsonl",
}  # fmt: skip
"""Readers of files that hold a run's steps and values."""
NOT_RECORDS = {
    "ds_config", "requirements", "lock_files", "training_args", "wandb_config", "wandb_metadata", "wandb_summary", "hf_results_json",
    "flight_recorder", "notes",
}  # fmt: skip
"""Readers of files that hold none: settings, versions, last values."""


def known(path: Path) -> str:
    """The whole-file reader of a file, or '' for text and the rest."""
    form = file_format(path, head(path))
    return form.name if form else ""


def lines_of(path: Path) -> str:
    """`generic_jsonl` for a file of JSON lines, as mmengine writes them."""
    return "generic_jsonl" if path.suffix in (".json", ".jsonl") and head(path, 1) == b"{" else ""


@cache
def beside(log: Path) -> dict[str, list[str]]:
    """reader → files that the run itself wrote beside its log; of several states the one that covers the whole run."""
    found: dict[str, list[str]] = {}
    for path in sorted(log.parent.rglob("*"), key=lambda path: (len(path.parts), path)):
        if path.is_file() and path != log and path.name != "provenance.toml" and (reader := known(path) or lines_of(path)):
            found.setdefault(reader, []).append(str(path))
    return {reader: files[:1] if reader == "trainer_state" else files for reader, files in found.items()}


LOGS = sorted(
    {sample.folder / str(sample.provenance.get("log", "run.log")) for sample in samples()} | set(FOLDER.glob("**/run.log"))
)
LOGS = [log for log in LOGS if log.is_file() and not known(log)]
PAIRS = [
    pytest.param(log, reader, id=f"{log.parent.relative_to(FOLDER)}-{reader}")
    for log in LOGS
    for reader in sorted(beside(log).keys() - NOT_RECORDS)
]


@cache
def text(log: Path) -> Run:
    """The log read alone."""
    return read([log], strict=True)


def points(run: Run, metric: str) -> dict[int, list[float]]:
    """step → the values that were logged at it: more than one where a run went back."""
    found: dict[int, list[float]] = {}
    series = run.series(metric)
    for track in [track for track in run.all_series(metric) if series and track.reader == series.reader]:
        for step, value in zip(track.steps, track.values, strict=True):
            found.setdefault(step, []).append(value)
    return found


def same(printed: float, held: float, digits: float) -> bool:
    """Whether two figures are one, as far as they were printed."""
    if not (math.isfinite(printed) and math.isfinite(held)):
        return repr(printed) == repr(held) or (math.isnan(printed) and math.isnan(held))
    return abs(printed - held) <= max(digits * abs(held), SMALLEST if abs(held) > 1e-3 else 0.0, 1e-12)


@pytest.mark.parametrize(("log", "reader"), PAIRS)
def test_every_step_and_value_agrees(log: Path, reader: str) -> None:
    other = read(beside(log)[reader], strict=True)
    compared = 0
    for metric in METRICS:
        held = {step + BEHIND.get(reader, 0): values for step, values in points(other, metric).items()}
        printed = points(text(log), metric)
        if not printed:
            continue
        missing = sorted(held.keys() - printed.keys())
        assert not missing, f"{metric}: steps {missing[:5]} of the record are not in the log"
        for step, values in held.items():
            assert any(same(a, b, COARSER.get(reader, DIGITS)) for a in printed[step] for b in values), (
                metric,
                step,
                printed[step],
                values,
            )
        compared += len(held)
    assert compared or not text(log).tracks


def test_every_kind_of_record_is_compared() -> None:
    kinds = {str(pair.values[1]) for pair in PAIRS}
    assert kinds <= RECORDS, "a file of a new kind lies beside a log: say whether it is a record"
    assert kinds >= {"trainer_state", "tensorboard", "wandb_run", "ultralytics_csv", "generic_jsonl"}
    assert len(PAIRS) >= 100
