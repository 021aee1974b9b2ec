"""Packages and their versions as pip, conda and frameworks print them → facts under one spelling."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from parsers.lazy import Lazy
from parsers.model import Fact, SourceRef

_ALIASES: Final = {
    "pytorch": "torch", "pytorch-gpu": "torch", "huggingface-hub": "huggingface-hub", "pytorch-cuda": "cuda",
    "cudatoolkit": "cuda", "cuda-runtime": "cuda-runtime", "llama-factory": "llamafactory", "llmtuner": "llamafactory",
    "ms-swift": "ms-swift", "swift": "ms-swift", "flash-attention": "flash-attn", "flash-attention-2": "flash-attn",
    "nvidia-nccl-cu11": "nccl", "nvidia-nccl-cu12": "nccl", "nvidia-nccl-cu13": "nccl", "nvidia-cudnn-cu11": "cudnn",
    "nvidia-cudnn-cu12": "cudnn", "nvidia-cudnn-cu13": "cudnn", "hf-accelerate": "accelerate",
}  # fmt: skip

_PIN = Lazy(r"(?P<name>[A-Za-z0-9][\w.-]{0,80})(?:\[[\w, -]{0,80}\])?\s?={2,3}\s?(?P<version>\d[\w.+!-]{0,60})(?=[\s;#,\\]|$)")
_AT = Lazy(r"(?P<name>[A-Za-z0-9][\w.-]{0,80}) @ \S*?[/-](?P<version>\d+(?:\.\d+)+[\w.+]*?)(?:-(?:py|cp)\d|\.tar|\.zip|#|$)")
_CONDA = Lazy(
    r"(?P<name>[A-Za-z0-9_][\w.-]{0,80})[ \t]+(?P<version>\d[\w.+!]{0,60})[ \t]+(?P<build>[\w.]{1,60})(?:[ \t]+[\w./-]{1,80})?$"
)
_LOCAL_CUDA = Lazy(r"\+cu(\d{2,3})(?:\b|$)")


def canonical(name: str) -> str:
    """`Flash_Attn` → `flash-attn`, `pytorch` → `torch`."""
    low = name.strip().lower().replace("_", "-").replace(".", "-")
    return _ALIASES.get(low, low)


def pinned(line: str) -> tuple[str, str] | None:
    """(name, version) of one line of `pip freeze`, `requirements.txt` or `conda list`; None where it pins nothing."""
    text = line.strip()
    if not text or text[0] in "#-" or len(text) > 400:
        return None
    found = _PIN.match(text) or _AT.match(text) or _CONDA.match(text)
    return (found["name"], found["version"]) if found else None


def facts(name: str, version: str | None, ref: SourceRef, weight: int = 3) -> Iterator[Fact]:
    """The fact that a package has a version, and what the version says of CUDA. None: it is not installed."""
    key = canonical(name)
    yield Fact(f"package:{key}", version, ref, weight)
    cuda = _LOCAL_CUDA.search(version) if version and key == "torch" else None
    if cuda:
        yield Fact("package:cuda", f"{cuda[1][:-1]}.{cuda[1][-1]}", ref, min(weight, 2))
