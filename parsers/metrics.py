"""Names of metrics: what frameworks call them → the contract's names.

`canonical(name)` gives the contract's name, or the name as logged where the contract has none. The logged name is
kept beside it in `Series.name`. To teach a new spelling add it to `_NAMES`.
"""

from __future__ import annotations

from typing import Final

LOSS: Final = "loss"
EVAL_LOSS: Final = "eval_loss"
GRAD_NORM: Final = "grad_norm"
LR: Final = "lr"
LOSS_SCALE: Final = "loss_scale"
SKIPPED_STEPS: Final = "skipped_steps"
NAN_STEPS: Final = "nan_steps"
THROUGHPUT_SAMPLES: Final = "throughput_samples"
THROUGHPUT_TOKENS: Final = "throughput_tokens"
STEP_TIME: Final = "step_time"
MEMORY_GPU: Final = "memory_gpu"
MEMORY_HOST: Final = "memory_host"
EPOCH: Final = "epoch"
ACCURACY: Final = "accuracy"
EVAL_ACCURACY: Final = "eval_accuracy"

# Ours beyond the contract: messages that come in masses are counted as samples, so that a million cost no more.
OVERFLOW: Final = "overflow"
"""One point a skipped step; the value is the loss scale that was attempted (NaN where it was not printed)."""
HYSTERESIS: Final = "overflow_hysteresis"
"""One point an overflow that used up hysteresis and left the scale alone; the value is the hysteresis left."""
LABELS_MASKED: Final = "labels_masked"
"""One point a message that a sample's targets were masked or truncated away; the value counts samples."""

UNITS: Final = {
    LOSS: "nats", EVAL_LOSS: "nats", GRAD_NORM: "", LR: "", LOSS_SCALE: "", SKIPPED_STEPS: "steps", NAN_STEPS: "steps",
    THROUGHPUT_SAMPLES: "samples/s", THROUGHPUT_TOKENS: "tokens/s", STEP_TIME: "s", MEMORY_GPU: "GiB",
    MEMORY_HOST: "GiB", EPOCH: "epochs", ACCURACY: "", EVAL_ACCURACY: "",
}  # fmt: skip

_NAMES: Final = {
    "loss": LOSS, "train/loss": LOSS, "train_loss": LOSS, "training_loss": LOSS, "lm loss": LOSS, "lm_loss": LOSS,
    "train/train_loss": "train_loss_summary", "reduced_train_loss": LOSS, "train loss": LOSS, "loss/train": LOSS,
    "train/samples/train_loss": LOSS, "lm-loss-training/lm loss": LOSS, "loss_metrics/global_avg_loss": LOSS,
    "learning/loss": LOSS, "epoch_loss": LOSS, "training/loss": LOSS, "train/ce_loss": LOSS, "train_loss_step": LOSS,
    "train/loss_step": LOSS, "loss/train/total": LOSS, "train/crossentropyloss": LOSS, "global_avg_loss": LOSS,
    "avg_train_loss": LOSS, "gpt_loss": LOSS, "total_loss": LOSS, "total loss": LOSS, "avg_loss": LOSS, "avg loss": LOSS,
    "batch_loss": LOSS, "step_loss": LOSS, "training loss": LOSS, "train/total_loss": LOSS, "loss/total": LOSS,
    "train/ce loss": LOSS, "average loss": LOSS, "mean_loss": LOSS, "train_ce_loss": LOSS,
    "eval_loss": EVAL_LOSS, "eval/loss": EVAL_LOSS, "val_loss": EVAL_LOSS, "val loss": EVAL_LOSS, "val/loss": EVAL_LOSS,
    "valid_loss": EVAL_LOSS, "validation_loss": EVAL_LOSS, "test_loss": EVAL_LOSS, "loss/val": EVAL_LOSS,
    "lm loss validation": EVAL_LOSS, "validation loss": EVAL_LOSS, "valid/loss": EVAL_LOSS, "loss/valid": EVAL_LOSS,
    "validation/loss": EVAL_LOSS, "val_loss_epoch": EVAL_LOSS, "train/samples/eval_loss": EVAL_LOSS,
    "eval_lm loss value": EVAL_LOSS, "eval_avg_loss": EVAL_LOSS, "eval_average loss": EVAL_LOSS, "eval_total_loss": EVAL_LOSS,
    "test loss": EVAL_LOSS, "valid loss": EVAL_LOSS, "eval loss": EVAL_LOSS, "evaluation_loss": EVAL_LOSS, "dev_loss": EVAL_LOSS,
    "dev loss": EVAL_LOSS, "eval_dev_loss": EVAL_LOSS, "eval_dev loss": EVAL_LOSS, "eval_avg loss": EVAL_LOSS,
    "metrics/eval/languagecrossentropy": EVAL_LOSS, "eval_metrics/eval/languagecrossentropy": EVAL_LOSS,
    "eval/lm/crossentropyloss": EVAL_LOSS, "eval_lm_loss": EVAL_LOSS, "val_ce_loss": EVAL_LOSS,
    "grad_norm": GRAD_NORM, "train/grad_norm": GRAD_NORM, "grad norm": GRAD_NORM, "grad-norm": GRAD_NORM,
    "gnorm": GRAD_NORM, "grad-norm/grad-norm": GRAD_NORM, "gradient_norm": GRAD_NORM, "learning/grad_norm": GRAD_NORM,
    "actor/grad_norm": "actor/grad_norm", "train/global_grad_norm": GRAD_NORM, "global_grad_norm": GRAD_NORM,
    "total_norm": GRAD_NORM, "optim/total_grad_norm": GRAD_NORM, "gradnorm": GRAD_NORM,
    "gradient norm": GRAD_NORM, "optim/total grad norm": GRAD_NORM, "l2_norm/grad/global": GRAD_NORM, "train/gnorm": GRAD_NORM,
    "train/grad norm": GRAD_NORM, "train_grad_norm": GRAD_NORM,
    "learning_rate": LR, "train/learning_rate": LR, "lr": LR, "learning rate": LR, "learning-rate": LR,
    "train/lr": LR, "train/samples/lr": LR, "learning-rate/learning-rate": LR, "lr-adamw": LR, "lr/group0": LR,
    "optim/learning_rate_group0": LR, "optim/lr": LR, "lr-adam": LR, "lr-sgd": LR, "lr-adamw/pg1": LR, "lr-adam/pg1": LR,
    "lr-decoupledadamw/group0": LR, "lr-decoupledlionw/group0": LR, "lr/group_0": LR, "lr/pg0": LR, "current_lr": LR,
    "train_lr": LR, "optim/lr (group 0)": LR, "learning_rate/group0": LR,
    "loss_scale": LOSS_SCALE, "loss scale": LOSS_SCALE, "loss-scale": LOSS_SCALE, "loss-scale/loss-scale": LOSS_SCALE,
    "train/samples/loss_scale": LOSS_SCALE, "train/loss_scale": LOSS_SCALE, "grad_scale": LOSS_SCALE,
    "skipped": SKIPPED_STEPS, "skipped_steps": SKIPPED_STEPS, "number of skipped iterations": SKIPPED_STEPS,
    "nan_steps": NAN_STEPS, "number of nan iterations": NAN_STEPS,
    "samples/sec": THROUGHPUT_SAMPLES, "samples per second": THROUGHPUT_SAMPLES, "samples_per_second": THROUGHPUT_SAMPLES,
    "throughput_samples": THROUGHPUT_SAMPLES, "currsamplespersec": THROUGHPUT_SAMPLES,
    "tokens/sec": THROUGHPUT_TOKENS, "tps": THROUGHPUT_TOKENS, "wps": THROUGHPUT_TOKENS, "throughput(tps)": THROUGHPUT_TOKENS,
    "tokens per second": THROUGHPUT_TOKENS, "throughput_tokens": THROUGHPUT_TOKENS, "tokens/s/device": THROUGHPUT_TOKENS,
    "tokens per gpu per second": THROUGHPUT_TOKENS, "tokens_per_second": THROUGHPUT_TOKENS,
    "throughput/device/tokens_per_second": THROUGHPUT_TOKENS, "throughput/device/tokens_per_sec": THROUGHPUT_TOKENS,
    "tok/s": THROUGHPUT_TOKENS, "tok/sec": THROUGHPUT_TOKENS, "tokens per gpu per second (tgs)": THROUGHPUT_TOKENS,
    "samples/s": THROUGHPUT_SAMPLES, "throughput/samples_per_sec": THROUGHPUT_SAMPLES,
    "step_time": STEP_TIME, "iteration-time": STEP_TIME, "perf/step_time_seconds": STEP_TIME,
    "memory_gpu": MEMORY_GPU, "memory(gib)": MEMORY_GPU, "memory/max_active(gib)": MEMORY_GPU, "memory_host": MEMORY_HOST,
    "memory/peak_reserved_mem": MEMORY_GPU, "max_memory(gib)": MEMORY_GPU,
    "epoch": EPOCH, "train/epoch": EPOCH,
    "accuracy": ACCURACY, "train/accuracy": ACCURACY, "acc": ACCURACY, "train_acc": ACCURACY, "token_acc": ACCURACY,
    "mean_token_accuracy": ACCURACY, "train/mean_token_accuracy": ACCURACY, "train_accuracy": ACCURACY,
    "train/acc": ACCURACY, "train accuracy": ACCURACY, "train acc": ACCURACY, "training_accuracy": ACCURACY,
    "sparse_categorical_accuracy": ACCURACY, "categorical_accuracy": ACCURACY, "binary_accuracy": ACCURACY,
    "eval_acc": EVAL_ACCURACY, "val acc": EVAL_ACCURACY, "val/acc": EVAL_ACCURACY, "test_acc": EVAL_ACCURACY,
    "test_accuracy": EVAL_ACCURACY, "test accuracy": EVAL_ACCURACY, "validation_accuracy": EVAL_ACCURACY,
    "valid_accuracy": EVAL_ACCURACY, "eval_accuracy/top1": EVAL_ACCURACY, "metrics/accuracy_top1": EVAL_ACCURACY,
    "val_sparse_categorical_accuracy": EVAL_ACCURACY, "val_binary_accuracy": EVAL_ACCURACY,
    "eval_accuracy": EVAL_ACCURACY, "eval/accuracy": EVAL_ACCURACY, "val_acc": EVAL_ACCURACY, "val_accuracy": EVAL_ACCURACY,
    "eval_mean_token_accuracy": EVAL_ACCURACY, "eval/mean_token_accuracy": EVAL_ACCURACY, "val/accuracy": EVAL_ACCURACY,
    # Tags of event files (the folder's split stands in front: `validation/` gives `eval_…`).
    "loss/validation": EVAL_LOSS, "loss/eval": EVAL_LOSS, "loss/test": EVAL_LOSS, "loss_val": EVAL_LOSS,
    "lm-loss-validation/lm loss validation": EVAL_LOSS, "eval_epoch_loss": EVAL_LOSS, "validation_metrics/loss": EVAL_LOSS,
    "validation_metrics/global_avg_loss": EVAL_LOSS, "loss/training": LOSS, "loss_train": LOSS,
    "epoch_learning_rate": LR, "learning/current_learning_rate": LR, "lr-sgd/pg1": LR,
    "gradients/total_norm": GRAD_NORM, "grad/norm": GRAD_NORM, "grad_2.0_norm_total": GRAD_NORM,
    "iteration-time/iteration-time": STEP_TIME, "time_metrics/end_to_end(s)": STEP_TIME, "train_step_timing in s": STEP_TIME,
    "perf/time_per_step": STEP_TIME, "perf/throughput": THROUGHPUT_TOKENS, "tokens_per_second_per_gpu": THROUGHPUT_TOKENS,
    "perf/max_memory_allocated_gb": MEMORY_GPU, "perf/cpu_memory_used_gb": MEMORY_HOST, "train/memory(gib)": MEMORY_GPU,
    "peak_memory_active": MEMORY_GPU, "training/epoch": EPOCH,
    "trainiterstats/loss": LOSS, "trainiterstats/current_lr": LR, "trainiterstats/grad_norm": GRAD_NORM,
    "trainiterstats/step_time": STEP_TIME, "trainiterstats/amp_scaler": LOSS_SCALE, "evalstats/avg_loss": EVAL_LOSS,
    "train/token_acc": ACCURACY, "eval/token_acc": EVAL_ACCURACY, "eval_token_acc": EVAL_ACCURACY,
    "metrics/train/multiclassaccuracy": ACCURACY, "eval_metrics/eval/multiclassaccuracy": EVAL_ACCURACY,
    "metrics/eval/multiclassaccuracy": EVAL_ACCURACY, "metrics/eval/crossentropy": EVAL_LOSS,
    "eval_metrics/eval/crossentropy": EVAL_LOSS,
    "epoch_accuracy": ACCURACY, "epoch_acc": ACCURACY, "accuracy/train": ACCURACY, "acc/train": ACCURACY,
    "eval_epoch_accuracy": EVAL_ACCURACY, "eval_epoch_acc": EVAL_ACCURACY, "accuracy/val": EVAL_ACCURACY,
    "accuracy/validation": EVAL_ACCURACY, "accuracy/test": EVAL_ACCURACY, "acc/val": EVAL_ACCURACY,
}  # fmt: skip


def canonical(name: str) -> str:
    """The contract's name of a logged metric, or `name` itself."""
    known = _NAMES.get(name) or _NAMES.get(name.lower())
    if known:
        return known
    return LR if name.startswith("lr-") and name.endswith("/group0") else name  # Composer: `lr-<optimizer>/group0`
