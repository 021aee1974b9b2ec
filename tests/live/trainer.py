"""A pretended training: real lines of the Trainer, flushed one by one, with a fault from a step on. Run as a script."""

from __future__ import annotations

import argparse
import random
import signal
import sys
import time


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fault", default="none")
    parser.add_argument("--at", type=int, default=20)
    parser.add_argument("--records", type=int, default=40)
    parser.add_argument("--every", type=float, default=0.05)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--code", type=int, default=0)
    wish = parser.parse_args()
    random.seed(wish.seed)
    if wish.fault == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("***** Running training *****")
    print(f"  Total optimization steps = {wish.records}", flush=True)
    for step in range(1, wish.records + 1):
        is_lost = wish.fault in ("nan", "stubborn") and step >= wish.at
        if wish.fault == "crash" and step == wish.at:
            raise ValueError("the data ends here")
        if wish.fault == "hang" and step == wish.at:
            time.sleep(600)
        sys.stderr.write("\r" + " " * 40 + "\r")  # tqdm.write takes the bar away first
        sys.stderr.flush()
        loss = 0.0 if is_lost else 2.5 - 1.5 * step / wish.records + random.gauss(0, 0.02)
        norm = float("nan") if is_lost else 1 + random.random()
        print(
            {
                "loss": round(loss, 4),
                "grad_norm": norm,
                "learning_rate": 1e-4 * (1 - step / wish.records / 2),
                "epoch": round(step / wish.records, 3),
            },
            flush=True,
        )
        sys.stderr.write(f"\r{step:3d}%|###   | {step}/{wish.records} [00:{step:02d}<00:12,  2.20it/s]")
        sys.stderr.flush()
        time.sleep(wish.every)
    print(
        {
            "train_runtime": 9.0,
            "train_samples_per_second": 1.0,
            "train_steps_per_second": round(wish.records / 9.0, 3),
            "train_loss": 1.5,
            "epoch": 1.0,
        },
        flush=True,
    )
    raise SystemExit(wish.code)


if __name__ == "__main__":
    main()
