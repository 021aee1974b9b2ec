"""The Trainer's dict lines of every version, whole, glued and torn."""

from __future__ import annotations

import math

import pytest

from tests.parsers.logs import points, run_of, steps


@pytest.mark.parametrize(
    ("text", "loss", "grad_norm", "lr"),
    [
        ("{'loss': 4.163, 'learning_rate': 0.0005, 'epoch': 0.17}", 4.163, None, 0.0005),
        ("{'loss': 1.95, 'grad_norm': tensor(1.5342, device='cuda:0'), 'learning_rate': 2e-05, 'epoch': 0.01}", 1.95, 1.5342, 2e-5),
        (
            "{'loss': 0.0, 'grad_norm': tensor(2., device='cuda:0', dtype=torch.float64, grad_fn=<SqrtBackward0>), 'epoch': 0.01}",
            0.0, 2.0, None,
        ),
        ("{'loss': np.float64(0.5), 'grad_norm': np.float32(1.25), 'learning_rate': 0, 'epoch': 0.5}", 0.5, 1.25, 0.0),
        ("{'loss': '4.163', 'grad_norm': '0.7599', 'learning_rate': '5e-04', 'epoch': '0.1667'}", 4.163, 0.7599, 0.0005),
        ("{'loss': '0', 'grad_norm': '1.414', 'learning_rate': '1e-06', 'epoch': '0.5'}", 0.0, 1.414, 1e-6),
        ("{'loss': 5.6332, 'lr': 0.0002, 'epoch': 0.09}", 5.6332, None, 0.0002),
        ("{'loss': 0.0}", 0.0, None, None),
        ("{'loss': 1.5, 'note': '[String too long to display, length: 300 > 100. Consider increasing `max_str_len`]', 'epoch': 1}",
         1.5, None, None),
        ("{'loss': 1.5, 'tags': ['a', 'b'], 'it': \"it's {x}, 'loss': 9\", 'grad_norm': 2.0, 'epoch': 1.0}", 1.5, 2.0, None),
    ],
)  # fmt: skip
def test_a_dict_line_of_each_version(text: str, loss: float, grad_norm: float | None, lr: float | None) -> None:
    run = run_of(text + "\n")
    for metric, expected in (("loss", loss), ("grad_norm", grad_norm), ("lr", lr)):
        assert [value for _, value in points(run, metric)] == ([] if expected is None else [expected])


@pytest.mark.parametrize("nan", ["nan", "'nan'", "tensor(nan, device='cuda:0')", "np.float64(nan)", "NaN"])
def test_nan_in_every_spelling(nan: str) -> None:
    run = run_of(f"{{'loss': 0.0, 'grad_norm': {nan}, 'learning_rate': 2e-05, 'epoch': 0.01}}\n")
    series = run.series("grad_norm")
    assert series and math.isnan(series.values[0]) and series.non_finite == 1


def test_a_dict_behind_a_bar_and_two_on_one_line() -> None:
    bar = "  4%|▍         | 10/250 [00:29<11:40,  2.92s/it]"
    run = run_of(f"{bar}        {{'loss': 1.5, 'epoch': 0.1}}{{'loss': 1.4, 'epoch': 0.2}}\n")
    assert [value for _, value in points(run, "loss")] == [1.5, 1.4]


def test_a_torn_line_gives_what_is_whole_and_no_half_numbers() -> None:
    run = run_of("{'loss': 1.5, 'grad_norm': 1.2, 'learning_rate': 2.\n{'loss': 0.5{'loss': 0.25, 'epoch': 0.5}\n")
    assert [value for _, value in points(run, "loss")] == [1.5, 0.25]
    assert run.series("lr") is None


def test_evaluation_and_summary_are_told_from_training() -> None:
    run = run_of(
        "{'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': 0.5}\n"
        "{'eval_loss': nan, 'eval_runtime': 12.3456, 'eval_samples_per_second': 8.1, 'eval_steps_per_second': 1.013, 'epoch': 0.5}\n"
        "{'loss': 1.2, 'grad_norm': 1.0, 'learning_rate': 0.0, 'epoch': 1.0}\n"
        "{'train_runtime': 900.12, 'train_samples_per_second': 1.1, 'train_steps_per_second': 0.3, 'train_loss': 1.35, 'epoch': 1.0}\n"
    )
    assert [value for _, value in points(run, "loss")] == [1.5, 1.2]
    assert len(points(run, "eval_loss")) == 1
    (end,) = run.events_of("run-end")
    assert end.data == {"train_loss": 1.35, "train_runtime": 900.12} and end.ref.line == 4


def test_trl_keys_and_a_dict_without_loss() -> None:
    run = run_of("{'reward': 0.31, 'reward_std': 0.22, 'kl': 0.0, 'rewards/acc/mean': 0.31, 'epoch': 0.02}\n")
    assert points(run, "reward") == [(1, 0.31)] and points(run, "rewards/acc/mean") == [(1, 0.31)]


@pytest.mark.parametrize(
    "text",
    [
        "{'learning_rate': 2e-5, 'epoch': 3, 'model': 'x', 'data': 'y', 'out': 'z', 'optim': 'adamw'}",
        "{'name': 'loss', 'value': 1}",
        "{'loss': 'cross_entropy', 'epochs': 3}",
        "x = {'epoch': 3, 'batch': 4}",
    ],
)
def test_other_dicts_are_no_metrics(text: str) -> None:
    assert not run_of(text + "\n").tracks


def test_a_printed_step_is_believed() -> None:
    run = run_of(
        "{'loss': 1.5, 'epoch': 0.1, 'global_step/max_steps': '50/100', 'percentage': '50.00%'}\n"
        "{'loss': 1.4, 'epoch': 0.1, 'step': 60, 'max_steps': 100}\n"
    )
    assert steps(run, "loss") == [50, 60] and run.planned_steps == 100


def test_the_banner_with_each_prefix() -> None:
    text = (
        "[INFO|trainer.py:2128] 2024-05-01 12:00:00,123 >> ***** Running training *****\n"
        "[INFO|trainer.py:2129] 2024-05-01 12:00:00,123 >>   Num examples = 665,298\n"
        "  Num Epochs = 2\n"
        "[transformers]   Total train batch size (w. parallel, distributed & accumulation) = 128\n"
        "[transformers]   Total optimization steps = 10,396\n"
        "***** Running Evaluation *****\n  Num examples = 7\n"
    )
    run = run_of(text)
    environment = run.environment
    assert environment.value("run:train_examples") == 665298 and environment.value("run:planned_epochs") == 2
    assert environment.value("run:train_batch_size") == 128 and run.planned_steps == 10396
    assert [event.kind for event in run.events] == ["run-start", "evaluation"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("[WARNING|trainer_pt_utils.py:921] 2024-05-01 12:00:00,123 >> tried to get lr value before scheduler/optimizer started "
         "stepping, returning lr=0", "lr-zero-warning"),
        ("/x/torch/utils/checkpoint.py:31: UserWarning: None of the inputs have requires_grad=True. Gradients will be None",
         "no-grad-inputs"),
        ("Some weights of A were not initialized from the model checkpoint at b and are newly initialized: ['x.weight', 'y.bias']",
         "newly-initialized"),
        ("  Continuing training from global step 40", "resume"),
        ("Saving model checkpoint to out/checkpoint-500", "checkpoint"),
        ("Training completed. Do not forget to share your model on huggingface.co/models =)", "run-end"),
    ],
)  # fmt: skip
def test_messages(text: str, kind: str) -> None:
    (event,) = run_of(text + "\n").events_of(kind)
    assert event.ref.line == 1
    if kind == "newly-initialized":
        assert event.data["count"] == 2
    if kind in ("resume", "checkpoint"):
        assert event.step == {"resume": 40, "checkpoint": 500}[kind]


def test_hostile_lines_end() -> None:
    for text in ("{'a': " + " " * 200_000, "{'loss': x(" * 20_000, "{'" * 100_000, "{'loss': 1.0, 'a': '" + "\\" * 100_000):
        run_of(text + "\n")


def test_a_line_of_dicts_without_end_is_read_in_part_and_a_problem_says_so() -> None:
    run = run_of("{'loss': 1.5, 'epoch': 0.5}" * 4000 + "{'loss': 2.5, " * 5000)
    assert len(points(run, "loss")) == 4000
    assert [problem.reason for problem in run.problems] == ["a line of more than 4,000 dicts: the others were passed over."]
