"""Versions and hardware as environment reports, frameworks and NCCL print them into a log.

- `transformers` version: 5.23.0                          transformers env, accelerate env, llamafactory-cli env
- PyTorch version (GPU?): 2.1.0+cu121 (True)
- GPU type: NVIDIA A100-SXM4-80GB                         llamafactory-cli env; also `8x A100`
CUDA used to build PyTorch: 12.1                          python -m torch.utils.collect_env
GPU 0: NVIDIA A100-SXM4-80GB
[pip3] torch==2.1.2                                       also `[conda] pytorch 2.1.2 py3.10_cuda12.1 pytorch`
deepspeed info ................... 0.12.4, unknown, unknown                ds_report
deepspeed==0.14.0                                         pip freeze
NCCL version 2.18.1+cuda12.1                              NCCL_DEBUG=VERSION, and inside NCCL's error texts
| NVIDIA-SMI 535.104.05   Driver Version: 535.104.05   CUDA Version: 12.2     |
transformers 4.44.2 torch 2.11.0+cu130                    what scripts print themselves
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import packages
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, SourceRef
from parsers.registry import text_reader
from parsers.sated import sated

# Names as reports print them before "version" → the package, or a whole key.
NAMES = {
    "transformers": "transformers", "pytorch": "torch", "torch": "torch", "accelerate": "accelerate", "deepspeed": "deepspeed",
    "peft": "peft", "trl": "trl", "datasets": "datasets", "bitsandbytes": "bitsandbytes", "vllm": "vllm", "numpy": "numpy",
    "safetensors": "safetensors", "huggingface_hub": "huggingface-hub", "tokenizers": "tokenizers", "python": "python",
    "llamafactory": "llamafactory", "llama-factory": "llamafactory", "swift": "ms-swift", "ms-swift": "ms-swift",
    "flash attention": "flash-attn", "flash_attn": "flash-attn", "flash-attn": "flash-attn", "cudnn": "cudnn", "cuda": "cuda",
    "cuda runtime": "cuda-runtime", "torch cuda": "cuda", "nvcc": "nvcc", "nccl": "nccl", "torchvision": "torchvision",
    "triton": "triton", "xformers": "xformers", "axolotl": "axolotl", "openrlhf": "openrlhf", "megatron-core": "megatron-core",
    "transformer-engine": "transformer-engine", "transformer engine": "transformer-engine", "apex": "apex",
    "lightning": "lightning", "pytorch lightning": "pytorch-lightning", "unsloth": "unsloth", "ray": "ray", "verl": "verl",
    "torch-npu": "torch-npu", "torch_npu": "torch-npu", "npu": "torch-npu", "cann": "cann", "liger-kernel": "liger-kernel",
}  # fmt: skip

_REPORT = Lazy(
    r"(?:[-*|#] *)?`?(?P<name>[A-Za-z][\w -]{1,24}?)`?(?:'s)? [vV]ersion(?: ?\([^()]{0,40}\))?(?: ?[:=] ?| \.{2,} ?| is )"
    r"`?(?P<version>v?\d[\w.+!-]{0,60}|not installed|None|NA)"
)
_DS_INFO = Lazy(r"deepspeed info \.+ (?P<version>\d[\w.+-]*)")
_BUILT = Lazy(r"CUDA used to build PyTorch: (?P<version>[\d.]+)")
_PIP = Lazy(r"\[(?:pip3?|conda)\] (?P<rest>\S.{0,200})")
_NCCL = Lazy(r"NCCL version (?P<version>\d[\d.]*)(?:\+cuda(?P<cuda>[\d.]+))?")
_SMI = Lazy(r"Driver Version: (?P<driver>[\d.]+)\s+(?:CUDA Version: (?P<cuda>[\d.]+))?")
_GPU_TYPE = Lazy(r"- (?:GPU|NPU) type: (?:(?P<count>\d{1,4}) ?[x×*] ?)?(?P<name>\S.{0,80})")
_GPU_NUMBER = Lazy(r"- (?:GPU|NPU) number: (?P<count>\d{1,4})")
_GPU = Lazy(r"GPU (?P<index>\d{1,3}): (?P<name>[A-Z][\w .-]{2,60})")
_PAIR = Lazy(
    r"(?P<name>transformers|torch|deepspeed|accelerate|peft|trl|flash[-_]attn|bitsandbytes|vllm|numpy|datasets|llamafactory"
    r"|pytorch|PyTorch|DeepSpeed|Transformers|Torch)(?: version)?[ =:]{1,3}v?(?P<version>\d+\.\d+[\w.+]{0,40})[,;|]? *"
)
_SITE = Lazy(r"/python(?P<version>3\.\d{1,2})/(?:site|dist)-packages/")

_SITE_PACKAGES = "/site-packages/"
_HINTS = (
    "ersion: ", "ersion (", "ersion ..", "ersion=", "deepspeed info ...", "to build PyTorch:", "[pip3] ", "[pip] ",
    "[conda] ", "NCCL version ",
    "Driver Version:", "GPU type:", "NPU type:", "GPU number:", "GPU 0: ", "GPU 1: ", "GPU 2: ", "GPU 3: ",
    "GPU 4: ", "GPU 5: ", "GPU 6: ",
    "GPU 7: ", *(f"=={digit}" for digit in range(10)), _SITE_PACKAGES, "torch 1.", "torch 2.",
    "transformers 4.", "transformers 5.", "deepspeed 0.",
    "accelerate 0.",
    "accelerate 1.", "torch: ", "transformers: ", "deepspeed: ", "DeepSpeed: ",
)  # fmt: skip
_TELLING = frozenset(hint.encode() for hint in _HINTS if hint != _SITE_PACKAGES)
"""The hints of versions; a warning's or a stack's line has none of them, and names the interpreter at most."""


@text_reader(
    "environment",
    title="Environment reports and versions (ds_report, transformers env, collect_env, pip freeze, NCCL, nvidia-smi)",
    hints=_HINTS,
    example="- DeepSpeed version: 0.12.4",
)
@sated
class Environment:
    """Reads one line at a time: reports are torn by other ranks' output more often than not."""

    hungry = False

    def __init__(self) -> None:
        self._has_python = False
        self.spent: list[bytes] = []
        self._gpus: dict[int, SourceRef] = {}

    def feed(self, line: Line) -> Iterable[Record]:
        """Facts of one line."""
        text = line.text
        if not self._has_python and _SITE_PACKAGES in text:
            found = _SITE.search(text)
            if found:
                self._has_python = True
                self.spent.append(_SITE_PACKAGES.encode())
                yield from packages.facts("python", found["version"], line.ref, 1)
        if len(text) > 2000 or _TELLING.isdisjoint(line.hints):
            return
        yield from _versions(line)
        yield from self._hardware(line)

    def close(self) -> Iterable[Record]:
        """How many GPUs the report listed."""
        if self._gpus:
            last = max(self._gpus)
            yield Fact("hardware:gpu_count", last + 1, self._gpus[last], 2)

    def _hardware(self, line: Line) -> Iterator[Record]:
        text, ref = line.text.strip(), line.ref
        if found := _GPU_TYPE.match(text):
            yield Fact("hardware:gpu", found["name"].strip(), ref)
            if found["count"]:
                yield Fact("hardware:gpu_count", int(found["count"]), ref)
        elif found := _GPU_NUMBER.match(text):
            yield Fact("hardware:gpu_count", int(found["count"]), ref)
        elif found := _GPU.match(text):
            if not self._gpus:
                yield Fact("hardware:gpu", found["name"].strip(), ref)
            self._gpus[int(found["index"])] = ref
        elif "Driver Version:" in text and (found := _SMI.search(text)):
            yield Fact("hardware:driver", found["driver"], ref)
            if found["cuda"]:
                yield Fact("hardware:driver_cuda", found["cuda"], ref)


def _versions(line: Line) -> Iterator[Record]:
    text, ref = line.text.strip(), line.ref
    if "==" in text and (pin := packages.pinned(text)):
        yield from packages.facts(*pin, ref, 2)
    elif found := _PIP.match(text):
        pin = packages.pinned(found["rest"])
        if pin:
            yield from packages.facts(*pin, ref, 2)
    elif found := _DS_INFO.search(text):
        yield from packages.facts("deepspeed", found["version"], ref)
    elif found := _BUILT.search(text):
        yield from packages.facts("cuda", found["version"], ref)
    elif "NCCL version " in text and (found := _NCCL.search(text)):
        yield from packages.facts("nccl", found["version"].rstrip("."), ref)
        if found["cuda"]:
            yield from packages.facts("cuda", found["cuda"].rstrip("."), ref, 1)
    elif found := _REPORT.match(text):
        name = NAMES.get(found["name"].lower().replace("`", ""))
        if name:
            yield from packages.facts(name, _version(found["version"]), ref)
    else:
        yield from _pairs(line)


def _version(text: str) -> str | None:
    return text.lstrip("v").rstrip(".,") if text.lstrip("v")[:1].isdigit() else None


def _pairs(line: Line) -> Iterator[Record]:
    """`transformers 4.44.2 torch 2.11.0+cu130 …`: pairs from the beginning of the line on."""
    text, at = line.text.strip(), 0
    while found := _PAIR.match(text, at):
        yield from packages.facts(found["name"], found["version"].rstrip("."), line.ref)
        at = found.end()
