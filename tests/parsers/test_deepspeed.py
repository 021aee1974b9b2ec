"""DeepSpeed's lines of every generation."""

from __future__ import annotations

import math

import pytest

from tests.parsers.logs import facts_of, points, run_of, steps

HEAD = "[2023-12-08 10:10:41,002] [INFO] [loss_scaler.py:183:update_scale] "
DIST = "[2023-12-08 10:10:49,003] [INFO] [logging.py:96:log_dist] [Rank 0] "


def test_the_step_report() -> None:
    run = run_of(
        f"{DIST}step=0, skipped=0, lr=[5e-06], mom=[(0.9, 0.999)]\n"
        f"{DIST}step=10, skipped=4, lr=[5e-06, 1e-05], mom=[[0.9, 0.999], [0.9, 0.999]]\n"
        f"{DIST}step=20, skipped=4, lr=[4e-06, 8e-06], mom=[[0.9, 0.999], [0.9, 0.999]]\n"
    )
    assert points(run, "skipped_steps") == [(10, 4.0), (20, 4.0)] and points(run, "lr") == [(10, 5e-6), (20, 4e-6)]
    assert run.step_source == "printed"


def test_two_engines_are_told_apart() -> None:
    run = run_of(
        "".join(f"{DIST}step={s}, skipped={k}, lr=[{lr}], mom=[0.9]\n" for s in (1, 2) for k, lr in ((0, 1e-5), (3, 5e-6)))
    )
    assert points(run, "skipped_steps") == [(1, 0.0), (2, 0.0)] and points(run, "2/skipped_steps") == [(1, 3.0), (2, 3.0)]


@pytest.mark.parametrize(
    ("text", "scale", "lowered", "left"),
    [
        (HEAD + "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, reducing to 32768", 65536, 32768, None),
        ("[2021-06-01 08:00:10,001] [INFO] [stage2.py:1386:step] [deepscale] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: "
         "4294967296, reducing to 2147483648.0", 2**32, 2**31, None),
        (HEAD + "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 65536, but hysteresis is 2. Reducing hysteresis to 1",
         65536, None, 1),
        (HEAD + "[deepspeed] OVERFLOW! Rank 0 Skipping step.", math.nan, None, None),
        ("[2026-11-24 02:00:00,000] [WARNING] [engine.py:1:step] [deepspeed] OVERFLOW! Skipping step. Gradients are non-finite, weights "
         "were not updated.", math.nan, None, None),
        (DIST + "Overflow detected. Skipping step. Attempted loss scale: 32768.0, reducing to 16384.0", 32768, 16384, None),
        ("Attempted loss scale: 1.0, reducing to 1", 1, 1, None),
        ("  1%|▏         | 1/80 [00:02<02:39]" + HEAD + "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 2, reducing to 1",
         2, 1, None),
    ],
)  # fmt: skip
def test_every_overflow_text_is_one_skip(text: str, scale: float, lowered: float | None, left: float | None) -> None:
    run = run_of(text + "\n")
    (value,) = (value for _, value in points(run, "overflow"))
    assert value == scale or (math.isnan(value) and math.isnan(scale))
    assert [value for _, value in points(run, "loss_scale")] == ([] if lowered is None else [lowered])
    assert [value for _, value in points(run, "overflow_hysteresis")] == ([] if left is None else [left])


def test_three_lines_of_stage_0_are_one_skip_and_ranks_do_not_count_twice() -> None:
    fused = "[2022-05-01 08:00:21,000] [INFO] [fused_optimizer.py:384:_update_scale] "
    one = "\nGrad overflow on iteration {0}\n" * 2 + (fused + "Reducing dynamic loss scale from {1} to {2}\n") * 2
    three = fused + "[deepspeed] fp16 dynamic loss scale overflow! Skipping step. Attempted loss scale: {1}, reducing to {2}\n"
    run = run_of((one + three).format(0, 65536, 32768.0) + (one + three).format(1, 32768.0, 16384.0))
    assert points(run, "overflow") == [(1, 65536.0), (2, 32768.0)] and points(run, "loss_scale") == [(1, 32768.0), (2, 16384.0)]


def test_scale_one_is_a_skip_each_time() -> None:
    text = "Grad overflow on iteration {}\n[INFO] Reducing dynamic loss scale from 1 to 1\n"
    assert steps(run_of(text.format(5) + text.format(6)), "overflow") == [6, 7]


def test_no_grad_overflow_is_no_skip_and_the_scale_goes_up() -> None:
    run = run_of("No Grad overflow for 1000 iterations\nIncreasing dynamic loss scale from 512.0 to 1024.0\n" * 2)
    assert not points(run, "overflow") and [value for _, value in points(run, "loss_scale")] == [1024.0]


def test_skips_between_reports_get_their_own_steps() -> None:
    skip = HEAD + "[deepspeed] OVERFLOW! Rank 0 Skipping step. Attempted loss scale: 8, reducing to 4\n"
    report = DIST + "step={}, skipped=2, lr=[1e-05], mom=[0.9]\n"
    assert steps(run_of(skip * 2 + report.format(10) + skip * 3 + report.format(20)), "overflow") == [1, 2, 11, 12, 13]


def test_the_scaler_gives_up() -> None:
    (event,) = run_of(
        "Exception: Current loss scale already at minimum - cannot decrease scale anymore. Exiting run.\n"
    ).events_of("scale-minimum")
    assert event.ref.line == 1


def test_debug_overflow_and_cache_flushes() -> None:
    run = run_of(
        "rank 3 detected overflow nan in tensor 1:7 shape torch.Size([4])\n"
        "[2026-03-01 10:00:00,000] [WARNING] [stage3.py:2290:step] 3 pytorch allocator cache flushes since last step. this happens\n"
    )
    (overflow,), (flush,) = run.events_of("overflow"), run.events_of("allocator-flush")
    assert overflow.rank == 3 and flush.data["count"] == 3


def test_throughput_of_each_generation() -> None:
    new = (
        "[2023-12-08 10:10:49,004] [INFO] [timer.py:260:stop] epoch=0/micro_step=10/global_step=10, RunningAvgSamplesPerSec=31.417, "
        "CurrSamplesPerSec=32.001, MemAllocated=13.21GB, MaxMemAllocated=31.02GB\n"
    )
    run = run_of(new)
    assert points(run, "throughput_samples") == [(10, 32.001)] and points(run, "memory_gpu") == [(10, 13.21)]
    old = run_of("[2021-06-01 08:00:20,001] [INFO] [timer.py:154:stop] 0/20, SamplesPerSec=123.4\n")
    assert [value for _, value in points(old, "throughput_samples")] == [123.4]
    resumed = run_of(f"{DIST}step=110, skipped=0, lr=[1e-05], mom=[0.9]\n" + new)
    assert points(resumed, "throughput_samples") == [(110, 32.001)]


def test_memory_with_and_without_prefix_and_timers() -> None:
    run = run_of(
        "[2026-11-24 02:40:42,023] [INFO] [utils.py:782:see_memory_usage] MA 0.38 GB         Max_MA 0.39 GB         CA 0.4 GB     "
        "    Max_CA 0 GB \nMA 13.38 GB         Max_MA 13.38 GB         CA 14.0 GB         Max_CA 14 GB \n"
        "CPU Virtual Memory:  used = 61.36 GB, percent = 5.8%\n"
        "[Rank 0] time (ms) | fwd: 31.00 | bwd: 62.00 | bwd_inner: 55.00 | bwd_allreduce: 7.10 | step: 7.00\n"
        "[Rank 0] time (ms) | fwd_microstep: 11.60 | bwd_microstep: 7.10\n"
    )
    assert [value for _, value in points(run, "memory_gpu")] == [0.38, 13.38]
    assert [value for _, value in points(run, "memory_host")] == [61.36]
    assert [value for _, value in points(run, "step_time")] == pytest.approx([0.1])


def test_the_pipeline_engine() -> None:
    run = run_of("steps: 10 loss: 2.3456 iter time (s): 0.123 samples/sec: 65.041\n")
    assert points(run, "loss") == [(10, 2.3456)] and points(run, "throughput_samples") == [(10, 65.041)]


def test_version_config_and_json_block() -> None:
    config = "[2023-12-08 10:10:22,001] [INFO] [config.py:984:print]   "
    facts = facts_of(
        f"{DIST}DeepSpeed info: version=0.12.3, git-hash=unknown, git-branch=unknown\n"
        f"{DIST}Creating torch.bfloat16 ZeRO stage 2 optimizer\n"
        f"{config}activation_checkpointing_config  {{\n    \"partition_activations\": false, \n    \"profile\": false\n}}\n"
        f"{config}gradient_clipping ............ 1.0\n"
        f"{config}train_micro_batch_size_per_gpu  4\n"
        f"{config}world_size ................... 8\n"
        f"{config}zero_config .................. stage=2 contiguous_gradients=True reduce_bucket_size=500,000,000 overlap_comm=True "
        "offload_optimizer=DeepSpeedZeroOffloadOptimizerConfig(device='cpu', nvme_path=None) sub_group_size=1,000,000,000\n"
        "[2023-12-08 10:10:22,001] [INFO] [config.py:970:print_user_config]   json = {\n"
        '    "train_batch_size": 3.200000e+04, \n    "steps_per_print": inf, \n'
        "[2023-12-08 10:10:22,001] [INFO] [utils.py:1:main] a line of another rank\n"
        '    "bf16": {\n        "enabled": true\n    }, \n    "optimizer": {\n        "params": {\n            "betas": [\n'
        "                0.9, \n                0.95\n            ]\n        }\n    }\n}\n"
    )  # fmt: skip
    assert facts["package:deepspeed"] == "0.12.3" and facts["run:deepspeed_line_fingerprint"] == "0.9.2-0.14.5"
    assert facts["config:zero_optimization.stage"] == 2 and facts["config:zero_optimization.overlap_comm"] is True
    assert facts["config:zero_optimization.reduce_bucket_size"] == 500_000_000
    assert facts["config:zero_optimization.offload_optimizer.device"] == "cpu"
    assert facts["config:bf16.enabled"] is True and facts["config:gradient_clipping"] == 1.0
    assert facts["config:train_batch_size"] == 32000 and facts["config:optimizer.params.betas"] == "[0.9, 0.95]"
    assert facts["config:activation_checkpointing.profile"] is False and facts["run:world_size"] == 8


def test_the_launcher() -> None:
    facts = facts_of(
        "[2023-12-08 10:10:00,530] [INFO] [runner.py:570:main] cmd = /usr/bin/python3 -u -m deepspeed.launcher.launch "
        "--world_info=eyJsb2NhbGhvc3QiOiBbMCwgMV19 --master_addr=127.0.0.1 --enable_each_rank_log=None llava/train/train_mem.py "
        "--deepspeed ./scripts/zero2.json --bf16 True --learning_rate 2e-5 --logging_steps 1\n"
    )
    assert facts["run:world_size"] == 2 and facts["run:script"] == "llava/train/train_mem.py"
    assert facts["arg:bf16"] is True and facts["arg:learning_rate"] == 2e-5 and facts["arg:deepspeed"] == "./scripts/zero2.json"
    assert facts["project:name"] == "llava" and facts["config:zero_optimization.overlap_comm"] is True
    failed = facts_of(
        "[2023-12-08 10:20:59,201] [ERROR] [launch.py:321:sigkill_handler] ['/usr/bin/python3', '-u', 'train.py', '--local_rank=1', "
        "'--deepspeed', 'ds.json', '--lr', '2e-5'] exits with return code = 1\n"
    )
    assert failed["run:script"] == "train.py" and failed["arg:learning_rate"] == 2e-5


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("WARNING: tokenization mismatch: 1 vs. 62. (ignored)", 1.0),
        ("WARNING: tokenization mismatch: 1 vs. 62. (ignored)WARNING: tokenization mismatch: 1 vs. 8. #turn = 3. (ignored)", 2.0),
        ("/x/trl/trainer/utils.py:1: UserWarning: Could not find response key `### Response:` in the following instance: a", 1.0),
    ],
)
def test_masked_targets_are_counted(text: str, count: float) -> None:
    assert [value for _, value in points(run_of(text + "\n"), "labels_masked")] == [count]


def test_apex_skips() -> None:
    run = run_of("Gradient overflow.  Skipping step, loss scaler 0 reducing loss scale to 32768.0\n" * 2)
    assert [value for _, value in points(run, "loss_scale")] == [32768.0] * 2 and steps(run, "overflow") == [1, 2]
