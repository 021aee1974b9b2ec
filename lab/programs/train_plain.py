"""Fits a line in plain Python, no framework needed: shows what a program has to do to take part, and tests the lab itself."""

from __future__ import annotations

import argparse
import math
import random

from faults import arguments, injector


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    given = parser.parse_args()
    source = random.Random(given.seed)  # noqa: S311  not for secrets
    place = injector(given)
    options = place.options({"learning_rate": 0.05, "warmup_steps": 0})
    weights = [0.0] * 4
    for step in range(given.steps):
        place.begin(step)
        inputs = [source.gauss(0, 1) for _ in weights]
        wanted = sum((i + 1) * x for i, x in enumerate(inputs)) + source.gauss(0, 0.3)
        item = place.item({"inputs": inputs, "wanted": wanted}, step)
        error = sum(w * x for w, x in zip(weights, item["inputs"], strict=True)) - item["wanted"]
        loss = place.loss(error**2 + 0.1, weights)
        slope = [2 * error * x + 0.0 * loss for x in item["inputs"]]
        rate = options["learning_rate"] * (place.factor(step) if place.sits_at("factor") else 1.0)
        weights = [w - rate * s for w, s in zip(weights, slope, strict=True)]
        norm = math.sqrt(sum(s * s for s in slope))
        print(f"step: {step} loss: {loss:.4f} grad_norm: {norm:.4f} lr: {rate:.3e}", flush=True)
    print("training finished")


if __name__ == "__main__":
    main()
