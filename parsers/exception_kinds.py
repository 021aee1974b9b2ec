"""What an exception's name, message and stack say about it: the kind of event that owns it.

A traceback says that the program ended, its message mostly says why. `classify` turns the message into one of `kinds.py`
where that is beyond doubt and leaves the rest a plain traceback. The patterns are texts that torch, DeepSpeed,
transformers, accelerate, NCCL, Python and the C library print; each entry of the table is one family, the first that fits
wins: what is certain stands before what is likely, hardware and memory before their echoes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from parsers import kinds
from parsers.exit_codes import NUMBERS, SIGNALS, is_terminated, signal_of
from parsers.lazy import Lazy
from parsers.model import Value

LAUNCHER: Final = "launcher"
"""An exception of the launcher itself: it repeats that a child ended, and says nothing of its own."""


class Raised(NamedTuple):
    """One exception line: `stack` is the text of its frames (files, functions, source lines), innermost last."""

    name: str
    message: str
    stack: str = ""


class Class(NamedTuple):
    """What an exception is: a kind of `kinds.py`, `LAUNCHER`, or '' for a plain one. `data` belongs into its event."""

    kind: str
    data: Mapping[str, Value]


class _Family(NamedTuple):
    kind: str
    name: Lazy | None = None
    message: Lazy | None = None
    stack: Lazy | None = None
    data: Mapping[str, Value] = {}

    def fits(self, raised: Raised) -> bool:
        """Whether each pattern that this family has is found."""
        return (
            (self.name is None or self.name.search(raised.name) is not None)
            and (self.message is None or self.message.search(raised.message) is not None)
            and (self.stack is None or self.stack.search(raised.stack) is not None)
        )


def _message(kind: str, *patterns: str, **data: Value) -> _Family:
    return _Family(kind, message=Lazy("|".join(patterns)), data=data)


def _name(kind: str, *patterns: str, **data: Value) -> _Family:
    return _Family(kind, name=Lazy("|".join(patterns)), data=data)


def _stack(kind: str, *patterns: str, **data: Value) -> _Family:
    return _Family(kind, stack=Lazy("|".join(patterns)), data=data)


def _both(kind: str, name: str, message: str = "", stack: str = "", **data: Value) -> _Family:
    return _Family(kind, Lazy(name), Lazy(message) if message else None, Lazy(stack) if stack else None, data)


_STOPS: Final = (
    _name(kinds.INTERRUPTED, r"\bKeyboardInterrupt$"),
    _both(kinds.INTERRUPTED, r"SignalException$", r"got signal: 2\b"),
    _both(kinds.SIGNAL, r"SignalException$|SIGTERMException$", r"got signal: \d+|^$"),
    _name(LAUNCHER, r"ChildFailedError$", r"ProcessRaisedException$", r"ProcessExitedException$"),
    _both(
        kinds.CHILD_FAILED, r"CalledProcessError$",
        stack=r"accelerate/commands/|torch/distributed/(?:launch|run)|deepspeed/launch",
    ),
    _both(LAUNCHER, r"NameError$", r"free variable 'kill_cmd'"),
    _message(kinds.SCALE_MINIMUM, r"Current loss scale already at minimum", r"Minimum loss scale reached"),
)  # fmt: skip
_DEVICES: Final = (
    _message(
        kinds.CUDA_OOM,
        r"(?:CUDA|HIP|XPU|NPU|MPS backend)(?: error:)? out of memory",
        r"CUBLAS_STATUS_ALLOC_FAILED",
        r"RESOURCE_EXHAUSTED: Out of memory",
    ),
    _message(
        kinds.HARDWARE,
        r"uncorrectable (?:ECC|NVLink)",
        r"fallen off the bus",
        r"CUDA error: hardware stack error",
        r"Error 802: system not yet init",
    ),
    _message(
        kinds.DEVICE_ASSERT,
        r"device-side assert triggered",
        r"illegal memory access",
        r"CUDA error: (?:misaligned address|an illegal instruction|unspecified launch failure)",
        r"CUBLAS_STATUS_EXECUTION_FAILED",
    ),
)
_HOST: Final = (
    _message(
        kinds.DATALOADER,
        r"DataLoader worker (?:\(pid|exited unexpectedly)",
        r"received 0 items of ancdata",
        r"Communication with the workers is no longer possible",
        r"out of shared memory",
        r"unable to (?:write to file|open shared memory object|mmap [\w ]{1,40} from file) <?/torch_",
    ),
    _message(
        kinds.DISK_FULL,
        r"No space left on device",
        r"[Dd]isk quota exceeded",
        r"\(os error 28\)",
        r"\[Errno (?:28|122)\]",
    ),
)
_NETWORK: Final = (
    _message(kinds.COMMUNICATION_ERROR, r"Detected mismatch between collectives on ranks", backend="c10d", is_mismatch=True),
    _message(kinds.COLLECTIVE_TIMEOUT, r"collective operation timeout", backend="nccl"),
    _message(kinds.COLLECTIVE_TIMEOUT, r"Timed out waiting \d+ms for (?:send|recv)", backend="gloo"),
    _message(
        kinds.COLLECTIVE_TIMEOUT,
        r"store->get\('[^']*'\) got error: (?:Socket Timeout|wait timeout)",
        r"monitoredBarrier",
        backend="store",
    ),
    _message(
        kinds.COMMUNICATION_ERROR,
        r"Connection (?:closed by|reset by)(?: remote)? peer",
        r"ncclRemoteError",
        r"remote process exited",
        r"[Bb]roken pipe",
        is_peer=True,
    ),
    _name(
        kinds.COMMUNICATION_ERROR,
        r"^ncclRemoteError$",
        r"(?:BrokenPipe|ConnectionReset)Error$",
        r"Actor(?:Died|Unavailable)Error$",
        is_peer=True,
    ),
    _both(kinds.COMMUNICATION_ERROR, r"^EOFError$", stack=r"multiprocessing/connection", is_peer=True),
    _name(
        kinds.COMMUNICATION_ERROR,
        r"^nccl[A-Z]",
        r"Dist(?:Backend|Network|Store)Error",
        r"Rendezvous\w*(?:Error|Exception|Timeout)$",
    ),
    _message(kinds.COMMUNICATION_ERROR, r"op\.preamble\.length <= op\.nbytes", backend="gloo", is_mismatch=True),
    _message(
        kinds.COMMUNICATION_ERROR,
        r"\bNCCL [Ee]rror",
        r"\bnccl(?:SystemError|InternalError|InvalidUsage|UnhandledCudaError)",
        r"EADDRINUSE|[Aa]ddress already in use",
        r"client socket has timed out",
        r"Connection refused",
        r"/gloo/transport/",
        r"Timed out after \d+ seconds waiting for clients",
        r"ibv_\w+ failed",
        r"HCCL function error",
    ),
    _message(
        kinds.HOST_OOM,
        r"DefaultCPUAllocator: (?:can't|not enough)",
        r"Cannot allocate memory",
        r"std::bad_alloc",
        r"node running low on memory",
        r"exceeds the memory usage threshold",
    ),
    _name(kinds.HOST_OOM, r"^MemoryError$", r"ArrayMemoryError$", r"ray\.exceptions\.OutOfMemoryError$"),
)
_PACKAGES: Final = (
    _name(
        kinds.DEPENDENCY_ERROR,
        r"^(?:ImportError|ModuleNotFoundError)$",
        r"PackageNotFoundError$",
        r"CUDAMismatchException$",
        r"(?:VersionConflict|DistributionNotFound)$",
    ),
    _message(
        kinds.DEPENDENCY_ERROR,
        r"undefined symbol",
        r"cannot open shared object file",
        r"GLIBC(?:XX)?_\d",
        r"cannot import name",
        r"No module named",
        r"does not match the version torch was compiled with",
        r"Error building extension|Ninja is required",
        r"Failed to import \w[\w.]* because of the following error",
        r"failed to import on the worker",
        r"numpy\.dtype size changed|compiled using NumPy 1",
        r"no kernel image is available|not compatible with the current PyTorch",
        r"Distributed package doesn't have|not compiled with CUDA",
        r"library is not available",
        r"driver on your system is too old",
        r"'FieldInfo' object has no attribute|has no attribute 'ds_opt_\w+'",
        r"is required for a normal functioning of this module",
        r"^module '(?:numpy|torch|transformers|deepspeed|accelerate|peft|trl|triton|flash_attn|xformers|bitsandbytes|pydantic)"
        r"[\w.]*' has no",
    ),
)
_CHECKPOINTS: Final = (
    _message(
        kinds.CHECKPOINT_FAILURE,
        r"PytorchStreamWriter failed",
        r"inline_container\.cc",
        r"iostream error",
        r"file write failed",
        action="save",
    ),
    _message(
        kinds.CHECKPOINT_FAILURE,
        r"Error\(s\) in loading state_dict|size mismatch for",
        r"Weights only load failed",
        r"PytorchStreamReader failed|failed finding central directory|invalid load key|^Ran out of input$",
        r"valid checkpoint|checkpoint being loaded|not correctly loaded",
        r"does not appear to have a file named",
        r"deserializing header|HeaderTooLarge|MetadataIncompleteBuffer|InvalidHeaderDeserialization|not a valid safetensors",
        r"does not contain (?:a )?(?:LoRA|pre-?trained) weight",
        action="load",
    ),
)
_CONFIGURATIONS: Final = (
    _message(
        kinds.CONFIG_ERROR,
        r"Check batch related parameters",
        r"mismatch TrainingArguments values",
        r"cannot be simultaneously enabled",
        r"`--mixed_precision` arg cannot be",
        r"is not supported on your device|Your setup doesn't support bf16",
        r"validation errors? for",
        r"(?:is not|must be) divisible by",
        r"CUDA_DEVICE_MAX_CONNECTIONS",
        r"incompatible with gradient partitioning",
        r"got an unexpected keyword argument 'evaluation_strategy'",
        r"not used by the HfArgumentParser",
        r"CONFIG ERROR|not in the allowed config keys",
        r"Expected a string path to an existing deepspeed config",
    ),
    _both(kinds.CONFIG_ERROR, r"TypeError$", r"(?:Arguments|Config)\.__init__\(\) got an unexpected keyword argument"),
    _name(
        kinds.CONFIG_ERROR,
        r"(?:MissingConfig|ConfigComposition|OverrideParse)Exception$",
        r"(?:ConfigKey|ConfigAttribute|InterpolationKey|DeepSpeedConfig|Validation|Argument|TOMLDecode)Error$",
        r"ScannerError$|yaml\.parser\.ParserError$",
        r"MissingMandatoryValue$",
    ),
    _both(kinds.CONFIG_ERROR, r"(?:JSON|Hjson)DecodeError$", stack=r"(?i)conf"),
)
# Last, since only the place says it: whatever was raised while a checkpoint was written or read.
_PLACES: Final = (
    _stack(
        kinds.CHECKPOINT_FAILURE,
        r"in (?:_?save_checkpoint|_save_zero_checkpoint|_save_optimizer_and_scheduler|dist_save|save_pretrained)\b",
        r"in (?:save_state|save_model)\b",
        r"safetensors/torch\.py in save",
        r"torch/serialization\.py in (?:save|_save)\b",
        action="save",
    ),
    _stack(
        kinds.CHECKPOINT_FAILURE,
        r"in (?:_?load_checkpoint|_load_zero_checkpoint|_load_from_checkpoint|_load_rng_state)\b",
        r"in (?:_load_optimizer_and_scheduler|load_state_dict|_load_state_dict_into_model)\b",
        r"torch/serialization\.py in (?:load|_load|_legacy_load)\b",
        action="load",
    ),
)
FAMILIES: Final = (
    *_STOPS, *_DEVICES, *_HOST, *_NETWORK, *_PACKAGES, *_CHECKPOINTS, *_CONFIGURATIONS, *_PLACES,
)  # fmt: skip


def classify(raised: Raised) -> Class:
    """The kind of event that owns this exception, with the data that its message gives."""
    for family in FAMILIES:
        if family.fits(raised):
            details = _DETAILS.get(family.kind)
            return Class(family.kind, {**family.data, **(details(raised) if details else {})})
    return Class("", {})


_NUMBERED: Final = Lazy(r"got signal: (?P<number>\d{1,4})")
_RETURNED: Final = Lazy(r"returned non-zero exit status (?P<code>\d{1,4})|died with <Signals\.(?P<signal>SIG[A-Z0-9]+)")
_WAITED: Final = Lazy(r"Timed out waiting (\d{1,12})ms|ran for (\d{1,12}) milliseconds")
_PACKAGE: Final = Lazy(r"No module named '?([\w-]+)|from '([\w-]+)|/site-packages/([\w-]+)|^module '([\w-]+)")


def _signal(raised: Raised) -> dict[str, Value]:
    found = _NUMBERED.search(raised.message)
    number = int(found["number"]) if found else 15
    return {"number": number, "signal": SIGNALS.get(number, f"signal {number}"), "sender": "torchrun" if found else "lightning"}


def _child(raised: Raised) -> dict[str, Value]:
    found = _RETURNED.search(raised.message)
    code = (-NUMBERS.get(found["signal"], 0) if found["signal"] else int(found["code"])) if found else 1
    launcher = (
        "accelerate" if "accelerate/" in raised.stack else "deepspeed" if "deepspeed/" in raised.stack else "torch.distributed"
    )
    return {"launcher": launcher, "exit_code": code, "signal": signal_of(code), "is_collateral": is_terminated(code)}


def _timeout(raised: Raised) -> dict[str, Value]:
    found = _WAITED.search(raised.message)
    return {"timeout_ms": int(found[1] or found[2])} if found else {}


def _package(raised: Raised) -> dict[str, Value]:
    found = _PACKAGE.search(raised.message)
    name = next((group for group in found.groups() if group), None) if found else None
    return {"package": name} if name else {}


_DETAILS: Final[dict[str, Callable[[Raised], dict[str, Value]]]] = {
    kinds.SIGNAL: _signal,
    kinds.CHILD_FAILED: _child,
    kinds.COLLECTIVE_TIMEOUT: _timeout,
    kinds.DEPENDENCY_ERROR: _package,
}
