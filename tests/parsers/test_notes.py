"""Remarks count only where they state one change and what came of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.diagnosis import Options, diagnose
from parsers import read

NAN = "".join(
    f"{{'loss': {loss}, 'grad_norm': {norm}, 'learning_rate': 2e-05, 'epoch': {0.01 * (i + 1):.2f}}}\n"
    for i, (loss, norm) in enumerate([(2.2, 3.4), (2.1, 2.9), (1.98, 2.3), (1.9, "nan"), *[(0.0, "nan")] * 5])
)


def tried(folder: Path, text: str, name: str = "run.log") -> dict[str, object]:
    (folder / name).write_text(text, "utf-8")
    run = read([folder / name])
    return {key: fact.value for key, fact in run.environment.under("tried:")}


@pytest.mark.parametrize(
    ("remark", "expected"),
    [
        ("# with overlap_comm false it trains fine", {"overlap-off": "healed"}),
        ("// downgraded deepspeed to 0.12.3: healthy", {"other-deepspeed": "healed"}),
        ("NOTE: set overlap_comm=false, still nan", {"overlap-off": "failed"}),
        ("NOTE: with deepspeed==0.9.5 the loss is normal", {"other-deepspeed": "healed"}),
        ("# same nan with attn_implementation=eager", {"eager-attention": "failed", "other-attention": "failed"}),
        ("# flash_attn: disabled works", {"eager-attention": "healed", "other-attention": "healed"}),
        ("# on a single GPU it is fine; with ZeRO-3 it is fine too", {"single-gpu": "healed", "stage-3": "healed"}),
        ("UPDATE: in bf16 no nan", {"bf16": "healed"}),
        ("# upgraded torch to 2.5.1, did not help", {"other-torch": "failed"}),
        ("# lower learning rate helped", {"lower-lr": "healed"}),
        ("# gradient_accumulation_steps=1 works", {"gas-1": "healed"}),
        ("# rerun with the same seed breaks at another step", {"rerun": "other-step"}),
        ("# rerun: fails at the same step", {"rerun": "same-step"}),
        ("# without packing the loss is normal", {"no-packing": "healed"}),
        ("# torch.backends.cuda.enable_cudnn_sdp(False) fixed it", {"cudnn-sdpa-off": "healed"}),
    ],
)
def test_a_statement_is_a_fact(tmp_path: Path, remark: str, expected: dict[str, str]) -> None:
    assert tried(tmp_path, remark + "\n" + NAN) == expected


@pytest.mark.parametrize(
    "line",
    [
        "# try overlap_comm false, it works for others",
        "# would it be fine with overlap_comm false?",
        "# if overlap_comm is false it trains fine",
        "# with overlap_comm false and bf16 it works",
        "# overlap_comm: false",
        "# everything is fine",
        "with overlap_comm false it trains fine",
        '    "overlap_comm": false,  # works',
        "    # DeepSpeed works with overlap_comm",
        "# should be fixed with deepspeed 0.12.3",
        "[INFO] training works fine with bf16",
        "# with bf16 " + "x" * 500 + " fine",
    ],
)
def test_everything_else_says_nothing(tmp_path: Path, line: str) -> None:
    assert tried(tmp_path, line + "\n" + NAN) == {}


def test_a_sentence_each(tmp_path: Path) -> None:
    text = "# overlap_comm off did not help, but with deepspeed 0.12.3 it works\n"
    assert tried(tmp_path, text + NAN) == {"overlap-off": "failed", "other-deepspeed": "healed"}


def test_a_file_of_notes_needs_no_mark(tmp_path: Path) -> None:
    assert tried(tmp_path, "With ZeRO-3 everything is fine.\n", "notes.md") == {"stage-3": "healed"}


def test_the_remark_decides_and_is_cited(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("DeepSpeed version: 0.14.0\n# with overlap_comm false it trains fine\n" + NAN, "utf-8")
    first = diagnose(log, Options(strict=True)).causes[0]
    assert first.id == "ds-zero12-overlap-multirank"
    decisive = next(clause for clause in first.clauses if clause.strength == "decisive")
    assert decisive.state == "met"
    assert decisive.evidence[0].ref.line == 2


def test_long_lines_are_passed_over_quickly(tmp_path: Path) -> None:
    assert tried(tmp_path, "# " + "with overlap_comm " * 50_000 + " fine\n" + NAN) == {}


def test_notes_beside_a_log_belong_to_its_run(tmp_path: Path) -> None:
    (tmp_path / "run.log").write_text("DeepSpeed version: 0.14.0\n" + NAN, "utf-8")
    (tmp_path / "notes.md").write_text("With overlap_comm false it trains fine.\n", "utf-8")
    first = diagnose(tmp_path, Options(strict=True)).causes[0]
    assert (first.id, first.verdict) == ("ds-zero12-overlap-multirank", "confirmed")
