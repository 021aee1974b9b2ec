"""True global steps of lines that print none."""

from __future__ import annotations

import pytest

from tests.parsers.logs import run_of, steps


def bar(step: int, total: int, seconds: int = 0) -> str:
    """A redraw of a training bar."""
    return f"\r {100 * step // total:2d}%|▍         | {step}/{total} [{seconds // 60:02d}:{seconds % 60:02d}<11:40,  2.92s/it]"


def row(epoch: float, loss: float = 1.0) -> str:
    """A dict line as the Trainer prints it."""
    return f"{{'loss': {loss}, 'learning_rate': 1e-05, 'epoch': {epoch}}}"


def merged(shown: list[int], total: int, late: int = 0) -> str:
    """Standard output and error in one file: the bar before a line may lag, the one after it does not."""
    blank = "\r" + " " * 40 + "\r"
    return "".join(bar(step - late, total) + blank + row(step / total) + "\n" + bar(step, total) for step in shown)


@pytest.mark.parametrize("late", [0, 3])
def test_the_bar_drawn_after_a_line_shows_its_step(late: int) -> None:
    run = run_of(merged([10, 20, 30, 40], 250, late))
    assert steps(run, "loss") == [10, 20, 30, 40] and run.step_source == "progress-bar" and run.planned_steps == 250


def test_the_first_step_may_be_logged_too() -> None:
    assert steps(run_of(merged([1, 10, 20, 30], 250)), "loss") == [1, 10, 20, 30]


def test_a_resumed_run_begins_where_its_bar_jumps_to() -> None:
    text = merged([10, 20, 30], 80) + "\n" + bar(0, 80) + merged([25, 30, 35], 80)
    run = run_of(text)
    assert steps(run, "loss") == [10, 20, 30, 25, 30, 35] and run.segments == 2


def test_an_evaluation_bar_does_not_count_training_steps() -> None:
    evaluation = "".join(bar(i, 16) for i in (2, 9, 16))
    evals = "{'eval_loss': 2.0, 'eval_runtime': 1.0, 'epoch': 0.1}\n"
    text = (
        merged([10, 20], 100)
        + evaluation
        + "\r"
        + evals
        + bar(20, 100)
        + merged([30, 40], 100)
        + evaluation
        + "\r"
        + evals
        + bar(40, 100)
    )
    run = run_of(text)
    assert steps(run, "loss") == [10, 20, 30, 40] and steps(run, "eval_loss") == [20, 40] and run.planned_steps == 100


def test_standard_output_alone_counts_logging_steps() -> None:
    rows = "".join(row(k / 10) + "\n" for k in range(1, 6))
    run = run_of("Namespace(logging_steps=10, bf16=True)\n" + rows)
    assert steps(run, "loss") == [10, 20, 30, 40, 50] and run.step_source == "logging_steps"
    first = run_of("Namespace(logging_steps=10, logging_first_step=True)\n" + rows)
    assert steps(first, "loss") == [1, 10, 20, 30, 40]


def test_buffered_output_in_a_bunch_is_not_put_at_the_next_bar() -> None:
    bars = "".join(bar(step, 50, step) for step in range(51))
    rows = "".join(row(k / 10) + "\n" for k in range(1, 11))
    end = "{'train_runtime': 100.0, 'train_samples_per_second': 4.0, 'train_steps_per_second': 0.5, 'train_loss': 1.0, 'epoch': 1.0}\n"
    assert steps(run_of(bars + "\n" + rows + end), "loss") == [5 * k for k in range(1, 11)]


def test_the_whole_run_s_speed_gives_the_pace() -> None:
    rows = "".join(row(k / 10) + "\n" for k in range(1, 11))
    end = "{'train_runtime': 1000.0, 'train_samples_per_second': 8.0, 'train_steps_per_second': 2.001, 'train_loss': 1.0, 'epoch': 1.0}\n"
    run = run_of(rows + end)
    assert steps(run, "loss") == [200 * k for k in range(1, 11)] and run.step_source == "speed"


def test_epochs_and_the_banner_give_the_pace() -> None:
    banner = "***** Running training *****\n  Num examples = 4,000\n  Total train batch size (w. parallel) = 8\n"
    run = run_of(banner + "".join(row(round(k * 0.04, 2)) + "\n" for k in range(1, 11)))
    assert steps(run, "loss") == [20 * k for k in range(1, 11)] and run.step_source == "epoch"


def test_a_restart_without_bars_goes_back_with_its_epoch() -> None:
    rows = [row(round(k * 0.1, 2)) for k in range(1, 8)] + [row(round(k * 0.1, 2)) for k in range(5, 9)]
    run = run_of("Namespace(logging_steps=10)\n" + "\n".join(rows) + "\n")
    assert steps(run, "loss") == [10, 20, 30, 40, 50, 60, 70, 50, 60, 70, 80] and run.segments == 2


def test_with_nothing_to_go_by_lines_are_counted() -> None:
    run = run_of("{'loss': 1.0}\n{'loss': 0.9}\n")
    assert steps(run, "loss") == [1, 2] and run.step_source == "count"


def test_an_overflow_is_the_step_under_way() -> None:
    skip = "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 8, reducing to 4\n"
    text = merged([1, 2, 3], 100) + "\n" + skip + merged([4], 100) + "\n" + skip + merged([5], 100)
    run = run_of(text)
    assert steps(run, "loss") == [1, 2, 3, 4, 5] and steps(run, "overflow") == [4, 5]


def test_masked_targets_do_not_move_the_steps_of_others() -> None:
    mask = "WARNING: tokenization mismatch: 1 vs. 62. (ignored)\n"
    run = run_of(mask * 3 + merged([1, 2], 10) + "\n" + mask + merged([3], 10))
    assert steps(run, "loss") == [1, 2, 3] and steps(run, "labels_masked") == [0, 0, 0, 2]


def _engine(step: int) -> str:
    return f"[2026-11-24 02:44:00,001] [INFO] [logging.py:96:log_dist] [Rank 0] step={step}, skipped=0, lr=[0.003], mom=[(0.9, 0.95)]\n"


def _skip(scale: int) -> str:
    return f"[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: {scale}, reducing to {scale // 2}\n"


def _timers(milliseconds: float) -> str:
    return f"[Rank 0] time (ms) | fwd: {milliseconds} | bwd: 2.00 | bwd_inner: 1.00 | bwd_allreduce: 1.00 | step: 3.00\n"


def test_a_script_that_counts_from_zero_has_one_axis_with_its_engine() -> None:
    text = "".join(
        (_skip(2**16) if step in (0, 7) else "")
        + _timers(step + 1.5)
        + (_engine(step + 1) if step % 5 == 4 else "")
        + f"step {step} loss 5.{step:02d}\n"
        for step in range(20)
    )
    run = run_of(text)
    assert steps(run, "overflow") == [0, 7] and steps(run, "loss") == list(range(20))
    assert steps(run, "step_time") == list(range(20)) and run.segments == 1
    skipped = run.series("skipped_steps")
    assert skipped is not None and list(skipped.steps) == [5, 10, 15, 20]  # as the engine printed them


def test_sources_that_count_from_zero_and_one_are_no_restart() -> None:
    memory = "MA 0.5 GB         Max_MA 0.6 GB         CA 0.7 GB         Max_CA 1 GB\n"
    speed = (
        "[2026-11-24 02:44:00,002] [INFO] [timer.py:260:stop] epoch=0/micro_step={0}/global_step={0}, RunningAvgSamplesPerSec=79.9, "
        "CurrSamplesPerSec=82.9, MemAllocated=0.39GB, MaxMemAllocated=0.39GB\n"
    )
    text = "".join(
        memory + (speed.format(step + 1) if step % 5 == 4 else "") + f"step {step} loss 5.{step:02d}\n" for step in range(20)
    )
    assert run_of(text).segments == 1
