"""The training bar as a clock: which bar it is, where its seconds may be compared, and what a late redraw says."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsers import Run, many_steps, read

ROW = "{'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}"


def bar(step: int, seconds: int, total: int = 100) -> str:
    return f"{step:3d}%|###   | {step}/{total} [{seconds // 60:02d}:{seconds % 60:02d}<10:00,  1.00s/it]"


def run(tmp_path: Path, *parts: str) -> Run:
    log = tmp_path / "run.log"
    log.write_text("".join(parts) + "\n", "utf-8")
    return read([log])


def points(got: Run) -> list[tuple[int, float, int]]:
    (series,) = got.bars
    return list(zip(series.steps, series.times, series.segments, strict=True))


def test_the_bar_of_training_rows_is_a_clock_whose_points_stand_on_lines(tmp_path: Path) -> None:
    got = run(tmp_path, *(f"\r{bar(i, 3 * i)}\n{ROW}\n\r{bar(i, 3 * i)}" for i in range(1, 5)))
    assert points(got) == [(i, 3.0 * i, 0) for i in (1, 1, 2, 2, 3, 3, 4, 4)]
    assert got.bars[0].ref(0).text == "progress bar, seconds elapsed = 3 at step 1"
    assert got.bars[0].lines[0] == 1


def test_an_evaluation_on_a_bar_of_its_own_parts_the_clock(tmp_path: Path) -> None:
    train = [f"\r{bar(i, 3 * i)}\n{ROW}\n\r{bar(i, 3 * i)}" for i in (1, 2)]
    evaluation = [f"\r{bar(i, i, 20)}" for i in range(1, 20)]
    later = [f"\r{bar(i, 200 + 3 * i)}\n{ROW}\n\r{bar(i, 200 + 3 * i)}" for i in (3, 4)]
    assert sorted({(segment, step) for step, _, segment in points(run(tmp_path, *train, *evaluation, *later))}) == [
        (0, 1), (0, 2), (1, 3), (1, 4),
    ]  # fmt: skip


def test_a_clock_that_begins_again_parts_and_a_rank_that_lags_does_not(tmp_path: Path) -> None:
    lines = [
        f"{ROW}\n\r{bar(5, 50)}",
        f"\n{ROW}\n\r{bar(6, 60)}",
        f"\r{bar(5, 59)}",
        f"\n{ROW}\n\r{bar(6, 6)}",
        f"\r{bar(7, 16)}",
    ]
    assert points(run(tmp_path, *lines)) == [(5, 50.0, 0), (6, 60.0, 0), (6, 6.0, 1), (7, 16.0, 1)]


def test_a_redraw_counts_only_when_it_comes_late(tmp_path: Path) -> None:
    start = f"{ROW}\n\r{bar(1, 10)}\r{bar(2, 20)}"
    assert points(run(tmp_path, start, f"\r{bar(2, 25)}"))[-1] == (2, 20.0, 0)
    assert points(run(tmp_path, start, f"\r{bar(2, 3000)}"))[-1] == (2, 3000.0, 0)


def test_bars_that_count_no_training_are_no_clock(tmp_path: Path) -> None:
    assert run(tmp_path, *(f"\rMap: {bar(i, i)}" for i in range(1, 30))).bars == ()


@pytest.mark.parametrize("lag", [0, 1])
def test_long_bars_are_the_same_clock_with_numpy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: int) -> None:
    lines = [
        f"{ROW if i % 10 == 0 else ''}\n\r{bar(i, (3 * i) % 1000, 2000)}" + f"\r{bar(i - lag, (3 * i) % 1000, 2000)}" * lag
        + "".join(f"\r{bar(k, k, 20)}" for k in range(1, 20) if i % 300 == 0)
        for i in range(1, 1200)
    ]  # fmt: skip
    plain = points(run(tmp_path, *lines))
    monkeypatch.setattr(many_steps, "is_few", lambda rows: rows < 10)
    assert points(run(tmp_path, *lines)) == plain
    assert len({segment for _, _, segment in plain}) > 3
