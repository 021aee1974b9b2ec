"""DeepSpeed's configuration as the engine prints it, its version, and what it says while it builds the optimizer.

Printed by `deepspeed/runtime/config.py` (`print`, `print_user_config`), `engine.py` and `zero/stage_1_and_2.py`, at level
INFO: hidden by default from 0.17.6 on. Sub-configurations and the user's JSON go on over lines without a prefix:

    [2023-12-08 10:10:20,345] [INFO] [logging.py:96:log_dist] [Rank 0] DeepSpeed info: version=0.12.3, git-hash=unknown, …
    [2023-12-08 10:10:22,001] [INFO] [config.py:984:print]   bfloat16_enabled ............. True
    [2023-12-08 10:10:22,001] [INFO] [config.py:984:print]   zero_config .................. stage=2 overlap_comm=True …
    [2023-12-08 10:10:22,001] [INFO] [config.py:970:print_user_config]   json = {
        "train_batch_size": 4,
        "steps_per_print": inf
    }

The dump is the resolved truth: it stands before the user's own words in the file, and so is preferred over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import dsconfig, packages
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, SourceRef
from parsers.registry import text_reader
from parsers.values import scalar

MAX_LINES = 600
"""Lines of one JSON block: the longest of 0.19 has about 60, users' sparse attention tables a few hundred."""

_VERSION = Lazy(r"DeepSpeed info: version=(?P<version>[^\s,]+)")
_ROW = Lazy(r":print\] {1,3}(?P<name>[a-z][a-z0-9_]{2,60}) (?:\.* |)\s?(?P<value>\S.*)$")
_OPTIMIZER = Lazy(r"Creating (?P<dtype>[\w.]+) ZeRO stage (?P<stage>\d) optimizer")
_JSON_LINE = Lazy(r"\s*(?:[{}\"\]]|\[(?!20|rank|INFO|WARN)|-?[\d.]+(?:e[-+]?\d+)?,?\s*$|(?:null|true|false|inf|nan),?\s*$)")
_LINE_NUMBER = Lazy(r"\[logging\.py:(?P<line>\d+):log_dist\]")
_MARKS = (
    (Lazy(r"\] Reduce bucket size (?P<value>[\d,]+)"), "zero_optimization.reduce_bucket_size"),
    (Lazy(r"\] Allgather bucket size (?P<value>[\d,]+)"), "zero_optimization.allgather_bucket_size"),
    (Lazy(r"Creating fp16 (?:unfused )?optimizer with static loss scale: (?P<value>[\d.]+)"), "fp16.loss_scale"),
)
# logging.py's line in log_dist → the releases that have it there (tags compared). Weak: forks and patches move it.
FINGERPRINTS = {
    60: "0.3", 68: "0.5-0.7", 69: "0.6-0.7", 93: "0.8", 96: "0.9.2-0.14.5", 128: "0.15.4-0.16.0", 107: "0.16.9-0.17.6",
    123: ">=0.18.9",
}  # fmt: skip


@text_reader(
    "deepspeed_config",
    title="DeepSpeed configuration dump, version and engine set-up",
    hints=(
        "DeepSpeed info: version=", ":print]", ":print_user_config]", "ZeRO stage", "Reduce bucket size", "Allgather bucket size",
        "CPU Offload: True", "Creating BF16 optimizer", "static loss scale:", ":log_dist]",
    ),
    example="[2023-12-08 10:10:20,345] [INFO] [logging.py:96:log_dist] [Rank 0] DeepSpeed info: version=0.12.3, git-hash=unknown",
    is_by_rank=True,
)  # fmt: skip
class DeepSpeedConfig:
    """Reads rows of the dump; takes in the lines that go on with a JSON block."""

    def __init__(self) -> None:
        self.hungry = False
        self._name = ""
        self._block: list[tuple[str, SourceRef]] = []
        self._first: SourceRef | None = None
        self._depth = 0
        self._has_fingerprint = False

    def feed(self, line: Line) -> Iterable[Record]:
        """Facts of one line, or another line of a block."""
        if self.hungry and not self._goes_on(line.text):
            yield from self._finish()
        if self.hungry:
            self._take(line.text, line.ref)
            if self._depth <= 0 or len(self._block) >= MAX_LINES:
                yield from self._finish()
            return
        yield from self._line(line)

    def refutes(self, _: Iterable[bytes], __: bytes) -> bool:
        """Whether a plain line of the engine has nothing to say: its line number in `logging.py` is known."""
        return self._has_fingerprint and not self.hungry

    def close(self) -> Iterable[Record]:
        """A block that was cut off still says what it got to."""
        yield from self._finish()

    def _line(self, line: Line) -> Iterator[Record]:
        text = line.text
        if ":print_user_config]" in text and "json = {" in text:
            self._open("json", "{", line)
        elif ":print]" in text:
            row = _ROW.search(text)
            if row and row["value"].startswith("{") and not row["value"].endswith("}"):
                self._open(row["name"], row["value"], line)
            elif row:
                yield from dsconfig.engine_facts(row["name"], row["value"], line.ref)
        else:
            yield from self._message(line)

    def _message(self, line: Line) -> Iterator[Record]:
        text, ref = line.text, line.ref
        version = _VERSION.search(text)
        if version:
            yield from packages.facts("deepspeed", version["version"], ref)
        built = _OPTIMIZER.search(text)
        if built:
            yield dsconfig.fact("zero_optimization.stage", int(built["stage"]), ref)
            if built["dtype"].startswith("torch."):
                yield dsconfig.fact("bf16.enabled", built["dtype"] == "torch.bfloat16", ref)
                yield dsconfig.fact("fp16.enabled", built["dtype"] == "torch.float16", ref)
        if "Creating BF16 optimizer" in text:
            yield dsconfig.fact("bf16.enabled", True, ref)
        if "] CPU Offload: True" in text:
            yield dsconfig.fact("zero_optimization.offload_optimizer.device", "cpu", ref)
        for pattern, key in _MARKS:
            found = pattern.search(text)
            if found:
                yield dsconfig.fact(key, dsconfig.plain(scalar(found["value"].replace(",", ""))), ref)
        yield from self._fingerprint(line)

    def _fingerprint(self, line: Line) -> Iterator[Record]:
        found = None if self._has_fingerprint else _LINE_NUMBER.search(line.text)
        if found:
            self._has_fingerprint = True
            releases = FINGERPRINTS.get(int(found["line"]) if len(found["line"]) < 6 else 0)
            if releases:
                yield Fact("run:deepspeed_line_fingerprint", releases, line.ref, 0)

    def _open(self, name: str, text: str, line: Line) -> None:
        self.hungry, self._name, self._first = True, name, line.ref
        self._block, self._depth = [], 0
        self._take(text, line.ref)

    def _goes_on(self, text: str) -> bool:
        """Whether this may be a line of JSON: other output between its lines is passed over, a new row ends it."""
        return ":print" not in text

    def _take(self, text: str, ref: SourceRef) -> None:
        """Adds a line of JSON; another program's line between them only counts towards the limit."""
        is_json = bool(_JSON_LINE.match(text))
        self._block.append((text if is_json else "", ref))
        if is_json:
            self._depth += text.count("{") - text.count("}")

    def _finish(self) -> Iterator[Record]:
        if not self._first:
            return
        block, ref, name = self._block, self._first, self._name
        text = "\n".join(line for line, _ in block) + "}" * max(0, self._depth)
        self.hungry, self._first, self._block = False, None, []
        if name == "json":
            config = dsconfig.loads(text)
            if config is not None:
                yield from dsconfig.facts(config, block)
        else:
            yield from dsconfig.engine_facts(name, text, ref)
