"""Megatron: per-interval counters, an absent loss, torn lines, the argument dump, clock marks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from parsers import kinds as k
from tests.parsers.runs import assert_any_chunking_is_the_same, kinds, lines, points, run_of

LOG = """\
------------------------ arguments ------------------------
  adam_beta1 ...................................... 0.9
  bf16 ............................................ True
  data_path ....................................... ['/data/a']
-------------------- end of arguments ---------------------
using world size: 8, data-parallel-size: 4, tensor-model-parallel size: 2, pipeline-model-parallel size: 1
training ...
[before the start of training step] datetime: 2024-05-01 11:59:00
[Rank 0] (after 1 iterations) memory (MB) | allocated: 1024.0 | max allocated: 2048.0 | reserved: 3000.0 | max reserved: 3072.0
 [2024-05-01 12:00:00] iteration        1/     100 | consumed samples:          256 | elapsed time per iteration (ms): 812.3 | \
learning rate: 1.498500E-04 | global batch size:   256 | lm loss: 3.141593E+00 | loss scale: 65536.0 | grad norm: 0.512 | \
number of skipped iterations:   0 | number of nan iterations:   0 |
 [2024-05-01 12:00:01] iteration        2/     100 | consumed samples:          512 | elapsed time per iteration (ms): 800.0 | \
learning rate: 1.498500E-04 | global batch size:   256 | loss scale: 32768.0 | number of skipped iterations:   1 | \
number of nan iterations:   0 |
 [2024-05-01 12:00:02] iteration        3/     100 | elapsed time per iteration (ms): 800.0 | lm loss: NaN | grad norm: nan | lear
-----------------------------------------------------------------
 validation loss at iteration 3 | lm loss value: 3.100000E+00 | lm loss PPL: 2.219795E+01 |
saving checkpoint at iteration       3 to /ckpt in torch_dist format
  successfully saved checkpoint from iteration       3 to /ckpt
[after training is done] datetime: 2024-05-01 12:00:03
"""


def test_metrics_have_their_iteration_line_and_unit(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "loss")[0] == (1, 3.141593)
    assert math.isnan(points(run, "loss")[1][1]) and points(run, "loss")[1][0] == 3
    assert lines(run, "loss") == [10, 12]
    assert points(run, "step_time") == [(1, pytest.approx(0.8123)), (2, 0.8), (3, 0.8)]
    assert points(run, "memory_gpu") == [(1, 3.0)]
    assert run.planned_steps == 100 and run.step_source == "printed"


def test_counters_of_the_intervals_are_added_up(tmp_path: Path) -> None:
    line = " iteration {:8d}/ 100 | elapsed time per iteration (ms): 1.0 | number of skipped iterations: {:3d} |\n"
    log = "".join(line.format(step, skipped) for step, skipped in ((10, 2), (20, 0), (30, 1), (10, 1), (20, 0)))
    assert [value for _, value in points(run_of(tmp_path, log), "skipped_steps")] == [2, 2, 3, 1, 1]


def test_a_line_of_skipped_iterations_has_no_loss(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert points(run, "skipped_steps") == [(1, 0.0), (2, 1.0)]
    assert points(run, "loss_scale") == [(1, 65536.0), (2, 32768.0)]


def test_a_torn_last_item_is_left_out(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert [step for step, _ in points(run, "lr")] == [1, 2]


def test_validation_is_an_evaluation(tmp_path: Path) -> None:
    assert points(run_of(tmp_path, LOG), "eval_loss") == [(3, 3.1)]


def test_start_checkpoint_and_end(tmp_path: Path) -> None:
    run = run_of(tmp_path, LOG)
    assert kinds(run) == [k.RUN_START, k.CHECKPOINT, k.RUN_END]
    assert run.events[1].step == 3 and run.events[1].data["path"] == "/ckpt"


def test_arguments_become_facts(tmp_path: Path) -> None:
    env = run_of(tmp_path, LOG).environment
    assert (env.value("arg:adam_beta1"), env.value("arg:bf16"), env.value("run:world_size")) == (0.9, True, 8)
    assert env.value("arg:data_path") == "['/data/a']"


def test_a_sentence_that_ends_in_training_is_no_start(tmp_path: Path) -> None:
    assert kinds(run_of(tmp_path, "INFO - Start NER training ...\n")) == []


def test_two_ranks_on_one_line(tmp_path: Path) -> None:
    item = "iteration {:8d}/  100 | elapsed time per iteration (ms): 1.0 | lm loss: 2.0E+00 |"
    run = run_of(tmp_path, f" {item.format(1)} {item.format(2)}\n")
    assert points(run, "loss") == [(1, 2.0), (2, 2.0)]


def test_any_chunking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert_any_chunking_is_the_same(monkeypatch, tmp_path, LOG)
