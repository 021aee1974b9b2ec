"""Tiny data, models and a tokenizer that the programs share: random weights, nothing is downloaded."""

from __future__ import annotations

import argparse
from typing import Any

import torch
from faults import Injector
from torch.utils.data import Dataset

VOCABULARY = 256


def training(parser: argparse.ArgumentParser) -> None:
    """The options of a loop that is written out."""
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    parser.add_argument("--warmup_steps", type=int, default=5)
    parser.add_argument("--accumulate", type=int, default=1)
    parser.add_argument("--noise", type=float, default=0.2)
    parser.add_argument("--save_every", type=int, default=0)
    parser.add_argument("--resume", default="", help="checkpoint to go on from")


class Markov(Dataset[dict[str, torch.Tensor]]):
    """Sequences with next = (3 · token + 7) mod vocabulary, a share `noise` of them random: learnt in about 100 steps.

    `hardening` is the share of the noise that the first sample has; it grows with the index (a curriculum).
    `injector` is called for every sample that is drawn.
    """

    def __init__(
        self, length: int, seed: int, noise: float = 0.2, sequence: int = 32, vocabulary: int = VOCABULARY,
        injector: Injector | None = None, hardening: float = 1.0,
    ) -> None:  # fmt: skip
        source = torch.Generator().manual_seed(seed)
        columns = [torch.randint(0, vocabulary, (length, 1), generator=source)]
        share = noise * torch.linspace(hardening, 1, length)[:, None]
        for _ in range(sequence - 1):
            drawn = torch.randint(0, vocabulary, (length, 1), generator=source)
            is_noise = torch.rand((length, 1), generator=source) < share
            columns.append(torch.where(is_noise, drawn, (3 * columns[-1] + 7) % vocabulary))
        self.tokens = torch.cat(columns, 1)
        self.injector = injector

    def __len__(self) -> int:
        return len(self.tokens)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = self.tokens[index].clone()
        item = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens), "labels": tokens.clone()}
        return self.injector.item(item, index) if self.injector else item


class Attention(torch.nn.Module):
    """Causal self-attention with one head and a feed-forward layer, or several of them chosen by a router."""

    def __init__(self, width: int, experts: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = torch.nn.LayerNorm(width), torch.nn.LayerNorm(width)
        self.qkv, self.proj = torch.nn.Linear(width, 3 * width), torch.nn.Linear(width, width)
        self.fc = torch.nn.ModuleList(torch.nn.Linear(width, 4 * width) for _ in range(max(experts, 1)))
        self.out = torch.nn.ModuleList(torch.nn.Linear(4 * width, width) for _ in range(max(experts, 1)))
        self.router = torch.nn.Linear(width, experts) if experts else None

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """(batch, sequence, width) → the same, and the load-balancing loss."""
        q, k, v = self.qkv(self.norm1(x)).chunk(3, -1)
        x = x + self.proj(torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True))
        h = self.norm2(x)
        parts = [out(torch.nn.functional.gelu(fc(h))) for fc, out in zip(self.fc, self.out, strict=True)]
        if self.router is None:
            return x + parts[0], x.new_zeros(())
        chance = self.router(h).float().softmax(-1)
        chosen = torch.nn.functional.one_hot(chance.argmax(-1), len(parts)).to(h.dtype)
        mixed = (torch.stack(parts, -1) * (chosen * chance.to(h.dtype))[:, :, None]).sum(-1)
        balance = len(parts) * (chosen.float().mean((0, 1)) * chance.mean((0, 1))).sum()
        return x + mixed, balance


class TinyLM(torch.nn.Module):
    """A language model of two blocks."""

    def __init__(self, width: int = 64, vocabulary: int = VOCABULARY, sequence: int = 32, experts: int = 0) -> None:
        super().__init__()
        self.embedding = torch.nn.Embedding(vocabulary, width)
        self.position = torch.nn.Embedding(max(sequence, 32), width)
        self.blocks = torch.nn.ModuleList(Attention(width, experts) for _ in range(2))
        self.norm, self.head = torch.nn.LayerNorm(width), torch.nn.Linear(width, vocabulary)

    def forward(self, tokens: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cross-entropy of the next token, and the sum of the load-balancing losses."""
        x = self.embedding(tokens) + self.position(torch.arange(tokens.shape[1], device=tokens.device))
        balance = torch.zeros((), device=tokens.device)
        for block in self.blocks:
            x, more = block(x)
            balance = balance + more
        logits = self.head(self.norm(x)).float()
        loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100)
        return loss, balance


def gpt2(width: int = 64, vocabulary: int = VOCABULARY, positions: int = 32) -> Any:
    """A random GPT-2 of two layers without dropout."""
    from transformers import GPT2Config, GPT2LMHeadModel

    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=vocabulary, n_positions=positions, n_embd=width, n_layer=2, n_head=2, resid_pdrop=0.0, embd_pdrop=0.0,
            attn_pdrop=0.0, bos_token_id=0, eos_token_id=0,
        )
    )  # fmt: skip


def llama(width: int = 64, vocabulary: int = VOCABULARY, positions: int = 32) -> Any:
    """A random Llama of two layers."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary, hidden_size=width, intermediate_size=2 * width, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=positions, bos_token_id=0, eos_token_id=0, pad_token_id=None,
        )
    )  # fmt: skip


WORDS = [f"w{number}" for number in range(240)]


def tokenizer() -> Any:
    """A word tokenizer of 256 tokens, built in memory: `<pad> <eos> <unk>`, digits and made-up words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    known = ["<pad>", "<eos>", "<unk>", *"0123456789", "+", "=", "?", *WORDS]
    inner = Tokenizer(models.WordLevel({word: number for number, word in enumerate(known[:VOCABULARY])}, unk_token="<unk>"))  # noqa: S106
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        pad_token="<pad>",  # noqa: S106
        eos_token="<eos>",  # noqa: S106
        unk_token="<unk>",  # noqa: S106
        bos_token="<eos>",  # noqa: S106
    )
