"""No reader takes metrics from another program's real log, unless it is listed here with the reason."""

from __future__ import annotations

import pytest

from parsers import read
from parsers.registry import text_formats
from tests.samples import Sample, samples

OWN = {
    "accelerate": {"generic_text", "tqdm_postfix"},
    "amp": {"generic_text"},
    "composer": {"composer"},
    "deepspeed": {"deepspeed"},
    "fairseq": {"fairseq"},
    "fsdp": {"generic_text"},
    "hf-deepspeed": {"deepspeed", "hf_trainer"},
    "hf-trainer": {"hf_trainer"},
    "keras": {"keras"},
    "lightning": {"lightning", "lightning_rich"},
    "mmengine": {"mmengine"},
    "nanogpt": {"nanogpt"},
    "peft": {"hf_trainer"},
    "torch": {"generic_text", "tqdm_postfix"},
    "torch-distributed": {"generic_text"},
    "torchtitan": {"torchtitan"},
    "trl": {"hf_trainer"},
    "ultralytics": {"ultralytics"},
    "wandb": {"generic_text"},
}
"""Folder of samples → the readers of the programs that print into their logs (of hand-written loops the last resort)."""
LISTED = {
    "deepspeed": {"generic_text", "megatron"},  # the scripts print a line a step, some in Megatron's words
    "hf-trainer": {"memory_lines"},  # the script prints its resident memory
}
TEXT = frozenset(form.name for form in text_formats())
LOGS = [sample for sample in samples() if (sample.folder / str(sample.provenance.get("log", "run.log"))).is_file()]


@pytest.mark.parametrize("sample", LOGS, ids=lambda sample: sample.id)
def test_only_its_own_readers_take_metrics_from_a_log(sample: Sample) -> None:
    folder = sample.id.split("/")[0]
    claimed = {track.reader for track in read([sample.log], strict=True).tracks} & TEXT
    assert claimed <= OWN.get(folder, set()) | LISTED.get(folder, set())


def test_every_folder_of_logs_says_whose_they_are() -> None:
    assert {sample.id.split("/")[0] for sample in LOGS} - OWN.keys() <= {"mlflow", "tensorboard"}


def test_every_listed_claim_is_still_made() -> None:
    for folder, readers in LISTED.items():
        logs = [sample.log for sample in LOGS if sample.id.startswith(f"{folder}/")]
        assert readers <= {track.reader for log in logs for track in read([log], strict=True).tracks}
