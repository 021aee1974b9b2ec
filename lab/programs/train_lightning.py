"""A Lightning Trainer on the tiny language model: bars of tqdm or rich, CSV logger, AMP plugin, evaluation, callbacks."""

from __future__ import annotations

import argparse
from typing import Any

import lightning as L  # noqa: N812  as its documentation imports it
import torch
from faults import Injector, arguments, injector
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar, TQDMProgressBar
from lightning.pytorch.loggers import CSVLogger
from tiny import Markov, TinyLM
from torch.utils.data import DataLoader
from train_torch import factor


class Lit(L.LightningModule):
    """The model, its loss and its optimizer."""

    def __init__(self, given: argparse.Namespace, place: Injector) -> None:
        super().__init__()
        self.given, self.place = given, place
        self.model = TinyLM()
        place.model(self.model)
        self.rates = place.options({"learning_rate": given.learning_rate, "warmup_steps": given.warmup_steps})

    def training_step(self, batch: dict[str, torch.Tensor], _index: int) -> torch.Tensor:
        """The loss of a batch, logged."""
        self.place.begin(self.global_step)
        loss = self.place.loss(self.model(batch["input_ids"], batch["labels"])[0], self.model)
        self.log("train_loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: dict[str, torch.Tensor], _index: int) -> None:
        """The loss of a held-out batch, logged."""
        self.log("val_loss", self.model(batch["input_ids"], batch["labels"])[0], prog_bar=True)

    def on_before_optimizer_step(self, _optimizer: Any) -> None:
        """Logs the norm of the gradients."""
        norms = [p.grad.norm() for p in self.parameters() if p.grad is not None]
        self.log("grad_norm", torch.stack(norms).norm() if norms else torch.zeros(()))

    def configure_optimizers(self) -> Any:
        """AdamW and a schedule by steps."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.rates["learning_rate"])
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: factor(self.given.schedule, step, self.rates["warmup_steps"], steps)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def main() -> None:
    """Trains."""
    parser = argparse.ArgumentParser()
    arguments(parser)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--warmup_steps", type=int, default=5)
    parser.add_argument("--schedule", default="linear")
    parser.add_argument("--precision", default="32-true")
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--clip", type=float, default=1.0)
    parser.add_argument("--bar", default="tqdm", choices=["tqdm", "rich", "none"])
    parser.add_argument("--log_every", type=int, default=5)
    parser.add_argument("--detect_anomaly", action="store_true")
    given = parser.parse_args()
    L.seed_everything(given.seed)
    place = injector(given, batch_size=given.batch_size)
    bars = {"tqdm": [TQDMProgressBar(refresh_rate=given.log_every)], "rich": [RichProgressBar()], "none": []}
    trainer = L.Trainer(
        max_epochs=given.epochs, precision=given.precision, logger=CSVLogger(".", name="lightning_logs"),
        log_every_n_steps=given.log_every, accumulate_grad_batches=given.accumulate, gradient_clip_val=given.clip,
        detect_anomaly=given.detect_anomaly, enable_progress_bar=given.bar != "none",
        callbacks=[*bars[given.bar], LearningRateMonitor("step")],
    )  # fmt: skip
    train = Markov(given.samples, given.seed, given.noise, injector=place)
    held_out = Markov(64, given.seed + 999, given.noise)
    trainer.fit(Lit(given, place), DataLoader(train, given.batch_size, shuffle=True), DataLoader(held_out, 32))


if __name__ == "__main__":
    main()
