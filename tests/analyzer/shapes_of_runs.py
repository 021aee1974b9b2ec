"""Invented runs of nasty shapes: healthy ones that look ill, and ill ones that look well. Each is a log's text.

A shape is a function of a random source; tests draw several of each. Values are what the frameworks print: the Trainer's
dict lines (four decimals), Megatron's iteration lines, `step N: loss X` prints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from random import Random
from typing import Any

Shape = Callable[[Random], str]
HEALTHY: dict[str, Shape] = {}
FAULTY: dict[str, tuple[Shape, frozenset[str], int | None]] = {}


def healthy(make: Shape) -> Shape:
    HEALTHY[make.__name__] = make
    return make


def faulty(*wanted: str, at: int | None = None) -> Callable[[Shape], Shape]:
    """One of `wanted` must be found; `at` is the record at which it begins (the step of record i is (i + 1) * 10)."""

    def add(make: Shape) -> Shape:
        FAULTY[make.__name__] = (make, frozenset(wanted), at)
        return make

    return add


def trainer(rows: Iterable[dict[str, Any]], every: int = 10, total: int | None = None) -> str:
    """The Trainer's log: a banner that states the plan, then a dict a line."""
    listed = list(rows)
    count = sum("eval_loss" not in row for row in listed)
    planned = total if total is not None else count * every
    head = f"***** Running training *****\n  Num Epochs = 1\n  Total optimization steps = {planned}\n"
    args = f"TrainingArguments(\nlogging_steps={every},\nmax_steps={planned},\n)\n"
    lines, step = [], 0
    for row in listed:
        step += 0 if "eval_loss" in row else every
        shown = {key: (value if isinstance(value, str) else _shown(key, value)) for key, value in row.items()}
        shown["epoch"] = round(step / max(planned, 1), 2)
        lines.append(str(shown))
    return args + head + "\n".join(lines) + "\n"


def _shown(key: str, value: float) -> float:
    return value if key == "learning_rate" else float(f"{value:.4f}")


def curve(random: Random, size: int, start: float, end: float, noise: float = 0.02, speed: float = 5.0) -> list[float]:
    """A loss that falls from start to end, noise in proportion to its level."""
    return [(end + (start - end) * math.exp(-speed * i / size)) * math.exp(random.gauss(0, noise)) for i in range(size)]


def cosine(size: int, peak: float = 2e-5, warm: int = 5) -> list[float]:
    return [
        peak * (i + 1) / warm if i < warm else peak * 0.5 * (1 + math.cos(math.pi * (i - warm + 1) / (size - warm)))
        for i in range(size)
    ]


def norms(random: Random, size: int, level: float = 1.5, noise: float = 0.25) -> list[float]:
    return [level * math.exp(random.gauss(0, noise)) * (1 + 3 * math.exp(-i / 8)) for i in range(size)]


def rows(losses: list[float], grads: list[float] | None = None, rates: list[float] | None = None) -> list[dict[str, Any]]:
    size = len(losses)
    grads = grads or [1.0 + 0.1 * math.sin(i * 1.7) for i in range(size)]
    rates = rates or cosine(size)
    return [{"loss": a, "grad_norm": b, "learning_rate": c} for a, b, c in zip(losses, grads, rates, strict=True)]


# ---- healthy -------------------------------------------------------------------------------------------------------------


@healthy
def plain(r: Random) -> str:
    return trainer(rows(curve(r, 200, 2.4, 1.1), norms(r, 200)))


@healthy
def batch_size_one(r: Random) -> str:
    return trainer(rows(curve(r, 600, 2.0, 1.2, 0.5), norms(r, 600, 3.0, 0.7)), every=1)


@healthy
def batch_size_one_with_hard_samples(r: Random) -> str:
    losses = [v * (r.uniform(2, 3.5) if r.random() < 0.03 else 1) for v in curve(r, 500, 1.8, 1.0, 0.4)]
    return trainer(rows(losses, norms(r, 500, 4.0, 0.9)), every=1)


@healthy
def heavy_tails(r: Random) -> str:
    losses = [v + 0.15 * min(abs(r.gauss(0, 1) / max(abs(r.gauss(0, 1)), 0.3)), 5) for v in curve(r, 400, 2.2, 1.3, 0.1)]
    return trainer(rows(losses, norms(r, 400)))


@healthy
def plateau(r: Random) -> str:
    return trainer(rows(curve(r, 500, 3.0, 1.8, 0.03, 60), norms(r, 500)))


@healthy
def starts_low_and_stays(r: Random) -> str:
    return trainer(rows(curve(r, 150, 0.34, 0.31, 0.08), norms(r, 150, 0.3)))


@healthy
def starts_very_low(r: Random) -> str:
    return trainer(rows(curve(r, 200, 0.03, 0.012, 0.3), norms(r, 200, 0.2, 0.6)))


@healthy
def learned_by_heart(r: Random) -> str:
    return trainer(rows([max(v, 0) for v in curve(r, 300, 1.5, 0.00002, 0.2, 12)], norms(r, 300, 0.1, 0.8)))


@healthy
def warm_restarts(r: Random) -> str:
    rates = [2e-4 * 0.5 * (1 + math.cos(math.pi * (i % 100) / 100)) for i in range(400)]
    losses = [v * (1 + 0.12 * math.exp(-(i % 100) / 12) * (i > 99)) for i, v in enumerate(curve(r, 400, 2.5, 1.2, 0.03))]
    return trainer(rows(losses, norms(r, 400), rates))


@healthy
def one_cycle(r: Random) -> str:
    rates = [4e-5 + (1e-3 - 4e-5) * (i / 60 if i < 60 else max(0, 1 - (i - 60) / 140)) for i in range(200)]
    return trainer(rows(curve(r, 200, 2.5, 1.2, 0.03), norms(r, 200), rates))


@healthy
def stable_then_decay(r: Random) -> str:
    rates = [3e-4 * min(1, (i + 1) / 10, (300 - i) / 30) for i in range(300)]
    return trainer(rows(curve(r, 300, 3.0, 1.7, 0.02), norms(r, 300), rates))


@healthy
def reduced_on_plateau(r: Random) -> str:
    return trainer(rows(curve(r, 240, 2.0, 1.0, 0.05), norms(r, 240), [1e-3 * 0.1 ** (i // 80) for i in range(240)]))


@healthy
def constant_rate(r: Random) -> str:
    return trainer(rows(curve(r, 120, 2.0, 1.0, 0.05), norms(r, 120), [1e-5] * 120))


@healthy
def slow_warm_up(r: Random) -> str:
    rates = [1e-4 * min(1, i / 150) for i in range(300)]
    losses = [10.9 - 6 * (1 - math.exp(-max(0, i - 40) / 90)) + r.gauss(0, 0.05) for i in range(300)]
    return trainer(rows(losses, norms(r, 300, 2.0), rates))


@healthy
def epochs_in_steps(r: Random) -> str:
    """Each epoch the loss drops at once, and creeps up within it."""
    losses = [(1.6 * 0.55 ** (i // 100)) * (1 + 0.15 * (i % 100) / 100) * math.exp(r.gauss(0, 0.06)) for i in range(400)]
    return trainer(rows(losses, norms(r, 400, 1.0, 0.4)))


@healthy
def harder_data_later(r: Random) -> str:
    losses = [v + (0.25 if i > 200 else 0) for i, v in enumerate(curve(r, 400, 3.2, 1.7, 0.03))]
    return trainer(rows(losses, norms(r, 400)))


@healthy
def domains_in_turn(r: Random) -> str:
    losses = [v * (1.18 if (i // 50) % 2 else 0.9) for i, v in enumerate(curve(r, 400, 2.8, 1.6, 0.04))]
    return trainer(rows(losses, norms(r, 400)))


@healthy
def diffusion(r: Random) -> str:
    return trainer(rows([0.09 * math.exp(r.gauss(0, 0.45)) for _ in range(400)], norms(r, 400, 0.1, 0.5)), every=1)


@healthy
def sums_over_tokens(r: Random) -> str:
    return trainer(rows(curve(r, 200, 4200.0, 1300.0, 0.15), norms(r, 200, 800, 0.4)))


@healthy
def negative_likelihood(r: Random) -> str:
    losses = [4 - 40 * (1 - math.exp(-i / 80)) + r.gauss(0, 1.0) for i in range(300)]
    return trainer(rows(losses, norms(r, 300, 5.0)))


@healthy
def through_zero(r: Random) -> str:
    return trainer(rows([1.5 - i / 100 + r.gauss(0, 0.15) for i in range(300)], norms(r, 300)))


@healthy
def clipped_norm(r: Random) -> str:
    return trainer(rows(curve(r, 200, 2.4, 1.1), [min(1.0, v) for v in norms(r, 200, 1.6, 0.2)]))


@healthy
def clipped_norm_at_last(r: Random) -> str:
    grads = [0.5 + i / 160 if i < 80 else 1.0 for i in range(200)]
    return trainer(rows(curve(r, 200, 2.4, 1.1), grads))


@healthy
def wild_norms(r: Random) -> str:
    return trainer(rows(curve(r, 400, 2.4, 1.1), norms(r, 400, 1.5, 1.1)))


@healthy
def norms_that_grow(r: Random) -> str:
    """Late in training of small models the norm grows while the loss falls."""
    return trainer(rows(curve(r, 400, 2.4, 0.4), [0.3 * math.exp(2.5 * i / 400 + r.gauss(0, 0.2)) for i in range(400)]))


@healthy
def half_precision_start(r: Random) -> str:
    lines = rows(curve(r, 120, 2.4, 1.1), norms(r, 120))
    for i in range(3):
        lines[i]["grad_norm"] = "inf" if i else "nan"
        lines[i]["learning_rate"] = 0.0
    return trainer(lines, every=1)


@healthy
def preference(r: Random) -> str:
    lines = [
        {"loss": 0.6931 if i == 0 else v, "grad_norm": 8 + r.gauss(0, 2), "learning_rate": 5e-7, "rewards/chosen": i * 0.001,
         "rewards/accuracies": 0.5, "rewards/margins": i * 0.002, "logps/chosen": -300.0}
        for i, v in enumerate(curve(r, 100, 0.693, 0.58, 0.02))
    ]  # fmt: skip
    return trainer(lines)


@healthy
def preference_slow_start(r: Random) -> str:
    lines = [
        {"loss": 0.6931 - max(0, i - 30) * 0.0012 + r.gauss(0, 0.004), "grad_norm": 8 + r.gauss(0, 2), "learning_rate": 5e-7,
         "rewards/chosen": 0.0, "rewards/accuracies": 0.5, "rewards/margins": 0.0}
        for i in range(120)
    ]  # fmt: skip
    return trainer(lines)


@healthy
def group_policy(r: Random) -> str:
    lines = [
        {"loss": 0.0 if i < 12 or r.random() < 0.3 else abs(r.gauss(0, 0.0006)), "grad_norm": 0.2 + r.random() * 0.4,
         "learning_rate": 1e-6 * (1 - i / 200), "reward": 0.2 + i / 400 + r.gauss(0, 0.1), "reward_std": 0.3, "kl": i * 1e-5,
         "completion_length": 200 + r.gauss(0, 30)}
        for i in range(200)
    ]  # fmt: skip
    return trainer(lines, every=1)


@healthy
def group_policy_of_equal_rewards(r: Random) -> str:
    lines = [
        {"loss": 0.0, "grad_norm": 0.0 if i % 5 else 0.3 + r.random(), "learning_rate": 1e-6, "reward": 1.0 - (i % 5 == 0) * 0.2,
         "reward_std": 0.0 if i % 5 else 0.4, "kl": 0.0001, "completions/mean_length": 180.0}
        for i in range(80)
    ]  # fmt: skip
    return trainer(lines, every=1)


@healthy
def policy_without_rewards(r: Random) -> str:
    """A policy's loss printed alone."""
    return "\n".join(f"step {i}: loss: {r.gauss(0, 0.02) if r.random() < 0.4 else -0.0}" for i in range(1, 80)) + "\n"


@healthy
def proximal_policy(r: Random) -> str:
    lines = [
        {"loss": r.gauss(0, 0.05) + 0.02 * i / 50, "loss/policy_avg": r.gauss(0, 0.02), "loss/value_avg": 0.1 + 0.05 * r.random(),
         "policy/entropy_avg": 2.0, "objective/kl": i * 0.1, "objective/rlhf_reward": i * 0.01, "learning_rate": 1e-6}
        for i in range(150)
    ]  # fmt: skip
    return trainer(lines)


@healthy
def mixture_of_experts(r: Random) -> str:
    lines = rows(curve(r, 200, 9.0, 3.0, 0.02), norms(r, 200))
    for i, line in enumerate(lines):
        line |= {"aux_loss": 0.01 + 0.02 * math.exp(-i / 30), "z_loss": 0.0 if i % 3 else 0.0001}
    return trainer(lines)


@healthy
def sparse_evaluations(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 300, 2.4, 1.2, 0.04), norms(r, 300))):
        lines.append(line)
        if i % 100 == 99:
            lines.append({"eval_loss": [1.5, 1.42, 1.44][i // 100] + r.gauss(0, 0.01), "eval_runtime": 12.0})
    return trainer(lines)


@healthy
def noisy_evaluations(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 300, 2.4, 1.2, 0.04), norms(r, 300))):
        lines.append(line)
        if i % 10 == 9:
            lines.append({"eval_loss": (1.3 + 0.6 * math.exp(-i / 60)) * math.exp(r.gauss(0, 0.04)), "eval_runtime": 12.0})
    return trainer(lines)


@healthy
def evaluations_level_off(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 300, 2.4, 0.9, 0.04), norms(r, 300))):
        lines.append(line)
        if i % 20 == 19:
            lines.append({"eval_loss": 1.3 + 0.5 * math.exp(-i / 40) + 0.0001 * i, "eval_runtime": 12.0})
    return trainer(lines)


@healthy
def only_evaluations(r: Random) -> str:
    return trainer([{"eval_loss": 1.3 + r.gauss(0, 0.2), "eval_accuracy": 0.6, "eval_runtime": 3.0} for _ in range(6)], total=0)


@healthy
def single_record(r: Random) -> str:
    return trainer(rows([r.uniform(0.2, 11)], [1.2], [1e-5]), every=500)


@healthy
def three_records(r: Random) -> str:
    return trainer(rows([r.uniform(1.8, 2.2), r.uniform(1.5, 2.0), r.uniform(1.4, 2.0)], [1.2, 0.8, 0.9], [1e-5, 5e-6, 1e-8]))


@healthy
def logged_every_hundred(r: Random) -> str:
    return trainer(rows(curve(r, 40, 2.4, 1.1, 0.01), norms(r, 40, 1.0, 0.3), cosine(40, warm=1)), every=100)


@healthy
def decays_to_zero(r: Random) -> str:
    rates = [1e-4 * (1 - (i + 1) / 100) for i in range(100)]
    return trainer(rows(curve(r, 100, 2.4, 1.1), norms(r, 100), rates))


@healthy
def resumed(r: Random) -> str:
    """A second start of the same log: the optimizer warms up again, the loss is a little higher."""
    first = trainer(rows(curve(r, 100, 2.4, 1.3), norms(r, 100), cosine(200)[:100]), total=2000)
    losses = [v * (1 + 0.08 * math.exp(-i / 5)) for i, v in enumerate(curve(r, 100, 1.35, 1.1))]
    rates = cosine(200)[100:]
    lines = [
        str({**row, "loss": round(row["loss"], 4), "epoch": round(0.5 + i * 0.005, 3)})
        for i, row in enumerate(rows(losses, None, rates))
    ]
    return first + "  Continuing training from global step 1000\n" + "\n".join(lines) + "\n"


@healthy
def megatron_with_pauses(r: Random) -> str:
    """Iteration lines with a clock; every hundred iterations a checkpoint of twenty minutes that says nothing."""
    lines, time = [], 8 * 3600.0
    for i, loss in enumerate(curve(r, 400, 9.5, 3.0, 0.02), 1):
        time += 6 + r.random() + (1200 if i % 100 == 0 else 0)
        stamp = (
            f"2026-01-{1 + int(time // 86400):02d} {int(time // 3600) % 24:02d}:{int(time // 60) % 60:02d}:{int(time) % 60:02d}"
        )
        lines.append(
            f" [{stamp}] iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): "
            f"{6200 + r.gauss(0, 90):.1f} | learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | "
            f"loss scale: 1.0 | grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | "
            f"number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@healthy
def longer_sequences_later(r: Random) -> str:
    lines = []
    for i, loss in enumerate(curve(r, 300, 9.5, 3.0, 0.02), 1):
        took = (2000 if i < 150 else 4100) + r.gauss(0, 60)
        lines.append(
            f" iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): {took:.1f} | "
            f"learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | loss scale: 1.0 | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@healthy
def scaler_probes(r: Random) -> str:
    """fp16 under Megatron: a skip every thousand iterations, the scale halves and comes back."""
    lines, scale, skipped = [], 2.0**17, 0
    for i, loss in enumerate(curve(r, 500, 9.5, 3.0, 0.02), 1):
        skip = i % 170 == 0
        skipped += skip
        scale = scale / 2 if skip else 2.0**17 if i % 170 == 100 else scale
        lines.append(
            f" iteration {i * 10:8d}/    9000 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): 900.1 | "
            f"learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | loss scale: {scale:.1f} | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations: {int(skip):3d} | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@healthy
def printed_with_one_decimal(r: Random) -> str:
    return "\n".join(f"step {i * 10}: loss {v:.1f}" for i, v in enumerate(curve(r, 200, 3.0, 0.6, 0.06), 1)) + "\n"


@healthy
def epoch_means(r: Random) -> str:
    lines = [
        f"Epoch {i}/30 - loss: {v:.4f} - val_loss: {v * 1.1 + 0.1:.4f}" for i, v in enumerate(curve(r, 30, 1.2, 0.3, 0.04), 1)
    ]
    return "\n".join(lines) + "\n"


@healthy
def a_sweep_in_one_log(r: Random) -> str:
    """Three trainings one after the other, each from the start."""
    return "".join(trainer(rows(curve(r, 80, 2.6 + 0.2 * k, 1.3 + 0.3 * k, 0.03), norms(r, 80))) for k in range(3))


@healthy
def other_data_in_stage_two(r: Random) -> str:
    """A second training in the same log on data whose loss lies twice as high."""
    return trainer(rows(curve(r, 100, 1.4, 0.9, 0.03), norms(r, 100))) + trainer(
        rows(curve(r, 100, 2.9, 2.1, 0.03), norms(r, 100))
    )


@healthy
def bump_in_warm_up(r: Random) -> str:
    losses = [v * (1 + 0.45 * math.exp(-(((i - 12) / 5) ** 2))) for i, v in enumerate(curve(r, 200, 1.1, 0.85, 0.03))]
    return trainer(rows(losses, norms(r, 200)))


@healthy
def margin_that_is_reached(r: Random) -> str:
    """A hinge loss: more and more batches are separated."""
    losses = [max(0.0, (0.5 * math.exp(-i / 60) + 0.02) * r.gauss(1, 0.5) - 0.012) for i in range(300)]
    return trainer(rows(losses, [min(v * 5, 3.0) for v in losses]))


@healthy
def rate_printed_with_four_decimals(r: Random) -> str:
    losses = curve(r, 100, 0.62, 0.56, 0.06)
    return "\n".join(f"step {i * 10}: loss {v:.4f} lr {0.00002 * (1 - i / 120):.4f}" for i, v in enumerate(losses, 1)) + "\n"


@healthy
def actor_and_critic(r: Random) -> str:
    lines = [
        {"loss": 0.2 + i / 100 + r.gauss(0, 0.1), "value_loss": 0.4 + i / 90, "entropy_loss": -2.0, "ep_rew_mean": 10 + i / 3,
         "learning_rate": 3e-4}
        for i in range(150)
    ]  # fmt: skip
    return trainer(lines)


@healthy
def few_epochs_of_fine_tuning(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 60, 1.3, 0.6, 0.04), norms(r, 60))):
        lines.append(line)
        if i % 20 == 19:
            lines.append({"eval_loss": [1.10, 1.05, 1.14][i // 20] + r.gauss(0, 0.004), "eval_runtime": 12.0})
    return trainer(lines)


@healthy
def memory_of_a_first_epoch(r: Random) -> str:
    """Memory rises while shapes are seen for the first time, then stays."""
    lines = rows(curve(r, 150, 3.0, 1.6, 0.04), norms(r, 150))
    for i, line in enumerate(lines):
        line["memory(GiB)"] = 20 + 14 * (1 - math.exp(-i / 15)) + r.gauss(0, 0.2)
    return trainer(lines)


@healthy
def shared_machine(r: Random) -> str:
    """The pace wanders by half, evaluations take ten times as long."""
    lines = []
    for i, loss in enumerate(curve(r, 300, 9.5, 3.0, 0.02), 1):
        took = 2000 * (1.3 + 0.5 * math.sin(i / 25)) * math.exp(r.gauss(0, 0.1)) * (10 if i % 20 == 0 else 1)
        lines.append(
            f" iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): {took:.1f} | "
            f"learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | loss scale: 1.0 | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@healthy
def batch_is_ramped_up(r: Random) -> str:
    lines = []
    for i, loss in enumerate(curve(r, 300, 9.5, 3.0, 0.02), 1):
        size = 128 * (1 + i // 60) if i < 240 else 1024
        lines.append(
            f" iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): {size * 15 + r.gauss(0, 60):.1f} | "
            f"learning rate: 1.0E-04 | global batch size: {size:5d} | lm loss: {loss:.6E} | loss scale: 1.0 | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@healthy
def ranks_print_their_own(r: Random) -> str:
    own = [curve(r, 100, 2.4, 1.2, 0.15) for _ in range(4)]
    return "\n".join(f"[rank{k}]: step {i * 10 + 10}: loss {own[k][i]:.4f}" for i in range(100) for k in range(4)) + "\n"


@healthy
def small_classifier(r: Random) -> str:
    """Nearly learned: losses of a few thousandths, a hard sample now and then."""
    losses = [v * (60 if r.random() < 0.02 and i > 60 else 1) for i, v in enumerate(curve(r, 400, 0.69, 0.003, 0.5, 14))]
    return trainer(rows([min(v, 0.8) for v in losses], norms(r, 400, 0.5, 1.2)))


@healthy
def any_run(r: Random) -> str:
    """A run of any length, noise, level, schedule and pace."""
    size = int(math.exp(r.uniform(math.log(3), math.log(1500))))
    start = r.choice([0.4, 0.69, 1.5, 2.5, 5.5, 10.9, 300.0])
    noise = math.exp(r.uniform(math.log(0.003), math.log(0.5)))
    end = start * r.uniform(0.15, 0.97 if start < 3 else 0.6)
    losses = curve(r, size, start, end, noise, r.choice([2, 5, 15, 60]))
    level = 10 ** r.uniform(-2, 1.5)
    grads = [min(v, r.choice([1e9, level])) for v in norms(r, size, level, r.uniform(0.05, 1.0))]
    peak, warm = 10 ** r.uniform(-6, -3), max(1, size // r.choice([10, 20, 100]))
    rates = {
        "cosine": lambda i: 0.5 * (1 + math.cos(math.pi * i / size)),
        "linear": lambda i: 1 - i / size,
        "constant": lambda i: 1.0,
        "inverse": lambda i: math.sqrt(warm / max(i, warm)),
        "steps": lambda i: 0.3 ** (4 * i // size),
        "restarts": lambda i: 0.5 * (1 + math.cos(math.pi * (i % max(1, size // 4)) / max(1, size // 4))),
        "stable": lambda i: min(1.0, (size - i) / max(1, size / 5)),
    }  # fmt: skip
    schedule = rates[r.choice(sorted(rates))]
    lines: list[dict[str, Any]] = []
    between = r.choice([0, 0, max(2, size // 5), max(2, size // 20)])
    for i, line in enumerate(rows(losses, grads, [peak * min(1, (i + 1) / warm) * schedule(i) for i in range(size)])):
        lines.append(line)
        if between and i % between == between - 1:
            lines.append(
                {
                    "eval_loss": line["loss"] ** 0 * start * (0.5 + 0.5 * math.exp(-3 * i / size)) * math.exp(r.gauss(0, 0.02)),
                    "eval_runtime": 3.0,
                }
            )
    return trainer(lines, r.choice([1, 5, 10, 50, 100]))


# ---- faulty --------------------------------------------------------------------------------------------------------------


@faulty("loss-zero", "loss-nan", at=120)
def zero_from_here(r: Random) -> str:
    lines = rows(curve(r, 200, 2.4, 1.1), norms(r, 200))
    for line in lines[120:]:
        line |= {"loss": 0.0, "grad_norm": "nan"}
    return trainer(lines)


@faulty("loss-zero", at=1)
def zero_after_one_record(r: Random) -> str:
    lines = rows(curve(r, 40, 2.4, 1.1), norms(r, 40))
    for line in lines[1:]:
        line["loss"] = 0.0
    return trainer(lines)


@faulty("loss-nan", at=77)
def nan_from_here(r: Random) -> str:
    lines = rows(curve(r, 200, 2.4, 1.1, 0.3), norms(r, 200))
    for line in lines[77:]:
        line["loss"] = "nan"
    return trainer(lines)


@faulty("grad-constant", "loss-zero", at=60)
def masked_norm(r: Random) -> str:
    lines = rows(curve(r, 160, 2.4, 1.1), norms(r, 160))
    for line in lines[60:]:
        line |= {"loss": 0.0, "grad_norm": 1.4142135623730951}
    return trainer(lines)


@faulty("divergence")
def diverges_slowly(r: Random) -> str:
    return trainer(rows([v + max(0, i - 200) * 0.03 for i, v in enumerate(curve(r, 400, 3.0, 1.5, 0.04))], norms(r, 400)))


@faulty("divergence", at=200)
def diverges_by_degrees(r: Random) -> str:
    return trainer(rows([v + max(0, i - 199) * 0.15 for i, v in enumerate(curve(r, 300, 3.0, 1.5, 0.04))], norms(r, 300)))


@faulty("divergence")
def diverges_at_once(r: Random) -> str:
    return trainer(rows([v if i < 3 else 7.6 + r.gauss(0, 0.2) for i, v in enumerate(curve(r, 60, 1.4, 1.1))], norms(r, 60)))


@faulty("divergence")
def diverges_under_noise(r: Random) -> str:
    losses = [v + (2.5 if i > 300 else 0) * math.exp(r.gauss(0, 0.2)) for i, v in enumerate(curve(r, 500, 2.4, 1.2, 0.25))]
    return trainer(rows(losses, norms(r, 500)), every=1)


@faulty("loss-spike", at=150)
def one_spike(r: Random) -> str:
    losses = curve(r, 300, 2.4, 1.2, 0.03)
    losses[150], losses[151] = 6.5, 3.0
    return trainer(rows(losses, norms(r, 300)))


@faulty("no-progress")
def learns_nothing(r: Random) -> str:
    return trainer(rows([10.8 + r.gauss(0, 0.03) for _ in range(120)], norms(r, 120)))


@faulty("no-progress")
def stays_at_chance(r: Random) -> str:
    lines = [{"loss": 0.6931 + r.gauss(0, 0.0008), "grad_norm": 1.0 + r.random(), "learning_rate": 1e-5} for _ in range(150)]
    return trainer(lines)


@faulty("overfitting")
def learns_by_heart(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 200, 1.4, 0.05, 0.05), norms(r, 200))):
        lines.append(line)
        if i % 20 == 19:
            lines.append({"eval_loss": 1.25 + max(0, i - 59) * 0.012 + r.gauss(0, 0.01), "eval_runtime": 3.0})
    return trainer(lines)


@faulty("lr-zero")
def rate_is_zero(r: Random) -> str:
    return trainer(rows([1.5 + r.gauss(0, 0.1) for _ in range(60)], norms(r, 60), [0.0] * 60))


@faulty("lr-anomaly")
def rate_jumps_up(r: Random) -> str:
    rates = [v * (8 if i > 140 else 1) for i, v in enumerate(cosine(200))]
    return trainer(rows(curve(r, 200, 2.4, 1.1), norms(r, 200), rates))


@faulty("grad-zero")
def nothing_is_trained(r: Random) -> str:
    return trainer(rows([2.1 + r.gauss(0, 0.02) for _ in range(60)], [0.0] * 60, [2e-5] * 60))


@faulty("grad-explosion", "divergence", "loss-spike")
def norms_explode(r: Random) -> str:
    grads = [v * (400 if 150 <= i < 170 else 1) for i, v in enumerate(norms(r, 300))]
    return trainer(rows(curve(r, 300, 2.4, 1.2), grads))


@faulty("loss-inflated")
def sum_instead_of_mean(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 200, 8 * 2.4, 8 * 1.1), norms(r, 200))):
        lines.append(line)
        if i % 40 == 39:
            lines.append({"eval_loss": line["loss"] / 8 * 1.02, "eval_runtime": 3.0})
    return "TrainingArguments(\ngradient_accumulation_steps=8,\n)\n" + trainer(lines)


@faulty("throughput-drop")
def slow_from_here(r: Random) -> str:
    lines = []
    for i, loss in enumerate(curve(r, 200, 9.5, 3.0, 0.02), 1):
        took = (2000 if i < 120 else 9000) + r.gauss(0, 100)
        lines.append(
            f" iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): {took:.1f} | "
            f"learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | loss scale: 1.0 | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@faulty("divergence", "loss-spike")
def diverges_in_few_records(r: Random) -> str:
    return trainer(rows([2.1, 1.8, 1.7, 1.65, 6.5, 8.1, 7.9, 7.7, 7.8, 7.6, 7.7, 7.5], norms(r, 12)), every=50)


@faulty("divergence")
def diverges_at_last(r: Random) -> str:
    return trainer(
        rows([v if i < 275 else v + (i - 274) * 0.25 for i, v in enumerate(curve(r, 300, 3.0, 1.4, 0.03))], norms(r, 300))
    )


@faulty("loss-zero")
def samples_without_labels(r: Random) -> str:
    lines = rows(curve(r, 300, 2.4, 1.3, 0.05), norms(r, 300))
    for line in lines:
        if r.random() < 0.08:
            line |= {"loss": 0.0, "grad_norm": 0.0}
    return trainer(lines, every=1)


@faulty("lr-zero", "lr-anomaly")
def schedule_ends_early(r: Random) -> str:
    losses = [v if i < 80 else 1.45 + r.gauss(0, 0.03) for i, v in enumerate(curve(r, 200, 2.4, 1.4))]
    return trainer(rows(losses, norms(r, 200), [max(0.0, 2e-5 * (1 - i / 80)) for i in range(200)]))


@faulty("loss-spike", at=200)
def wide_spike(r: Random) -> str:
    losses = [v + 3.0 * math.exp(-(i - 200) / 5) * (i >= 200) for i, v in enumerate(curve(r, 400, 2.4, 1.2, 0.04))]
    return trainer(rows(losses, norms(r, 400)))


@faulty("grad-nan", "loss-nan", at=150)
def norm_is_nan_from_here(r: Random) -> str:
    lines = rows(curve(r, 200, 2.4, 1.4), norms(r, 200))
    for line in lines[150:]:
        line["grad_norm"] = "nan"
    return trainer(lines)


@faulty("throughput-drop")
def creeps_slower(r: Random) -> str:
    lines = []
    for i, loss in enumerate(curve(r, 300, 9.5, 3.0, 0.02), 1):
        took = 2000 * (1 + 5 * i / 300) + r.gauss(0, 100)
        lines.append(
            f" iteration {i:8d}/     500 | consumed samples: {i * 512:12d} | elapsed time per iteration (ms): {took:.1f} | "
            f"learning rate: 1.0E-04 | global batch size:   512 | lm loss: {loss:.6E} | loss scale: 1.0 | "
            f"grad norm: {0.9 + 0.1 * r.random():.3f} | number of skipped iterations:   0 | number of nan iterations:   0 |"
        )
    return "\n".join(lines) + "\n"


@faulty("memory-creep")
def memory_leaks(r: Random) -> str:
    lines = rows(curve(r, 150, 3.0, 1.6, 0.04), norms(r, 150))
    for i, line in enumerate(lines):
        line["memory(GiB)"] = 20 + i / 12 + r.gauss(0, 0.2)
    return trainer(lines)


@faulty("overfitting")
def epochs_too_many(r: Random) -> str:
    lines: list[dict[str, Any]] = []
    for i, line in enumerate(rows(curve(r, 80, 1.3, 0.1, 0.04), norms(r, 80))):
        lines.append(line)
        if i % 10 == 9:
            lines.append(
                {"eval_loss": [1.1, 1.05, 1.1, 1.18, 1.27, 1.35, 1.4, 1.44][i // 10] + r.gauss(0, 0.004), "eval_runtime": 1.0}
            )
    return trainer(lines)


def bar_log(r: Random, seconds: Callable[[int], float], steps: int, every: int = 10, total: int | None = None) -> str:
    """The Trainer's log of standard error and output together: bars redrawn with carriage returns, dicts between them."""
    total = total or steps
    out, time = [], 0.0
    for step, loss in enumerate(curve(r, steps, 2.4, 1.2, 0.03), 1):
        time += seconds(step)
        clock = (
            f"{int(time) // 3600}:{int(time) // 60 % 60:02d}:{int(time) % 60:02d}"
            if time >= 3600
            else f"{int(time) // 60:02d}:{int(time) % 60:02d}"
        )
        bar = f"\r{100 * step // total:3d}%|###   | {step}/{total} [{clock}<00:10,  1.00it/s]"
        out.append(bar)
        if step % every == 0:
            row = {
                "loss": round(loss, 4),
                "grad_norm": round(1 + r.random(), 4),
                "learning_rate": 2e-5,
                "epoch": round(step / total, 2),
            }
            out.append(f"\n{row}\n{bar}")
    return "".join(out) + "\n"


@healthy
def bar_at_one_speed(r: Random) -> str:
    return bar_log(r, lambda step: 1.2 + r.random() * 0.4, 600)


@healthy
def bar_of_fast_steps(r: Random) -> str:
    return bar_log(r, lambda step: 0.04, 4000, 50)


@healthy
def bar_with_silent_checkpoints(r: Random) -> str:
    return bar_log(r, lambda step: 1.0 + (900 if step % 150 == 0 else 0), 700)


@healthy
def bar_that_doubles(r: Random) -> str:
    return bar_log(r, lambda step: 1.0 if step < 300 else 1.9, 600)


@faulty("throughput-drop")
def bar_slows_down(r: Random) -> str:
    return bar_log(r, lambda step: 1.0 + 0.2 * r.random() if step < 400 else 4.5, 700)


@faulty("stall")
def bar_stands_still_once(r: Random) -> str:
    return bar_log(r, lambda step: 1.0 + (2500 if step == 333 else 0), 500)


@faulty("stall")
def bar_hangs_at_the_end(r: Random) -> str:
    text = bar_log(r, lambda step: 1.0, 300, total=1000)
    return text + "\r 30%|###   | 300/1000 [1:35:00<05:10,  1.00it/s]\n"
