"""A small regression under Lightning's Trainer; `--lr 3` makes it diverge."""

# ruff: noqa: D101, D102, ARG002

import argparse

import lightning
import torch
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import TensorBoardLogger

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", required=True)
parser.add_argument("--lr", type=float, default=0.02)
args = parser.parse_args()


class Regression(lightning.LightningModule):
    def __init__(self, lr: float, width: int = 32) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = torch.nn.Sequential(torch.nn.Linear(16, width), torch.nn.Tanh(), torch.nn.Linear(width, 1))

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.model(x), x.sum(1, keepdim=True))

    def training_step(self, batch: torch.Tensor, index: int) -> torch.Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch: torch.Tensor, index: int) -> None:
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=self.hparams.lr)


lightning.seed_everything(0)
train = torch.utils.data.DataLoader(torch.randn(1024, 16), batch_size=16, shuffle=True)
valid = torch.utils.data.DataLoader(torch.randn(256, 16), batch_size=64)
logger = TensorBoardLogger(args.logdir, name="", version="")
trainer = lightning.Trainer(
    max_epochs=6,
    accelerator="cpu",
    logger=logger,
    log_every_n_steps=4,
    enable_progress_bar=False,
    callbacks=[LearningRateMonitor()],
    enable_checkpointing=False,
)
trainer.fit(Regression(args.lr), train, valid)
