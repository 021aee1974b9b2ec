"""The runs of `lab/two_gpu`: what is started on which machine, and that the documented numbers stand in kept logs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
import tomli

from lab.two_gpu import runs
from lab.two_gpu.cases import BUCKETS, FAULTS, SEEDS, VERSIONS, Machine, failures, race
from lab.two_gpu.outcome import ROW, outcome
from tests.samples import FOLDER, ROOT, samples

DOC = (ROOT / "docs" / "two-gpus.md").read_text("utf-8")
TABLE = re.findall(r"^\| (race-\S+) \| (\d) \| (\d+) \| ([^|]+) \| (\S+) \| (\S+) \|$", DOC, re.MULTILINE)


@pytest.mark.parametrize(("name", "ranks", "steps", "what", "norm", "loss"), TABLE, ids=[row[0] for row in TABLE])
def test_a_number_of_the_race_is_in_its_log(name: str, ranks: str, steps: str, what: str, norm: str, loss: str) -> None:
    folder = FOLDER / "deepspeed" / name
    text = (folder / "run.log").read_text("utf-8")
    rows = ROW.findall(text)
    found = outcome(text)
    said = found["outcome"] + (f" at {found['first_step']}" if found["first_step"] else "")
    assert (str(len(rows)), said, rows[0][2], rows[-1][1]) == (steps, what, norm, loss)
    facts = tomli.loads((folder / "provenance.toml").read_text("utf-8"))
    assert f"--nproc-per-node {ranks} " in facts["command"]
    assert facts["versions"]["deepspeed"] in name
    assert facts["outcome"] == found["outcome"]


RIGHT = {"1": "1.42268", "2": "1.68866"}
"""Seed → the first norm of two ranks with `overlap_comm` false."""
RACE = re.compile(r"race-ds([\d.]+)-(overlap|plain)-(small|large)-n2-s(\d)")
COLUMNS = (("overlap", "small"), ("plain", "small"), ("overlap", "large"), ("plain", "large"))


def _became(what: str, norm: str, seed: str) -> str:
    return "nan" if what.startswith("nan") else what if norm == RIGHT[seed] else "falls, wrong norm"


def test_the_short_table_counts_what_the_long_one_tells() -> None:
    counts: dict[tuple[str, ...], Counter[str]] = {}
    for name, _, _, what, norm, _ in TABLE:
        if found := RACE.match(name):
            counts.setdefault(found.groups()[:3], Counter())[_became(what, norm, found[4])] += 1
    for version in VERSIONS:
        cells = [counts[(version, *column)] for column in COLUMNS]
        row = [", ".join(f"{n} of {cell.total()} {what}" for what, n in cell.items()) for cell in cells]
        assert f"| {version} | {' | '.join(row)} |" in DOC


def test_without_overlap_or_with_a_bucket_for_all_every_version_begins_with_the_same_norm() -> None:
    norms = {found.groups()[:3]: norm == RIGHT[found[4]] for name, *_, norm, _ in TABLE if (found := RACE.match(name))}
    assert all(is_right == (case[1:] != ("overlap", "small") or case[0] == "0.19.3") for case, is_right in norms.items())


def test_the_table_tells_every_kept_run_of_the_race() -> None:
    assert {row[0] for row in TABLE} == {path.name for path in (FOLDER / "deepspeed").glob("race-*")}


def test_every_failure_of_nccl_has_its_log_and_its_healthy_twin() -> None:
    kept = [sample.id for sample in samples() if "-nccl2" in sample.id]
    assert len(kept) == len(failures(Machine(1, 2)))
    assert sum(name.startswith("torch-distributed/healthy-") for name in kept) == 6


def test_the_race_is_every_version_setting_and_seed() -> None:
    cases = race(Machine(), 300)
    assert len({case.name for case in cases}) == len(cases) == len(VERSIONS) * len(SEEDS) * len(BUCKETS) * 2


@pytest.mark.parametrize(
    ("machine", "is_shared", "backend"),
    [
        (Machine(2, 2), False, "nccl"),
        (Machine(1, 2), True, "nccl"),
        (Machine(1, 1), False, "nccl"),
        (Machine(0, 2), False, "gloo"),
    ],
)
def test_ranks_share_a_gpu_only_where_there_are_fewer_gpus(machine: Machine, is_shared: bool, backend: str) -> None:
    for case in failures(machine):
        assert ("--share" in case.options) is is_shared
        assert case.options[case.options.index("--backend") + 1] == backend
        command = runs._command(case, 29700, machine)
        assert str(machine.ranks) in command


def test_a_rank_that_no_log_can_name_is_not_labelled_and_three_ranks_name_it() -> None:
    untold = {case.name for case in failures(Machine(2, 2)) if not case.is_told}
    assert untold == {
        f"{fault}-torchrun-{how}" for fault in ("ranks_disagree", "sizes_disagree") for how in ("plain", "info", "detail")
    }
    assert all(case.is_told for case in failures(Machine(1, 3)))
    assert set(FAULTS) == {case.fault for case in failures(Machine())} - {"healthy"}


def test_paths_in_a_dump_are_replaced_by_as_many_bytes(tmp_path: Path) -> None:
    place = tmp_path / "run"
    dump = b"X" + bytes([len(str(place))]) + str(place).encode() + b"/train.py"
    neutral = runs._neutral_dump(dump, place)
    assert len(neutral) == len(dump)
    assert neutral[2:].startswith(b"/home/user/exp/")
    assert str(place).encode() not in neutral


def test_provenance_of_a_run_that_was_cut_says_so() -> None:
    machine = Machine(1, 2)
    case = next(case for case in failures(machine) if case.name == "rank_sleeps-torchrun-plain")
    log = "step 1 loss 2.0\n[rank0]: Watchdog caught collective operation timeout\n"
    row = {"command": "python train.py", "exit_code": 1, "outcome": "error", "is_cut": True}
    facts = tomli.loads(runs.provenance(case, row, log, machine, {"torch": "2.11.0", "device": "1x GPU"}))
    assert (facts["first_cause_rank"], facts["first_cause_line"], facts["healthy"]) == (1, 2, False)
    assert facts["hardware"] == "1x GPU, shared by 2 ranks"
    assert facts["notes"] == ["ended with SIGTERM after 90 s"]


@pytest.mark.parametrize(("norm", "rule"), [("2.44949", "grad-constant"), ("nan", "grad-nan")])
def test_provenance_of_a_lost_run_expects_what_its_norm_prints(norm: str, rule: str) -> None:
    machine = Machine(1, 2)
    case = next(case for case in race(machine, 3) if case.name == "race-ds0.14.0-overlap-small-s1")
    log = "step 1 loss 6.5 grad_norm 1.0\n" + "".join(f"step {step} loss nan grad_norm {norm}\n" for step in (2, 3))
    row = {"command": "python llava.py", "exit_code": 0, "is_cut": False, **outcome(log)}
    facts = tomli.loads(runs.provenance(case, row, log, machine, {"torch": "2.11.0", "device": "1x GPU"}))
    assert (facts["expected"], facts["healthy"]) == (["loss-nan", rule], False)
