"""Launch commands as shells, job scripts and wrappers echo them.

    + deepspeed --include localhost:0,1 llava/train/train_mem.py --deepspeed ./scripts/zero2.json …     bash -x
    torchrun --nproc_per_node=8 train.py --bf16 True
    accelerate launch --num_processes 4 --config_file zero3.yaml sft.py
    cmd = deepspeed main.py --data_path Dahoas/rm-static
    python3 -m torch.distributed.run --nproc_per_node 4 train.py

Lines of a script that go on with a backslash are read as one command.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from parsers import command, projects
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Record, SourceRef
from parsers.registry import text_reader
from parsers.sated import sated

MAX_LINES = 150
_STARTS = Lazy(
    r"(?:\++ |\$ |# |> )?(?:(?:Running |Executing |Launching |Launch |[Cc]ommand|[Cc][Mm][Dd]|args)"
    r"(?: line)?s?:? ?[=:]? ?[`'\"]?)?"
    r"(?P<command>(?:[A-Z][A-Z0-9_]*=\S* )*(?:nohup )?(?:\S*/)?"
    r"(?:deepspeed|torchrun|accelerate launch|llamafactory-cli train|swift (?:sft|pt|rlhf)"
    r"|axolotl train|trl \w+|srun .{0,300}?python3?|python3? (?:-u )?(?:-m )?\S{3,200}) .+)"
)
_TRAINS = ("--", ".py", ".yaml", ".yml", "launch", "train")


@text_reader(
    "command_line",
    title="Launch commands (deepspeed, torchrun, accelerate launch, python -m …)",
    hints=(
        "deepspeed ", "torchrun ", "accelerate launch", "llamafactory-cli", "swift sft", "swift pt ", "swift rlhf",
        "axolotl train", "trl sft",
        "trl dpo", "trl grpo", "python -m ", "python3 -m ", ".py --", ".py \\", *projects.HINTS,
    ),
    example="torchrun --nproc_per_node=8 llava/train/train_mem.py --deepspeed ./scripts/zero3.json --bf16 True",
)  # fmt: skip
@sated
class CommandLine:
    """Reads commands; a path of a known project elsewhere (a traceback, a banner) names the project."""

    def __init__(self) -> None:
        self.hungry = False
        self._parts: list[str] = []
        self._ref: SourceRef | None = None
        self._commands: set[str] = set()
        self._projects: set[str] = set()

    def feed(self, line: Line) -> Iterable[Record]:
        """Facts of a command once it is complete."""
        text = line.text.strip()
        if self.hungry:
            self._parts.append(text.rstrip("\\ "))
            if not text.endswith("\\") or len(self._parts) >= MAX_LINES:
                yield from self._finish()
            return
        found = _STARTS.match(text) if len(text) < 20_000 else None
        if found and any(mark in found["command"] for mark in _TRAINS) and not _is_prose(found["command"]):
            self._parts, self._ref = [found["command"].rstrip("\\ `'\"")], line.ref
            self.hungry = text.endswith("\\")
            if not self.hungry:
                yield from self._finish()
            return
        yield from self._mark(line)

    def close(self) -> Iterable[Record]:
        """A command that was cut off still says what it got to."""
        yield from self._finish()

    def _finish(self) -> Iterator[Record]:
        if self._ref is None:
            return
        text, ref = " ".join(self._parts), self._ref
        self.hungry, self._parts, self._ref = False, [], None
        if text not in self._commands and len(self._commands) < 50:
            self._commands.add(text)
            yield from command.facts(command.words(text), ref)

    def _mark(self, line: Line) -> Iterator[Record]:
        name = projects.project(line.text[:2000])
        if name and name not in self._projects:
            self._projects.add(name)
            yield from projects.facts(name, line.ref, 1)


def _is_prose(text: str) -> bool:
    """`torchrun is deprecated …`, `deepspeed info … 0.12`: a command's second word is an option, a path or an override."""
    parts = [part for part in text.split()[:40] if "=" not in part.partition("/")[0] or part.startswith("-")]
    first = next((i for i, part in enumerate(parts) if part.rpartition("/")[2] in command.LAUNCHERS), 0)
    after = parts[first + 1 : first + 3]
    looks = [p for p in after if p.startswith("-") or p.endswith((".py", ".yaml", ".yml")) or "/" in p]
    return not looks and not (after and after[0] in ("launch", "train", "sft", "pt", "rlhf", "dpo", "grpo"))
