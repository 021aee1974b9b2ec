"""Event files as a user sees them: metrics, steps, splits, restarts, arguments, evidence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from parsers import Run, kinds, read
from tests.parsers import events as e
from tests.parsers.runs import points


def run_of(*paths: Path) -> Run:
    return read(list(paths), strict=True)


def curve(tag: str, *steps: int, value: float = 1.0, at: float = 0.0) -> bytes:
    return b"".join(e.scalar(tag, step, value, time=e.TIME + at + step) for step in steps)


def test_trainer_tags_become_the_contracts_metrics(tmp_path: Path) -> None:
    nan = float("nan")
    records = [
        e.scalar("train/loss", 10, 0.0), e.scalar("train/grad_norm", 10, nan), e.scalar("train/learning_rate", 10, 1e-5),
        e.scalar("train/epoch", 10, 0.5), e.scalar("eval/loss", 10, 2.0), e.scalar("eval/accuracy", 10, 0.25),
    ]  # fmt: skip
    run = run_of(e.write(tmp_path, e.version(), *records))
    assert run.readers == ("tensorboard",) and run.step_source == "printed" and run.problems == ()
    assert points(run, "loss") == [(10, 0.0)] and points(run, "eval_loss") == [(10, 2.0)]
    assert points(run, "eval_accuracy") == [(10, 0.25)] and points(run, "epoch") == [(10, 0.5)]
    assert math.isnan(points(run, "grad_norm")[0][1])
    loss = run.series("loss")
    assert loss and loss.name == "train/loss" and loss.times[0] == e.TIME + 10
    ref = loss.ref(0)
    assert ref.line == 2 and ref.text == "train/loss = 0 at step 10", "the second record, and what it says"


@pytest.mark.parametrize(
    ("tag", "metric"),
    [
        ("Train/Samples/loss_scale", "loss_scale"), ("lm loss", "loss"), ("lm loss validation", "eval_loss"),
        ("lm-loss-training/lm loss", "loss"), ("lm-loss-validation/lm loss validation", "eval_loss"), ("grad-norm", "grad_norm"),
        ("learning-rate/learning-rate", "lr"), ("loss_metrics/global_avg_loss", "loss"), ("memory/max_active(GiB)", "memory_gpu"),
        ("time_metrics/end_to_end(s)", "step_time"), ("reduced_train_loss", "loss"), ("train_step_timing in s", "step_time"),
        ("Loss/Train", "loss"), ("Loss/Validation", "eval_loss"), ("learning/loss", "loss"), ("perf/step_time_seconds", "step_time"),
        ("train_loss_step", "loss"), ("val_loss", "eval_loss"), ("epoch_loss", "loss"), ("batch_loss", "loss"),
        ("perf/max_memory_allocated_gb", "memory_gpu"), ("actor/grad_norm", "actor/grad_norm"), ("valid/loss", "eval_loss"),
        ("TrainIterStats/loss", "loss"), ("TrainIterStats/current_lr", "lr"), ("EvalStats/avg_loss", "eval_loss"),
        ("train/token_acc", "accuracy"), ("eval/token_acc", "eval_accuracy"), ("train_inner/loss", "train_inner/loss"),
    ],
)  # fmt: skip
def test_tags_of_other_frameworks(tmp_path: Path, tag: str, metric: str) -> None:
    run = run_of(e.write(tmp_path, e.version(), curve(tag, 1, 2)))
    assert [(track.metric, track.name) for track in run.tracks] == [(metric, tag)]


def test_the_deepspeed_monitor_counts_samples(tmp_path: Path) -> None:
    records = [e.version()]
    for step in range(5):
        records.append(e.scalar("Train/Samples/train_loss", step * 8, step))  # before the step
        records += [e.scalar("Train/Samples/lr", step * 8 + 8, step), e.scalar("Train/Samples/loss_scale", step * 8 + 8, 1.0)]
    run = run_of(e.write(tmp_path, *records))
    assert points(run, "loss") == points(run, "lr") == [(step + 1, float(step)) for step in range(5)]
    fact = run.environment.get("run:train_batch_size")
    assert fact and fact.value == 8 and fact.is_implied and "8 samples apart" in fact.ref.text
    alone = run_of(e.write(tmp_path / "b", e.version(), e.scalar("Train/Samples/lr", 64, 0.1)))
    assert points(alone, "lr") == [(1, pytest.approx(0.1))]


def test_megatrons_curves_over_samples_and_tokens_have_steps(tmp_path: Path) -> None:
    records = [e.version()]
    for step in (1, 2, 3):
        records += [e.scalar("lm loss", step, 1.0), e.scalar("lm loss vs samples", step * 32, 1.0)]
        records += [
            e.scalar("grad-norm vs tokens", step * 8192, 1.0),
            e.scalar("steps-vs-samples/y=steps,x=samples", step * 32, step),
        ]
    run = run_of(e.write(tmp_path, *records))
    assert {tuple(track.steps) for track in run.tracks} == {(1, 2, 3)} and run.last_step == 3


def test_folders_of_splits(tmp_path: Path) -> None:
    train = e.write(tmp_path / "train", e.version(), curve("epoch_loss", 0, 1, value=2.0))
    valid = e.write(tmp_path / "validation", e.version(), curve("epoch_loss", 0, 1, value=3.0), curve("epoch_accuracy", 0))
    test = e.write(tmp_path / "test", e.version(), curve("loss", 0, value=4.0))
    run = run_of(train, valid)
    assert points(run, "loss") == [(0, 2.0), (1, 2.0)] and points(run, "eval_loss") == [(0, 3.0), (1, 3.0)]
    assert points(run, "eval_accuracy") == [(0, 1.0)]
    assert points(run_of(test), "eval_loss") == [(0, 4.0)], "a test folder beside train/"
    lonely = e.write(tmp_path / "elsewhere" / "test", e.version(), curve("loss", 0, value=4.0))
    assert points(run_of(lonely), "loss") == [(0, 4.0)], "a run that is called test"


@pytest.mark.parametrize("layout", ["Loss_{}", "Loss/{}"], ids=["torch", "tensorboardX"])
def test_folders_of_add_scalars(tmp_path: Path, layout: str) -> None:
    whole = e.write(tmp_path, e.version(), curve("lr", 1))
    train = e.write(tmp_path / layout.format("train"), e.version(), curve("Loss", 1, value=2.0))
    valid = e.write(tmp_path / layout.format("val"), e.version(), curve("Loss", 1, value=3.0))
    run = run_of(whole, train, valid)
    assert points(run, "loss") == [(1, 2.0)] and points(run, "eval_loss") == [(1, 3.0)]


def test_a_resumed_run_is_one_curve_of_two_files(tmp_path: Path) -> None:
    first = e.write(tmp_path, e.version(), curve("loss", *range(10)), name="events.out.tfevents.1.a")
    then = e.write(tmp_path, e.version(), e.start(5), curve("loss", *range(5, 12), at=100), name="events.out.tfevents.2.a")
    run = run_of(first, then)
    loss = run.series("loss")
    assert loss and len(run.tracks) == 1 and list(loss.steps) == [*range(10), *range(5, 12)]
    assert list(loss.segments) == [0] * 10 + [1] * 7 and run.segments == 2
    assert loss.ref(9).file == str(first) and loss.ref(10).file == str(then) == loss.ref(-1).file and loss.ref(10).line == 3
    assert [(event.kind, event.step) for event in run.events] == [(kinds.RESUME, 5)]


def test_writers_of_the_same_time_stay_apart(tmp_path: Path) -> None:
    ranks = [e.write(tmp_path, e.version(), curve("loss", *range(9)), name=f"events.out.tfevents.1.{n}") for n in range(2)]
    run = run_of(*ranks)
    assert [len(track) for track in run.all_series("loss")] == [9, 9] and run.segments == 1


def test_a_restart_within_a_file_is_a_segment(tmp_path: Path) -> None:
    run = run_of(e.write(tmp_path, e.version(), curve("loss", 1, 2, 3), e.start(3), curve("loss", 3, 4)))
    loss = run.series("loss")
    assert loss and list(loss.segments) == [0, 0, 0, 1, 1], "the void point is kept, the new one begins a segment"


def test_training_arguments_and_model_configuration_are_facts(tmp_path: Path) -> None:
    args = {"max_steps": 40, "bf16": True, "learning_rate": 5e-5, "deepspeed": {"zero_optimization": {"stage": 2}}, "optim": None}
    model = {"vocab_size": 32000, "architectures": ["LlamaForCausalLM"], "transformers_version": "4.44.2"}
    run = run_of(
        e.write(tmp_path, e.version(), e.text("args", json.dumps(args)), e.text("model_config", json.dumps(model, indent=1)))
    )
    value = run.environment.value
    assert (value("arg:max_steps"), value("arg:bf16"), value("arg:learning_rate")) == (40, True, 5e-5)
    assert value("config:zero_optimization.stage") == 2 and value("model:vocab_size") == 32000
    assert value("package:transformers") == "4.44.2" and run.planned_steps == 40
    fact = run.environment.get("arg:max_steps")
    assert fact and fact.weight == 2 and fact.ref.line == 2 and fact.ref.text == "max_steps = 40"


def test_many_words_are_a_programs_arguments_and_a_few_are_not(tmp_path: Path) -> None:
    texts = [e.text(f"option_{number}", str(number)) for number in range(30)]
    assert run_of(e.write(tmp_path, e.version(), *texts)).environment.value("arg:option_7") == 7
    assert len(run_of(e.write(tmp_path, e.version(), *texts[:3])).environment) == 0


def test_broken_json_is_no_fact_and_no_error(tmp_path: Path) -> None:
    run = run_of(e.write(tmp_path, e.version(), e.text("args", '{"max_steps": '), e.text("args", "{" * 5000), curve("loss", 1)))
    assert len(run.environment) == 0 and run.failures == ()


def test_hyperparameters_are_facts(tmp_path: Path) -> None:
    data = HParamsPluginData()
    data.session_start_info.hparams["lr"].number_value = 0.001
    data.session_start_info.hparams["batch"].number_value = 8
    data.session_start_info.hparams["model"].string_value = "tiny"
    data.session_start_info.hparams["amp"].bool_value = True
    item = Summary.Value(tag="_hparams_/session_start_info")
    item.metadata.plugin_data.plugin_name = "hparams"
    item.metadata.plugin_data.content = data.SerializeToString()
    value = run_of(e.write(tmp_path, e.version(), e.values(0, item))).environment.value
    assert (value("arg:lr"), value("arg:batch"), value("arg:model"), value("arg:amp")) == (0.001, 8, "tiny", True)


def test_the_trainers_summary_is_the_end_of_the_run(tmp_path: Path) -> None:
    run = run_of(e.write(tmp_path, e.version(), curve("train/loss", 1, 2), curve("train/train_runtime", 2, value=7.0)))
    (end,) = run.events
    assert end.kind == kinds.RUN_END and end.step == 2 and end.data["train_runtime"] == 7.0 and end.ref.line == 4


def test_it_is_known_by_its_bytes_and_by_its_name(tmp_path: Path) -> None:
    data = (e.version(), curve("loss", 1))
    assert points(run_of(e.write(tmp_path, *data, name="metrics.bin")), "loss") == [(1, 1.0)]
    damaged = e.write(tmp_path, b"\0" * 12, *data)
    assert points(run_of(damaged), "loss") == [(1, 1.0)] and len(run_of(damaged).problems) == 1
    text = tmp_path / "tfevents.log"
    text.write_text("{'loss': 1.0, 'learning_rate': 1e-05, 'epoch': 0.1}\n", encoding="utf-8")
    assert "tensorboard" not in run_of(text).readers


def test_a_file_without_records_holds_nothing(tmp_path: Path) -> None:
    run = run_of(e.write(tmp_path, e.version()))
    assert not run.is_understood and run.problems == ()
