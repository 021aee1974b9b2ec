"""Invented runs of nasty shapes: the healthy ones are quiet, the ill ones are found, at the record at which they fall ill."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from analyzer.diagnosis import diagnose
from tests.analyzer.shapes_of_runs import FAULTY, HEALTHY

SEEDS = range(2)
INTERVAL = 10
"""Steps between two records of the faulty shapes that say where they fall ill."""


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", sorted(HEALTHY))
def test_a_healthy_run_of_a_nasty_shape_is_quiet(shape: str, seed: int, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(HEALTHY[shape](Random(seed)), "utf-8")
    got = diagnose(log)
    assert [(finding.rule, finding.summary) for finding in got.loud()] == []
    assert got.verdict == "healthy"
    assert not got.failures


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("shape", sorted(FAULTY))
def test_an_ill_run_of_a_plain_shape_is_found(shape: str, seed: int, tmp_path: Path) -> None:
    make, wanted, at = FAULTY[shape]
    log = tmp_path / "run.log"
    log.write_text(make(Random(seed)), "utf-8")
    found = [finding for finding in diagnose(log).findings if finding.rule in wanted]
    assert found
    assert all(finding.evidence[0].ref.line for finding in found)
    if at is not None:
        assert abs(min(finding.first_step or 0 for finding in found) - (at + 1) * INTERVAL) <= INTERVAL
