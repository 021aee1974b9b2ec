"""What an exception's name, message and stack say about it: the kind of event that owns it.

A traceback says that the program ended, its message mostly says why. `classify` turns the message into one of
`kinds.py` where that is beyond doubt and leaves the rest a plain traceback. The patterns are texts that torch,
DeepSpeed, transformers, accelerate, NCCL, Python and the C library print; each line of the table is one family.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from parsers import kinds
from parsers.lazy import Lazy
from parsers.model import Value

LAUNCHER: Final = "launcher"
"""An exception of the launcher itself: it repeats that a child ended, and says nothing of its own."""

MAX_MESSAGE: Final = 240
"""Characters of a message that are kept."""

SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
}  # fmt: skip
NUMBERS: Final = {name: number for number, name in SIGNALS.items()}


def signal_of(exit_code: int) -> str:
    """The signal behind an exit code (−9, 137 and 247 are SIGKILL), or '' where it is a plain exit."""
    if exit_code < 0:
        return SIGNALS.get(-exit_code, f"signal {-exit_code}")
    if 128 < exit_code <= 160:
        return SIGNALS.get(exit_code - 128, "")
    return SIGNALS.get(256 - exit_code, "") if exit_code >= 240 else ""


class Raised(NamedTuple):
    """One exception line: `stack` is the text of its frames (files, functions, source lines), innermost last."""

    name: str
    message: str
    stack: str = ""


class Class(NamedTuple):
    """What an exception is: a kind of `kinds.py`, `LAUNCHER`, or '' for a plain one. `data` belongs into its event."""

    kind: str
    data: dict[str, Value]


class _Family(NamedTuple):
    kind: str
    name: Lazy | None = None
    message: Lazy | None = None
    stack: Lazy | None = None
    data: dict[str, Value] = {}  # noqa: RUF012 - never changed

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


# In order: what is certain before what is likely, hardware and memory before their echoes.
_FAMILIES: Final = (
    _name(kinds.INTERRUPTED, r"\bKeyboardInterrupt$"),
    _Family(kinds.INTERRUPTED, Lazy(r"SignalException$"), Lazy(r"got signal: 2\b")),
    _Family(kinds.SIGNAL, Lazy(r"SignalException$"), Lazy(r"got signal: \d+")),
    _name(LAUNCHER, r"ChildFailedError$", r"ProcessRaisedException$", r"ProcessExitedException$"),
    _Family(
        LAUNCHER, Lazy(
            r"CalledProcessError$"
        ), None, Lazy(r"accelerate/commands/|torch/distributed/(?:launch|run)|deepspeed/launcher")
    ),
    _Family(LAUNCHER, Lazy(r"NameError$"), Lazy(r"free variable 'kill_cmd'")),
    _message(kinds.SCALE_MINIMUM, r"Current loss scale already at minimum", r"Minimum loss scale reached"),
    _message(
        kinds.CUDA_OOM, r"(?:CUDA|HIP|XPU|NPU|MPS backend)(?: error:)? out of memory", r"CUBLAS_STATUS_ALLOC_FAILED",
        r"RESOURCE_EXHAUSTED: Out of memory",
    ),
    _message(
        kinds.HARDWARE, r"uncorrectable ECC", r"uncorrectable NVLink", r"fallen off the bus", r"CUDA error: hardware stack error",
        r"Error 802: system not yet init",
    ),
    _message(
        kinds.DEVICE_ASSERT, r"device-side assert triggered", r"illegal memory access", r"CUDA error: misaligned address",
        r"CUDA error: an illegal instruction", r"CUDA error: unspecified launch failure", r"CUBLAS_STATUS_EXECUTION_FAILED",
    ),
    _message(
        kinds.DATALOADER, r"DataLoader worker \(pid", r"DataLoader worker exited unexpectedly", r"received 0 items of ancdata",
        r"Communication with the workers is no longer possible", r"out of shared memory",
        r"unable to (?:write to file|open shared memory object|mmap [\w ]{1,40} from file) <?/torch_",
    ),
    _message(
        kinds.DISK_FULL, r"No space left on device", r"[Dd]isk quota exceeded", r"\(os error 28\)", r"\[Errno 28\]",
        r"\[Errno 122\]"
    ),
    _message(kinds.COLLECTIVE_TIMEOUT, r"collective operation timeout", backend="nccl"),
    _message(kinds.COLLECTIVE_TIMEOUT, r"Timed out waiting \d+ms for (?:send|recv)", backend="gloo"),
    _message(
        kinds.COLLECTIVE_TIMEOUT, r"store->get\('[^']*'\) got error: (?:Socket Timeout|wait timeout)", r"monitoredBarrier",
        backend="store",
    ),
    _message(
        kinds.COMMUNICATION_ERROR, r"Connection (?:closed by|reset by)(?: remote)? peer", r"ncclRemoteError",
        r"remote process exited", r"[Bb]roken pipe", is_peer=True,
    ),
    _name(kinds.COMMUNICATION_ERROR, r"^ncclRemoteError$", r"BrokenPipeError$", r"ConnectionResetError$", r"EOFError$",
    is_peer=True),
    _name(
        kinds.COMMUNICATION_ERROR, r"^nccl[A-Z]", r"Dist(?:Backend|Network|Store)Error", r"ActorDiedError$",
        r"ActorUnavailableError$",
        r"Rendezvous\w*(?:Error|Exception|Timeout)$",
    ),
    _message(
        kinds.COMMUNICATION_ERROR, r"\bNCCL [Ee]rror", r"\bnccl(?:SystemError|InternalError|InvalidUsage|UnhandledCudaError)",
        r"EADDRINUSE", r"[Aa]ddress already in use", r"client socket has timed out", r"Connection refused", r"/gloo/transport/",
        r"Timed out after \d+ seconds waiting for clients", r"ibv_\w+ failed", r"HCCL function error",
    ),
    _message(
        kinds.HOST_OOM, r"DefaultCPUAllocator: (?:can't|not enough)", r"Cannot allocate memory", r"std::bad_alloc",
        r"node running low on memory", r"exceeds the memory usage threshold",
    ),
    _name(kinds.HOST_OOM, r"^MemoryError$", r"ArrayMemoryError$", r"ray\.exceptions\.OutOfMemoryError$"),
    _name(
        kinds.DEPENDENCY_ERROR, r"^(?:ImportError|ModuleNotFoundError)$", r"PackageNotFoundError$", r"CUDAMismatchException$",
        r"VersionConflict$", r"DistributionNotFound$",
    ),
    _message(
        kinds.DEPENDENCY_ERROR, r"undefined symbol", r"cannot open shared object file", r"GLIBC(?:XX)?_\d", r"cannot import name",
        r"does not match the version torch was compiled with", r"Error building extension", r"Ninja is required",
        r"No module named",
        r"Failed to import \w[\w.]* because of the following error", r"numpy\.dtype size changed", r"compiled using NumPy 1",
        r"no kernel image is available", r"Distributed package doesn't have", r"not compiled with CUDA",
        r"library is not available",
        r"driver on your system is too old", r"'FieldInfo' object has no attribute", r"has no attribute 'ds_opt_\w+'",
        r"is required for a normal functioning of this module", r"not compatible with the current PyTorch",
        r"failed to import on the worker",
        r"^module '(?:numpy|torch|transformers|deepspeed|accelerate|peft|trl|triton|"
        r"flash_attn|xformers|bitsandbytes|pydantic)[\w.]*' has no",
    ),
    _message(
        kinds.CHECKPOINT_FAILURE, r"PytorchStreamWriter failed", r"inline_container\.cc", r"iostream error", r"file write failed",
        action="save",
    ),
    _message(
        kinds.CHECKPOINT_FAILURE, r"Error\(s\) in loading state_dict", r"size mismatch for", r"Weights only load failed",
        r"PytorchStreamReader failed", r"failed finding central directory", r"valid checkpoint", r"checkpoint being loaded",
        r"does not appear to have a file named", r"deserializing header", r"HeaderTooLarge", r"MetadataIncompleteBuffer",
        r"InvalidHeaderDeserialization", r"invalid load key", r"not correctly loaded", r"not a valid safetensors",
        r"does not contain (?:a )?(?:LoRA|pre-?trained) weight", action="load",
    ),
    _message(
        kinds.CONFIG_ERROR, r"Check batch related parameters", r"mismatch TrainingArguments values",
        r"cannot be simultaneously enabled",
        r"`--mixed_precision` arg cannot be", r"is not supported on your device", r"validation errors? for",
        r"is not divisible by",
        r"must be divisible by", r"CUDA_DEVICE_MAX_CONNECTIONS", r"incompatible with gradient partitioning", r"CONFIG ERROR",
        r"got an unexpected keyword argument 'evaluation_strategy'", r"not used by the HfArgumentParser",
        r"not in the allowed config keys", r"Your setup doesn't support bf16",
        r"Expected a string path to an existing deepspeed config",
    ),
    _Family(kinds.CONFIG_ERROR, Lazy(
        r"TypeError$"
    ), Lazy(r"(?:Arguments|Config)\.__init__\(\) got an unexpected keyword argument")),
    _name(
        kinds.CONFIG_ERROR, r"MissingConfigException$", r"ConfigKeyError$", r"ConfigAttributeError$",
        r"ConfigCompositionException$",
        r"InterpolationKeyError$", r"OverrideParseException$", r"ScannerError$", r"yaml\.parser\.ParserError$",
        r"TOMLDecodeError$",
        r"DeepSpeedConfigError$", r"ValidationError$", r"MissingMandatoryValue$", r"ArgumentError$",
    ),
    _Family(kinds.CONFIG_ERROR, Lazy(r"JSONDecodeError$|HjsonDecodeError$"), None, Lazy(r"(?i)conf")),
    _stack(
        kinds.CHECKPOINT_FAILURE, r"in (?:_?save_checkpoint|_save_zero_checkpoint|save_pretrained)\b",
        r"in (?:_save_optimizer_and_scheduler|dist_save)\b",
        r"in (?:save_state|save_model)\b", r"safetensors/torch\.py in save", r"torch/serialization\.py in (?:save|_save)\b",
        action="save",
    ),
    _stack(
        kinds.CHECKPOINT_FAILURE, r"in (?:_?load_checkpoint|_load_zero_checkpoint|_load_from_checkpoint|_load_rng_state)\b",
        r"in (?:_load_optimizer_and_scheduler|load_state_dict|_load_state_dict_into_model)\b",
        r"torch/serialization\.py in (?:load|_load|_legacy_load)\b", action="load",
    ),
)  # fmt: skip

_NUMBERED: Final = Lazy(r"got signal: (?P<number>\d+)")


def classify(raised: Raised) -> Class:
    """The kind of event that owns this exception, with the data that its message gives."""
    for family in _FAMILIES:
        if family.fits(raised):
            return Class(family.kind, {**family.data, **_details(family.kind, raised)})
    return Class("", {})


def _signal(raised: Raised) -> dict[str, Value]:
    found = _NUMBERED.search(raised.message)
    number = int(found["number"]) if found else 0
    return {"number": number, "signal": SIGNALS.get(number, f"signal {number}"), "sender": "torchrun"}


_WAITED: Final = Lazy(r"Timed out waiting (\d+)ms|ran for (\d+) milliseconds")


def _timeout(raised: Raised) -> dict[str, Value]:
    found = _WAITED.search(raised.message)
    return {"timeout_ms": int(found[1] or found[2])} if found else {}


_PACKAGE: Final = Lazy(r"No module named '?([\w-]+)|from '([\w-]+)|/site-packages/([\w-]+)|^module '([\w-]+)")


def _package(raised: Raised) -> dict[str, Value]:
    found = _PACKAGE.search(raised.message)
    name = next((group for group in found.groups() if group), None) if found else None
    return {"package": name} if name else {}


_DETAILS: Final[dict[str, Callable[[Raised], dict[str, Value]]]] = {
    kinds.SIGNAL: _signal,
    kinds.COLLECTIVE_TIMEOUT: _timeout,
    kinds.DEPENDENCY_ERROR: _package,
}


def _details(kind: str, raised: Raised) -> dict[str, Value]:
    details = _DETAILS.get(kind)
    return details(raised) if details else {}


_LINE: Final = Lazy(r"(?P<name>[A-Za-z_][\w.]*(?:\([\w.]{1,80}\))?)(?:: ?(?P<message>.*))?$")
_SUFFIX: Final = Lazy(
    r"(?:Error|Exception|Interrupt|Exit|Fail(?:ure|ed)|Fault|Timeout|TimedOut|Iteration|Hit|Killed|"
    r"Expired|Abort(?:ed)?|NotFound|Refused)$"
)
_TORN: Final = Lazy(r"([A-Z][A-Za-z]{2,60}?(?:Error|Exception|Interrupt))(?![a-z_])")
_IMPORT: Final = Lazy(r"(?:E +)?(?P<message>cannot import name '[\w.]{1,80}' from '[\w.]{1,120}'.*)")
_TOO_GENERAL: Final = frozenset({"Error", "Exception", "error", "InternalError", "CompileError"})


def parse(text: str) -> tuple[str, str] | None:
    """`module.NameError: message` → (name, message), or None where the line is no exception's."""
    found = _LINE.match(text[:2000])
    if not found:
        return None
    name = found["name"].partition("(")[0]
    last = name.rpartition(".")[2]
    is_dotted = "." in name and last[:1].isupper() and not last.isupper()
    if not (is_dotted or _SUFFIX.search(last)) or ".." in name or name.endswith("."):
        return None
    return name, (found["message"] or "").strip()[:MAX_MESSAGE]


def parse_bare(text: str) -> tuple[str, str] | None:
    """An exception line that stands alone, without its stack: stricter, since prose looks alike."""
    if found := _IMPORT.match(text):
        return "ImportError", found["message"][:MAX_MESSAGE]
    raised = parse(text)
    if raised is None or not raised[1] or not _SUFFIX.search(raised[0]):
        return None
    if raised[0] in _TOO_GENERAL and not classify(Raised(*raised)).kind:
        return None
    return raised


def find_torn(text: str) -> list[str]:
    """Names of exceptions in a line that several processes wrote into at once."""
    return [found[1] for found in _TORN.finditer(text[:2000])]
