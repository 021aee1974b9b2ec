"""A small LLaVA-like model under DeepSpeed, as it is fine-tuned: a program of one rank, started by a launcher.

A random vision tower (patches, two blocks), a projector of two layers and a causal language model of four blocks. Each part
has a learning rate of its own, with and without weight decay: six parameter groups, as many per-module fine-tunings have.
Pictures and texts are made from a seed: a picture's colour is the first token, and each token follows from the one before it,
so the loss can fall. Every rank prints nothing but rank 0's row a step: `step N loss X grad_norm Y lr Z`.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import deepspeed
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torchrun_faults import share_gpu

VOCABULARY = 512
PATCHES = 16
RATES = {"vision": 2e-5, "projector": 1e-3, "language": 2e-4}
"""Module → its learning rate."""


class Block(nn.Module):
    """Attention and a perceptron, both on a residual stream."""

    def __init__(self, width: int, is_causal: bool) -> None:
        super().__init__()
        self.is_causal = is_causal
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, stream: Tensor) -> Tensor:
        """(batch, tokens, width) → the same shape."""
        batch, tokens, width = stream.shape
        heads = (part.view(batch, tokens, -1, 64).transpose(1, 2) for part in self.qkv(self.norms[0](stream)).chunk(3, -1))
        mixed = F.scaled_dot_product_attention(*heads, is_causal=self.is_causal)
        stream = stream + self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return stream + self.down(F.gelu(self.up(self.norms[1](stream))))


class Llava(nn.Module):
    """Vision tower → projector → language model; the loss is that of the text alone."""

    def __init__(self, seen: int, width: int) -> None:
        super().__init__()
        self.vision = nn.Sequential(nn.Linear(3 * 64, seen), Block(seen, False), Block(seen, False))
        self.projector = nn.Sequential(nn.Linear(seen, width), nn.GELU(), nn.Linear(width, width))
        self.language = nn.ModuleDict({
            "tokens": nn.Embedding(VOCABULARY, width), "places": nn.Embedding(512, width),
            "blocks": nn.Sequential(*(Block(width, True) for _ in range(4))), "head": nn.Linear(width, VOCABULARY),
        })  # fmt: skip

    def forward(self, picture: Tensor, text: Tensor) -> Tensor:
        """Pictures (batch, patches, values) and texts (batch, tokens) → the mean loss of the next tokens."""
        stream = torch.cat([self.projector(self.vision(picture)), self.language["tokens"](text)], 1)
        stream = stream + self.language["places"](torch.arange(stream.shape[1], device=stream.device))
        logits = self.language["head"](self.language["blocks"](stream))[:, PATCHES - 1 : -1]
        return F.cross_entropy(logits.float().reshape(-1, VOCABULARY), text.reshape(-1))


def groups(model: Llava) -> list[dict[str, object]]:
    """Two parameter groups a module: with weight decay, and without (vectors)."""
    found = []
    for name, rate in RATES.items():
        parameters = list(getattr(model, name).parameters())
        found.append({"params": [one for one in parameters if one.ndim > 1], "lr": rate, "weight_decay": 0.1})
        found.append({"params": [one for one in parameters if one.ndim <= 1], "lr": rate, "weight_decay": 0.0})
    return found


def batch(luck: torch.Generator, size: int, tokens: int) -> tuple[Tensor, Tensor]:
    """Pictures of one colour with noise, and texts that begin with it."""
    colour = torch.randint(0, VOCABULARY, (size, 1), generator=luck)
    picture = torch.randn(size, PATCHES, 3 * 64, generator=luck) * 0.1 + (colour / VOCABULARY)[..., None]
    columns = [colour]
    for _ in range(tokens - 1):
        columns.append((3 * columns[-1] + 7) % VOCABULARY)
    return picture, torch.cat(columns, 1)


def main() -> None:
    """Trains for `--steps` optimizer steps."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seen", type=int, default=256, help="width of the vision tower")
    parser.add_argument("--width", type=int, default=512, help="width of the language model")
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--local_rank", type=int, default=-1)
    parser.add_argument("--deepspeed_config", type=Path, default=Path("ds_config.json"))
    parser.add_argument("--share", action="store_true", help="NCCL with every rank on the first GPU")
    options = parser.parse_args()
    if options.share:
        share_gpu()
    config = json.loads(options.deepspeed_config.read_text("utf-8"))
    torch.manual_seed(options.seed)
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo")
    model = Llava(options.seen, options.width)
    engine, *_ = deepspeed.initialize(model=model, config=config, optimizer=torch.optim.AdamW(groups(model)))
    rank = int(os.environ.get("RANK", "0"))
    luck = torch.Generator().manual_seed(1000 * options.seed + rank)
    kind = torch.bfloat16 if config.get("bf16", {}).get("enabled") else torch.float32
    if rank == 0:
        size = sum(parameter.numel() for parameter in model.parameters())
        print(f"torch {torch.__version__}, deepspeed {deepspeed.__version__}, {size:,} parameters")
    for step in range(1, options.steps + 1):
        total = 0.0
        for _ in range(engine.gradient_accumulation_steps()):
            picture, text = batch(luck, engine.train_micro_batch_size_per_gpu(), options.tokens)
            loss = engine(picture.to(engine.device, kind), text.to(engine.device))
            engine.backward(loss)
            engine.step()
            total += loss.item()
        if rank == 0:
            norm = engine.get_global_grad_norm()
            mean = total / engine.gradient_accumulation_steps()
            print(f"step {step} loss {mean:.5f} grad_norm {float(norm or 0.0):.5f} lr {RATES['language']:.1e}", flush=True)


if __name__ == "__main__":
    main()
