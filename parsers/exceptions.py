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


def _message(kind: str, pattern: str, **data: Value) -> _Family:
    return _Family(kind, message=Lazy(pattern), data=data)


def _name(kind: str, pattern: str, **data: Value) -> _Family:
    return _Family(kind, name=Lazy(pattern), data=data)


# In order: what is certain before what is likely, hardware and memory before their echoes.
_FAMILIES: Final = (
    _name(kinds.INTERRUPTED, r"\bKeyboardInterrupt$"),
    _Family(kinds.INTERRUPTED, Lazy(r"SignalException$"), Lazy(r"got signal: 2\b")),
    _Family(kinds.SIGNAL, Lazy(r"SignalException$"), Lazy(r"got signal: \d+")),
    _Family(LAUNCHER, Lazy(r"ChildFailedError$|ProcessRaisedException$|ProcessExitedException$")),
    _Family(LAUNCHER, Lazy(r"CalledProcessError$"), None, Lazy(r"accelerate/commands/|torch/distributed/(?:launch|run)|deepspeed/launcher")),
    _Family(LAUNCHER, Lazy(r"NameError$"), Lazy(r"free variable 'kill_cmd'")),
    _message(kinds.SCALE_MINIMUM, r"Current loss scale already at minimum|Minimum loss scale reached"),
    _message(kinds.CUDA_OOM, r"(?:CUDA|HIP|XPU|NPU|MPS backend)[^\n]{0,20} out of memory|CUBLAS_STATUS_ALLOC_FAILED|RESOURCE_EXHAUSTED: Out of memory"),
    _message(kinds.HARDWARE, r"uncorrectable ECC|uncorrectable NVLink|fallen off the bus|CUDA error: hardware stack error|Error 802: system not yet init"),
    _message(kinds.DEVICE_ASSERT, r"device-side assert triggered|illegal memory access|CUDA error: misaligned address|CUDA error: an illegal instruction|CUDA error: unspecified launch failure|CUBLAS_STATUS_EXECUTION_FAILED"),
    _message(kinds.DATALOADER, r"DataLoader worker \(pid|DataLoader worker exited unexpectedly|Communication with the workers is no longer possible|received 0 items of ancdata|unable to (?:write to file|open shared memory object|mmap [\w ]+ from file) <?/torch_|out of shared memory"),
    _message(kinds.DISK_FULL, r"No space left on device|[Dd]isk quota exceeded|\(os error 28\)|\[Errno 28\]|\[Errno 122\]"),
    _message(kinds.COLLECTIVE_TIMEOUT, r"collective operation timeout", backend="nccl"),
    _message(kinds.COLLECTIVE_TIMEOUT, r"Timed out waiting (?P<timeout_ms>\d+)ms for (?:send|recv)", backend="gloo"),
    _message(kinds.COLLECTIVE_TIMEOUT, r"store->get\('[^']*'\) got error: (?:Socket Timeout|wait timeout)|Rank \d+ successfully reached monitoredBarrier|monitoredBarrier", backend="store"),
    _message(kinds.COMMUNICATION_ERROR, r"Connection (?:closed by|reset by)(?: remote)? peer|ncclRemoteError|remote process exited|[Bb]roken pipe", is_peer=True),
    _name(kinds.COMMUNICATION_ERROR, r"BrokenPipeError$|ConnectionResetError$|EOFError$", is_peer=True),
    _name(kinds.COMMUNICATION_ERROR, r"Dist(?:Backend|Network|Store)Error|Rendezvous\w*(?:Error|Exception|Timeout)$|ActorDiedError$|ActorUnavailableError$"),
    _message(kinds.COMMUNICATION_ERROR, r"\bNCCL [Ee]rror|\bnccl(?:SystemError|InternalError|InvalidUsage|UnhandledCudaError)|EADDRINUSE|[Aa]ddress already in use|client socket has timed out|Timed out after \d+ seconds waiting for clients|/gloo/transport/|Connection refused|ibv_\w+ failed|HCCL function error"),
    _message(kinds.HOST_OOM, r"DefaultCPUAllocator: (?:can't|not enough)|Cannot allocate memory|std::bad_alloc|node running low on memory|exceeds the memory usage threshold"),
    _name(kinds.HOST_OOM, r"^MemoryError$|numpy\S*\.\w*MemoryError$|ray\.exceptions\.OutOfMemoryError$"),
    _name(kinds.DEPENDENCY_ERROR, r"^(?:ImportError|ModuleNotFoundError)$|PackageNotFoundError$|CUDAMismatchException$|VersionConflict$|DistributionNotFound$"),
    _message(kinds.DEPENDENCY_ERROR, r"undefined symbol|cannot open shared object file|GLIBCXX?_\d|does not match the version torch was compiled with|Error building extension|Ninja is required|Failed to import \w[\w.]* because of the following error|cannot import name|No module named|numpy\.dtype size changed|compiled using NumPy 1|no kernel image is available|Distributed package doesn't have|not compiled with CUDA|driver on your system is too old|'FieldInfo' object has no attribute|has no attribute 'ds_opt_\w+'|FieldInfo|library is not available|is required for a normal functioning of this module|not compatible with the current PyTorch"),
    _message(kinds.DEPENDENCY_ERROR, r"^module '(?:numpy|torch|transformers|deepspeed|accelerate|peft|trl|triton|flash_attn|xformers|bitsandbytes|pydantic)[\w.]*' has no attribute"),
    _Family(kinds.CHECKPOINT_FAILURE, None, Lazy(r"PytorchStreamWriter failed|inline_container\.cc|iostream error|file write failed"), data={"action": "save"}),
    _message(kinds.CHECKPOINT_FAILURE, r"Error\(s\) in loading state_dict|size mismatch for|Weights only load failed|PytorchStreamReader failed|failed finding central directory|valid checkpoint|checkpoint being loaded|does not appear to have a file named|deserializing header|HeaderTooLarge|MetadataIncompleteBuffer|InvalidHeaderDeserialization|invalid load key|not correctly loaded|does not contain (?:a )?(?:LoRA|pre-?trained) weight|not a valid safetensors", action="load"),
    _message(kinds.CONFIG_ERROR, r"Check batch related parameters|mismatch TrainingArguments values|cannot be simultaneously enabled|`--mixed_precision` arg cannot be|is not supported on your device|validation errors? for|is not divisible by|must be divisible by|CUDA_DEVICE_MAX_CONNECTIONS|incompatible with gradient partitioning|got an unexpected keyword argument 'evaluation_strategy'|not used by the HfArgumentParser|not in the allowed config keys|CONFIG ERROR|Your setup doesn't support bf16|only supported on CUDA|argument of type .{1,20} is not a valid config|Expected a (?:string path to an existing deepspeed config|dict)"),
    _Family(kinds.CONFIG_ERROR, Lazy(r"TypeError$"), Lazy(r"(?:Arguments|Config)\.__init__\(\) got an unexpected keyword argument")),
    _name(kinds.CONFIG_ERROR, r"MissingConfigException$|ConfigKeyError$|ConfigAttributeError$|ConfigCompositionException$|InterpolationKeyError$|OverrideParseException$|ScannerError$|ParserError$|TOMLDecodeError$|DeepSpeedConfigError$|ValidationError$|MissingMandatoryValue$|ArgumentError$"),
    _Family(kinds.CONFIG_ERROR, Lazy(r"JSONDecodeError$|HjsonDecodeError$"), None, Lazy(r"(?i)conf")),
    _Family(kinds.CHECKPOINT_FAILURE, None, None, Lazy(r"in (?:_?save_checkpoint|_save_zero_checkpoint|save_pretrained|_save_optimizer_and_scheduler|save_state|dist_save|save_model)\b|safetensors/torch\.py\S* in save|torch/serialization\.py\S* in (?:save|_save)\b"), {"action": "save"}),
    _Family(kinds.CHECKPOINT_FAILURE, None, None, Lazy(r"in (?:_?load_checkpoint|_load_zero_checkpoint|_load_from_checkpoint|_load_rng_state|_load_optimizer_and_scheduler|load_state_dict|_load_state_dict_into_model)\b|torch/serialization\.py\S* in (?:load|_load|_legacy_load)\b"), {"action": "load"}),
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
    r"(?:Error|Exception|Interrupt|Exit|Fail(?:ure|ed)|Fault|Timeout|TimedOut|Iteration|Hit|Killed|Expired|Abort(?:ed)?|NotFound|Refused)$"
)
_TORN: Final = Lazy(r"([A-Z][A-Za-z]{2,60}?(?:Error|Exception|Interrupt))(?![a-z_])")
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
    found = parse(text)
    if found is None or not found[1] or not _SUFFIX.search(found[0]) or found[0] in _TOO_GENERAL:
        return None
    return found


def find_torn(text: str) -> list[str]:
    """Names of exceptions in a line that several processes wrote into at once."""
    return [found[1] for found in _TORN.finditer(text[:2000])]
