"""Shapes that real runs of the lab showed first: a scaler that probes, a preference that grows slowly, rates with all digits."""

from __future__ import annotations

from pathlib import Path

from analyzer.diagnosis import diagnose


def severities(text: str, folder: Path) -> dict[str, str]:
    log = folder / "run.log"
    log.write_text(text, "utf-8")
    return {finding.rule: finding.severity for finding in diagnose(log).findings}


def scaled(falls: set[int], regrows: bool, length: int = 200) -> str:
    scale, lines = 1048576.0, []
    for step in range(length):
        if step in falls:
            scale /= 2
        elif regrows and step % 10 == 9:
            scale = min(scale * 2, 1048576.0)
        norm = "inf" if step in falls else f"{0.5 + step % 7 / 50:.4f}"
        lines.append(f"step: {step} loss: {5 - step / 60:.4f} grad_norm: {norm} lr: 1.000e-03 loss_scale: {scale:g}")
    return "\n".join(lines) + "\n"


def test_norms_that_a_probing_scaler_skips_are_no_alarm(tmp_path: Path) -> None:
    assert severities(scaled(set(range(20, 190, 12)), regrows=True), tmp_path) == {"grad-nan": "info"}


def test_norms_that_the_scale_does_not_tell_of_are_one(tmp_path: Path) -> None:
    text = scaled(set(range(20, 190, 12)), regrows=True).replace(" loss_scale: ", " samples: ")
    assert severities(text, tmp_path).get("grad-nan") == "warning"


def test_a_scale_that_only_falls_is_not_probing(tmp_path: Path) -> None:
    assert severities(scaled(set(range(20, 190, 12)), regrows=False), tmp_path)["grad-nan"] == "warning"


def preference(step: int, margin: float) -> str:
    loss = 0.6931 - margin / 2
    return (
        f"{{'loss': {loss:.4f}, 'grad_norm': 1.3, 'learning_rate': 5e-06, 'rewards/chosen': {margin / 2:.5f}, "
        f"'rewards/rejected': {-margin / 2:.5f}, 'rewards/accuracies': 1.0, 'rewards/margins': {margin:.5f}, 'epoch': {step / 50:.2f}}}\n"
    )


def test_a_preference_that_grows_slowly_makes_progress(tmp_path: Path) -> None:
    text = "".join(preference(step, step / 60 * 0.012 + step % 3 / 5000) for step in range(60))
    assert severities(text, tmp_path) == {"no-progress": "info"}


def test_a_preference_that_stays_makes_none(tmp_path: Path) -> None:
    text = "".join(preference(step, step % 3 / 5000) for step in range(60))
    assert severities(text, tmp_path)["no-progress"] == "warning"


def test_a_rate_of_the_trainer_that_ends_early_is_zero_though_the_last_one_was_small(tmp_path: Path) -> None:
    rates = [f"{0.003 * (60 - step) / 60:.4g}" for step in range(60)] + ["0"] * 100
    lines = [
        f"{{'loss': '{max(3.2, 5.4 - step / 25) + step % 4 / 40:.4g}', 'grad_norm': '1.1', 'learning_rate': '{rate}', 'epoch': '{step / 500:.4g}'}}"
        for step, rate in enumerate(rates)
    ]
    assert severities("\n".join(lines) + "\n", tmp_path) == {"lr-zero": "warning"}
