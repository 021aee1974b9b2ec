"""A run of several engines (actor, critic) logs no plain `grad_norm`: what an engine's own says is judged all the same."""

from __future__ import annotations

from pathlib import Path

from analyzer import diagnose

LINE = "step:{0} - actor/pg_loss:-0.01 - actor/grad_norm:{1} - critic/vf_loss:0.5 - critic/grad_norm:{2} - actor/lr:1e-06\n"


def found(folder: Path, actor: str, critic: str) -> list[tuple[str, int | None]]:
    log = folder / "run.log"
    log.write_text("".join(LINE.format(step, actor if step > 5 else 0.35, critic) for step in range(1, 13)))
    return [(finding.rule, finding.first_step) for finding in diagnose(log).findings]


def test_an_actor_s_nan_norm_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, "nan", "1.5") == [("grad-nan", 6)]


def test_a_critic_s_nan_norm_is_found(tmp_path: Path) -> None:
    assert found(tmp_path, "0.35", "nan") == [("grad-nan", 1)]


def test_sound_engines_are_quiet(tmp_path: Path) -> None:
    assert found(tmp_path, "0.36", "1.5") == []
