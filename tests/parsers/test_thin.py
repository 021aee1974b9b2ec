"""A log too long to be held whole is thinned while it is read, and judged as if it had not been."""

from __future__ import annotations

import random
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer import Diagnosis, diagnose
from analyzer.output.document import document
from parsers import bounds, many_steps, read, steps
from parsers.bounds import READER, Bounds
from parsers.landmarks import Sizes
from parsers.model import Environment, Row, Tick
from parsers.table import Tables
from parsers.thin import size, thin
from tests.samples import Sample, samples

SMALL = Sizes(rows=400, cells=8_000, window=16, near=24, last=32, spots=16, buckets=8)
"""A thousandth of the real sizes, but for what a rule looks at around a place."""
LONG = Sizes(rows=3_000, cells=40_000, window=64, near=32, last=256, spots=64, buckets=128)
HUGE = Sizes(rows=10**9, cells=10**10)
ROWS = 12_000
ONSET = 4_693
Values = dict[str, Any]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8,000 bytes: files of samples are looked at many times."""
    module = __import__("sys").modules["parsers.read"]
    whole = module.blocks
    monkeypatch.setattr(module, "blocks", lambda path, meter: whole(path, meter, 8_000))


def judged(path: Path, sizes: Sizes, monkeypatch: pytest.MonkeyPatch) -> Diagnosis:
    monkeypatch.setattr(bounds, "WHOLE", sizes)
    return diagnose([path])


def loud(found: Diagnosis) -> list[tuple[str, str, int | None, int]]:
    """What a user acts on: rule, severity, first step and line of everything above info."""
    return [(f.rule, f.severity, f.first_step, f.evidence[0].ref.line) for f in found.findings if f.severity != "info"]


def notes(found: Diagnosis) -> list[str]:
    return [reason for _, reader, reason in found.problems if reader == READER]


def is_long(sample: Sample) -> bool:
    return sample.log.is_file() and 20_000 < sample.log.stat().st_size < 2_000_000


@pytest.mark.parametrize("sample", [s for s in samples() if is_long(s)], ids=lambda s: s.id)
@pytest.mark.usefixtures("small_blocks")
def test_a_sample_is_judged_alike_when_it_is_thinned(sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = judged(sample.log, HUGE, monkeypatch)
    thinned = judged(sample.log, SMALL, monkeypatch)
    assert loud(thinned) == loud(whole)
    assert [(c.id, c.verdict) for c in thinned.causes] == [(c.id, c.verdict) for c in whole.causes]
    assert (thinned.verdict, thinned.run.outcome) == (whole.verdict, whole.run.outcome)
    assert (thinned.run.first_step, thinned.run.last_step) == (whole.run.first_step, whole.run.last_step)
    assert (thinned.run.step_source, thinned.run.planned_steps) == (whole.run.step_source, whole.run.planned_steps)


@pytest.mark.usefixtures("small_blocks")
def test_enough_samples_are_thinned_by_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "WHOLE", SMALL)
    found = [read([sample.log]) for sample in samples() if is_long(sample)]
    assert sum(problem.reader == READER for run in found for problem in run.problems) >= 25


def zero(i: int, x: Values, luck: random.Random) -> None:
    x["loss"] = 0.0 if i >= ONSET else x["loss"]


def lost(i: int, x: Values, luck: random.Random) -> None:
    if i >= ONSET:
        x.update(loss=float("nan"), norm=float("nan"))


def once(i: int, x: Values, luck: random.Random) -> None:
    x["norm"] = float("inf") if i == ONSET else x["norm"]


def stuck(i: int, x: Values, luck: random.Random) -> None:
    if i >= ONSET:
        x.update(loss=0.0, norm=1.414)


def no_gradient(i: int, x: Values, luck: random.Random) -> None:
    x["norm"] = 0.0 if i >= ONSET else x["norm"]


def spike(i: int, x: Values, luck: random.Random) -> None:
    x["loss"] *= 3 if ONSET <= i < ONSET + 5 else 1


def high(i: int, x: Values, luck: random.Random) -> None:
    x["loss"] = 7 + luck.gauss(0, 0.1) if i >= ONSET else x["loss"]


def explode(i: int, x: Values, luck: random.Random) -> None:
    x["norm"] *= 60 if ONSET <= i < ONSET + 20 else 1


def slow(i: int, x: Values, luck: random.Random) -> None:
    x["ms"] *= 4 if i >= ONSET else 1


def silent(i: int, x: Values, luck: random.Random) -> None:
    x["gap"] = 7200 if i == ONSET else 0


def again(i: int, x: Values, luck: random.Random) -> None:
    x["step"] = i - 1500 if i >= ONSET else i


def collapse(i: int, x: Values, luck: random.Random) -> None:
    x["scale"] = 65536.0 if i < ONSET else max(1.0, 65536.0 / 2 ** min(60, (i - ONSET) // 3))


def overflow(i: int, x: Values, luck: random.Random) -> None:
    if i >= ONSET:
        was, now = (max(1, 65536 >> min(16, i - ONSET + k)) for k in (0, 1))
        x["instead"] = (
            "[2024-03-01 10:00:00,000] [INFO] [loss_scaler.py:183:update_scale] [deepspeed] OVERFLOW! Rank 0 Skipping step. "
            f"Attempted loss scale: {was}, reducing to {now}\n"
        )


def flat(i: int, x: Values, luck: random.Random) -> None:
    x["loss"] = 10.8 + luck.gauss(0, 0.02)


def masked(i: int, x: Values, luck: random.Random) -> None:
    x["loss"] = 0.0 if luck.random() < 0.05 else x["loss"]


def calm(i: int, x: Values, luck: random.Random) -> None:
    """Nothing happens."""


def restarts(i: int, x: Values, luck: random.Random) -> None:
    x["lr"] = 3e-4 * (1 - i % 1500 / 1600)


def pauses(i: int, x: Values, luck: random.Random) -> None:
    x["gap"] = 900 if i % 700 == 0 else 0
    x["before"] = f"saving checkpoint at iteration {i:8d} to /ckpt in torch_dist format\n" if i % 700 == 0 else ""


Change = Callable[[int, Values, random.Random], None]


def records(change: Change) -> Iterator[tuple[int, Values]]:
    luck = random.Random(7)
    for i in range(1, ROWS + 1):
        x: Values = {
            "loss": 1.5 + 3 / (1 + i / 500) + luck.gauss(0, 0.03), "norm": abs(luck.gauss(1, 0.2)) + 0.05, "scale": 65536.0,
            "lr": 3e-4 * min(1, i / 100) * (1 - i / (1.3 * ROWS)), "ms": luck.uniform(900, 1100), "gap": 0, "step": i,
        }  # fmt: skip
        change(i, x, luck)
        yield i, x


def megatron(change: Change) -> str:
    lines, clock = [], 1.71e9
    for _, x in records(change):
        clock += x["ms"] / 1000 + x["gap"]
        stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(clock))
        lines.append(x.get("before", ""))
        lines.append(x["instead"] if "instead" in x else (
            f" [{stamp}] iteration {x['step']:8d}/   15000 | consumed samples: {x['step'] * 1024:12d} | elapsed time per iteration "
            f"(ms): {x['ms']:.1f} | learning rate: {x['lr']:.6E} | global batch size:  1024 | lm loss: {x['loss']:.6E} | "
            f"loss scale: {x['scale']:.1f} | grad norm: {x['norm']:.3f} | number of skipped iterations:   0 | "
            "number of nan iterations:   0 |\n"
        ))  # fmt: skip
    return "".join(lines)


def trainer(change: Change) -> str:
    """Dict lines without steps: the last line says how many there were, ten to a record."""
    lines = [
        x["instead"] if "instead" in x else
        f"{{'loss': {x['loss']:.4f}, 'grad_norm': {x['norm']:.4f}, 'learning_rate': {x['lr']:.8g}, 'epoch': {i / ROWS * 3:.4f}}}\n"
        for i, x in records(change)
    ]  # fmt: skip
    lines.append(
        f"{{'train_runtime': {ROWS * 5.0:.4f}, 'train_samples_per_second': 16.0, 'train_steps_per_second': 2.0, "
        "'train_loss': 2.0, 'epoch': 3.0}\n"
    )
    return "".join(lines)


FAULTS: dict[Change, str] = {
    zero: "loss-zero", lost: "loss-nan", stuck: "grad-constant", no_gradient: "grad-zero", spike: "loss-spike",
    high: "divergence", explode: "grad-explosion", slow: "throughput-drop", silent: "stall", collapse: "scale-collapse",
    overflow: "overflow-streak", flat: "no-progress", masked: "loss-zero", again: "step-rewind", once: "grad-nan",
}  # fmt: skip


@pytest.mark.parametrize("change", FAULTS, ids=lambda change: change.__name__)
def test_a_fault_of_a_long_run_is_found_at_its_line(change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_text(megatron(change))
    whole, thinned = judged(path, HUGE, monkeypatch), judged(path, LONG, monkeypatch)
    assert not notes(whole)
    assert notes(thinned)
    assert FAULTS[change] in {finding.rule for finding in whole.findings}
    places = [[(f.rule, f.severity, f.first_step, f.evidence[0].ref) for f in one.findings] for one in (whole, thinned)]
    assert places[0] == places[1]
    assert [(c.id, c.verdict) for c in thinned.causes] == [(c.id, c.verdict) for c in whole.causes]


@pytest.mark.parametrize("change", [calm, restarts, pauses], ids=lambda change: change.__name__)
def test_a_long_healthy_run_stays_quiet(change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_text(megatron(change))
    thinned = judged(path, LONG, monkeypatch)
    assert notes(thinned)
    assert not loud(thinned)


@pytest.mark.parametrize("change", [zero, lost, spike, overflow, calm], ids=lambda change: change.__name__)
def test_steps_that_only_the_last_line_tells_are_right(change: Change, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_text(trainer(change))
    whole, thinned = judged(path, HUGE, monkeypatch), judged(path, LONG, monkeypatch)
    assert notes(thinned)
    assert loud(thinned) == loud(whole)
    assert thinned.run.step_source == whole.run.step_source == "speed"
    assert thinned.run.last_step == whole.run.last_step


def test_a_slow_divergence_is_found_within_a_gap_of_its_first_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drift(i: int, x: Values, luck: random.Random) -> None:
        x["loss"] += min(6.0, max(0, i - ONSET) / 600)

    path = tmp_path / "run.log"
    path.write_text(megatron(drift))
    whole, thinned = judged(path, HUGE, monkeypatch), judged(path, LONG, monkeypatch)
    (want,), (got,) = ([f for f in one.findings if f.rule == "divergence"] for one in (whole, thinned))
    assert got.severity == want.severity == "critical"
    assert abs((got.first_step or 0) - (want.first_step or 0)) <= 8 * LONG.window


def test_a_report_says_that_rows_were_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.log"
    path.write_text(megatron(zero))
    found = judged(path, LONG, monkeypatch)
    (note,) = notes(found)
    assert note.startswith(f"The log is long: of its {ROWS:,} rows of metrics and counts of bars ")
    assert {"file": str(path), "line": 0, "reader": "thinning", "reason": note, "text": ""} in document(found)["problems"]


def test_below_the_limit_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text(megatron(calm))
    run = read([path])
    assert not run.problems
    assert [len(track) for track in run.tracks] == [ROWS] * len(run.tracks)
    assert not any(track.cuts for track in run.tracks)


def filled(rows: int, tables: int = 1, names: tuple[str, ...] = ("loss", "grad_norm")) -> Tables:
    luck, made = random.Random(3), Tables("run.log")
    for i in range(rows):
        values = tuple((name, luck.gauss(2, 0.1)) for name in names)
        made.add("megatron", Row(i + 1, values, i // tables, rank=i % tables))
        made.add("progress_bar", Tick(i + 1, i, rows, float(i)))
    return made


@pytest.mark.parametrize(("tables", "rows"), [(1, 20_000), (40, 20_000), (3000, 30_000)])
def test_what_is_left_is_bounded_however_many_tables_there_are(tables: int, rows: int) -> None:
    made, sizes = filled(rows, tables), Sizes(rows=6_000, cells=200_000)
    steps.settle(made, Environment())
    thin(made, sizes)
    assert size(made)[0] <= max(sizes.rows, 20 * tables)


def test_wide_rows_are_bounded_by_their_numbers() -> None:
    made = filled(2_000, names=tuple(f"metric{k}" for k in range(300)))
    steps.settle(made, Environment())
    thin(made, Sizes(rows=100_000, cells=100_000))
    assert size(made)[1] <= 100_000


def test_gaps_are_marked_and_stay_marked() -> None:
    made, sizes = filled(20_000), Sizes(rows=6_000, cells=10**9)
    steps.settle(made, Environment())
    thin(made, sizes)
    (table,) = made.by_key.values()
    first = {seq for a, seq in zip(table.seq, table.seq[1:], strict=False) if seq - a > 2}
    assert set(table.cuts) == first
    thin(made, sizes._replace(rows=3_000))
    again = {seq for a, seq in zip(table.seq, table.seq[1:], strict=False) if seq - a > 2}
    assert again == set(table.cuts)
    assert made.past is not None
    assert made.past.dropped == 40_000 - size(made)[0]


def test_starts_without_a_row_between_them_are_one() -> None:
    made = Tables("run.log")
    for _ in range(1000):
        made.mark_start()
    assert len(made.starts) == 1


Log = list[tuple[str, int, float]]
"""(what, bar's count or 0, epoch) of each record."""


@settings(max_examples=150, deadline=None)
@given(
    log=st.lists(
        st.tuples(
            st.sampled_from(["loss", "loss", "eval", "tick", "tick", "memory", "overflow", "start"]),
            st.integers(0, 60),
            st.floats(0, 3, width=16),
        ),
        max_size=60,
    ),
    cuts=st.sets(st.integers(0, 60), max_size=3),
)
def test_many_rows_get_the_steps_that_few_get(log: Log, cuts: set[int]) -> None:
    found = []
    before = many_steps.MANY
    for many in (0, 10**9):
        try:
            many_steps.MANY = many  # type: ignore[misc]
            many_steps.SOME = many  # type: ignore[misc]
            found.append(resolved(log, cuts))
        finally:
            many_steps.MANY, many_steps.SOME = before, 500  # type: ignore[misc]
    assert found[0] == found[1]


def resolved(log: Log, cuts: set[int]) -> tuple[str, list[tuple[object, list[int]]]]:
    made = Tables("run.log")
    for number, (what, count, epoch) in enumerate(log):
        line = number + 1
        if number in cuts:
            steps.settle(made, Environment())
        if what == "tick":
            made.add("progress_bar", Tick(line, count, 60, float(number)))
        elif what == "start":
            made.mark_start()
        elif what == "loss":
            made.add("hf_trainer", Row(line, (("loss", 2.5 - number / 100), ("epoch", epoch))))
        elif what == "eval":
            made.add("hf_trainer", Row(line, (("eval_loss", 2.5), ("epoch", epoch)), kind="eval"))
        else:
            made.add("deepspeed", Row(line, (("memory_gpu" if what == "memory" else "overflow", 1.0),)))
    source = steps.resolve(made, Environment())
    return source, [(key, list(table.step)) for key, table in made.by_key.items()]


class Settled(Bounds):
    """Settles steps at every block and drops nothing."""

    def check(self) -> None:
        self._tables.drop_fallbacks(self._fallbacks)
        steps.settle(self._tables, Environment(self._collected.facts))

    def end(self) -> None:
        """Nothing."""


@pytest.mark.usefixtures("small_blocks")
def test_steps_that_are_settled_piece_by_piece_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    def told(sample: Sample) -> tuple[str, int | None, list[tuple[str, array[int], array[int]]]]:
        run = read([sample.log])
        return run.step_source, run.planned_steps, [(track.name, track.steps, track.lines) for track in run.tracks]

    several = [sample for sample in samples() if is_long(sample)][::3]
    whole = [told(sample) for sample in several]
    monkeypatch.setattr(__import__("sys").modules["parsers.read"], "Bounds", Settled)
    assert [told(sample) for sample in several] == whole


@pytest.mark.parametrize("make", [megatron, trainer])
def test_thinned_pieces_of_a_rotated_log_count_on(
    make: Callable[[Change], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = make(zero).splitlines(True)
    old, new = tmp_path / "run.log.1", tmp_path / "run.log"
    old.write_text("".join(lines[: ROWS // 2]))
    new.write_text("".join(lines[ROWS // 2 :]))
    found = []
    for sizes in (HUGE, LONG):
        monkeypatch.setattr(bounds, "WHOLE", sizes)
        found.append(diagnose([old, new]))
    whole, thinned = found
    assert len(notes(thinned)) == 2
    assert [(f.rule, f.first_step, f.evidence[0].ref) for f in thinned.findings] == [
        (f.rule, f.first_step, f.evidence[0].ref) for f in whole.findings
    ]
    assert (thinned.run.last_step, thinned.run.step_source) == (whole.run.last_step, whole.run.step_source)
