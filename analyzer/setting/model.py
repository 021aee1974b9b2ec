"""Settings of the model and of the program that trains it."""

from __future__ import annotations

import re
from typing import Final

from analyzer.model import Evidence
from analyzer.setting.register import Setting, is_true, known, number, of, setting, text_of
from parsers import kinds
from parsers.model import Run


@setting
def model(run: Run) -> Setting | None:
    """Everything that names the model, as one lower-case text."""
    return text_of(
        run, "arg:model_name_or_path", "arg:model", "arg:model_name", "arg:base_model", "arg:model_id", "arg:model_type",
        "model:name", "model:_name_or_path", "model:name_or_path", "model:model_type", "model:architectures", "model:class",
        "run:model", "arg:pretrained_model_name_or_path", "project:name",
    )  # fmt: skip


_ATTENTION: Final = (
    ("fa2", re.compile(r"flash[-_ ]?att(?:entio)?n|^fa2$|fa2")),
    ("sdpa", re.compile(r"sdpa")),
    ("eager", re.compile(r"eager|disabled|naive|math")),
)
_ATTENTION_KEYS: Final = (
    "arg:attn_implementation", "arg:_attn_implementation", "arg:attn_impl", "arg:attn", "arg:flash_attn", "model:attn",
    "model:attn_implementation", "model:_attn_implementation", "run:attention", "arg:attention_backend",
)  # fmt: skip


@setting
def attention(run: Run) -> Setting | None:
    """sdpa, fa2 or eager: which implementation of attention the model calls."""
    for fact in known(run.environment, *_ATTENTION_KEYS):
        value = str(fact.value).lower()
        for name, pattern in _ATTENTION:
            if pattern.search(value):
                return of(fact, name)
    for fact in known(run.environment, "arg:flash_attention", "arg:use_flash_attn", "arg:use_flash_attention_2"):
        if is_true(fact.value):
            return of(fact, "fa2")
    for event in run.events_of(kinds.SIGNATURE):
        named = re.search(r"Using (torch SDPA|FlashAttention-2|vanilla attention)", event.ref.text)
        if named:
            value = {"torch SDPA": "sdpa", "FlashAttention-2": "fa2"}.get(named[1], "eager")
            return Setting(value, (Evidence(event.ref),))
    return None


@setting
def moe(run: Run) -> Setting | None:
    """Whether the model is a mixture of experts."""
    for fact in known(
        run.environment, "arg:num_experts", "arg:ep_size", "config:moe.enabled", "model:num_local_experts", "model:num_experts"
    ):
        count = number(fact.value)
        return of(fact, count > 1 if count is not None else is_true(fact.value))
    named = model(run)
    if named and re.search(r"moe|mixtral|deepseek-v[23]|qwen3-?(30b|235b)|a3b|a22b|grok|dbrx", str(named.value)):
        return Setting(True, named.evidence)
    return None


@setting
def padding_side(run: Run) -> Setting | None:
    """left or right: the side that the tokenizer pads on."""
    for fact in known(run.environment, "arg:padding_side", "model:padding_side", "run:padding_side"):
        return of(fact, str(fact.value).lower())
    return None


@setting
def framework(run: Run) -> Setting | None:
    """Everything that names the training program: project, script, launcher, readers."""
    found = text_of(run, "project:name", "run:framework", "run:script", "run:command", "run:launcher")
    readers = " ".join(run.readers)
    if found is None:
        return Setting(readers, ()) if readers else None
    return Setting(f"{found.value} {readers}", found.evidence)
