"""A small regression whose curves torch's SummaryWriter writes; `--fault nan` makes the loss NaN from step 180 on."""

# ruff: noqa: D103

import argparse

import torch
from torch.utils.tensorboard import SummaryWriter

parser = argparse.ArgumentParser()
parser.add_argument("--logdir", required=True)
parser.add_argument("--first", type=int, default=0)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--fault", default="")
parser.add_argument("--new-style", action="store_true")
parser.add_argument("--hparams", action="store_true")
args = parser.parse_args()

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(16, 64), torch.nn.Tanh(), torch.nn.Linear(64, 1))
target = torch.randn(16, 1)
torch.manual_seed(args.first)
optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 400)
if args.first:
    model.load_state_dict(torch.load(f"{args.logdir}.pt"))


def loss_of(count: int) -> torch.Tensor:
    x = torch.randn(count, 16)
    return torch.nn.functional.mse_loss(model(x), x @ target + 0.3 * torch.randn(count, 1))


writer = SummaryWriter(args.logdir, purge_step=args.first or None)
writer.add_text("note", "a small regression")
for step in range(args.first, args.steps):
    loss = loss_of(64)
    if args.fault == "nan" and step >= 180:
        loss = loss * float("nan")
    optimizer.zero_grad()
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimizer.step()
    schedule.step()
    if step % 5 == 0:
        writer.add_scalar("train/loss", loss, step, new_style=args.new_style)
        writer.add_scalar("train/grad_norm", norm, step, new_style=args.new_style, double_precision=args.new_style)
        writer.add_scalar("lr", schedule.get_last_lr()[0], step)
    if step % 50 == 0:
        with torch.no_grad():
            writer.add_scalars("Loss", {"train": loss.item(), "val": loss_of(512).item()}, step)
        if loss.isfinite():
            writer.add_histogram("weights", model[0].weight, step, bins="auto")
    if step + 1 == 200:
        torch.save(model.state_dict(), f"{args.logdir}.pt")
if args.hparams:
    writer.add_hparams({"lr": 0.02, "momentum": False, "optimizer": "SGD"}, {"hparam/loss": loss.item()})
writer.close()
