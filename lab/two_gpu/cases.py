"""The runs: which program, under which launcher, in which environment, and what must be found in its log."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Final

VERSIONS: Final = ("0.12.3", "0.12.4", "0.12.6", "0.14.0", "0.14.3", "0.16.4", "0.17.3", "0.18.5", "0.19.3")
"""DeepSpeed before, at and after the change that made the overlap race with several parameter groups, and up to its mend."""
SUPPORT: Final = ("hjson", "pydantic==2.12.5", "pydantic-core==2.41.5", "annotated-types", "typing-inspection")
"""What DeepSpeed imports and a plain installation of torch, accelerate and transformers lacks."""
BUCKETS: Final = {"small": 200_000, "large": 500_000_000}
SEEDS: Final = (1, 2)
RECORDER: Final = {
    "TORCH_FR_BUFFER_SIZE": "2000", "TORCH_NCCL_TRACE_BUFFER_SIZE": "2000", "TORCH_NCCL_DUMP_ON_TIMEOUT": "1",
    "TORCH_FR_DUMP_TEMP_FILE": "nccl_trace_rank_", "TORCH_NCCL_DEBUG_INFO_TEMP_FILE": "nccl_trace_rank_",
}  # fmt: skip
"""The names before and after torch 2.9."""


@dataclass(frozen=True)
class Case:
    """One run of two ranks. `deepspeed`: the version that is imported, '' for none; `rank`: the faulty one, None for a twin."""

    name: str
    program: str
    options: tuple[str, ...]
    launcher: str = "torchrun"
    deepspeed: str = ""
    config: dict[str, object] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    rank: int | None = None
    fault: str = "healthy"
    expected: tuple[str, ...] = ()
    cause: str = "none"
    """The root cause in words."""
    marks: tuple[str, ...] = ()
    """What the line of the first cause holds, any of these, for the provenance."""
    is_told: bool = True
    """Whether the log can say which rank was the faulty one: two ranks that call different collectives have no majority."""
    limit: float = 90.0
    """Seconds after which the run is stopped."""


@dataclass(frozen=True)
class Machine:
    """What there is to run on. `gpus` 0: CPUs and gloo, a smaller model. More `ranks` than GPUs share the first one."""

    gpus: int = 2
    ranks: int = 2

    @property
    def is_shared(self) -> bool:
        """Whether several ranks run on one GPU."""
        return 0 < self.gpus < self.ranks

    @property
    def options(self) -> tuple[str, ...]:
        """What the programs are told."""
        return ("--share",) if self.is_shared else ()


def race(machine: Machine, steps: int) -> list[Case]:
    """Every version × overlap × bucket × seed; first all versions with what is most suspected, so that a deadline costs seeds."""
    wanted = itertools.product(SEEDS, BUCKETS, (True, False), VERSIONS)
    return [_race(version, overlap, bucket, seed, machine, steps) for seed, bucket, overlap, version in wanted]


def _race(version: str, overlap: bool, bucket: str, seed: int, machine: Machine, steps: int) -> Case:
    config: dict[str, object] = {
        "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": 2, "gradient_clipping": 1.0,
        "bf16": {"enabled": True},
        "zero_optimization": {
            "stage": 2, "overlap_comm": overlap, "contiguous_gradients": True, "reduce_bucket_size": BUCKETS[bucket],
        },
        "zero_allow_untested_optimizer": True, "steps_per_print": 1_000_000,
    }  # fmt: skip
    small = () if machine.gpus else ("--seen", "64", "--width", "64", "--tokens", "16")
    options = ("--seed", str(seed), "--steps", str(steps if machine.gpus else 4), *small, *machine.options)
    cause = f"overlap_comm {str(overlap).lower()}, reduce_bucket_size {BUCKETS[bucket]}: what became of it is in outcome"
    name = f"race-ds{version}-{'overlap' if overlap else 'plain'}-{bucket}-s{seed}"
    return Case(name, "llava.py", options, deepspeed=version, config=config, fault="race", cause=cause, limit=240.0)


WAITED: Final = (
    "Watchdog caught collective operation timeout",
    "RuntimeError: [Rank 0]: Ranks 1 failed to pass",
    "Timed out waiting",
)
PARTED: Final = (*WAITED, "collectives on ranks. Rank 1 is running", "op.preamble.length")
FAULTS: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "rank_raises": ("rank 1's data file was missing", ("traceback",), ("FileNotFoundError: ",)),
    "rank_killed": ("rank 1 was killed with SIGKILL", ("killed-by-signal",), ("exitcode  : -9", "return code = -9")),
    "rank_sleeps": ("rank 1 stopped taking part for longer than the time-out", ("collective-timeout",), WAITED),
    "ranks_disagree": ("rank 1 gathered where rank 0 summed", ("collective-timeout", "communication-error"), PARTED),
    "sizes_disagree": ("rank 1 summed 5 numbers where rank 0 summed 17", ("collective-timeout", "communication-error"), PARTED),
    "lone_checkpoint": (
        "rank 0 saved a checkpoint alone and waited in a barrier", ("collective-timeout", "communication-error"),
        (*WAITED, "collectives on ranks. Rank 0 is running"),
    ),
}  # fmt: skip
"""Fault → its cause in words, what must be found (any), the marks of its line."""
UNTOLD: Final = {"ranks_disagree": ("plain", "info", "detail"), "sizes_disagree": ("plain", "info", "detail")}
"""Where nothing but a majority could say which rank is wrong; a flight recorder's dumps hold what both had called before."""
_RANKS: Final = {"lone_checkpoint": 0}
"""The faulty rank, 1 where none is named."""


def failures(machine: Machine) -> list[Case]:
    """Every fault and its healthy twin: alone, with NCCL's own log, with the flight recorder, under the other launchers."""
    settings = {
        "plain": {}, "info": {"NCCL_DEBUG": "INFO"}, "recorder": RECORDER, "detail": {"TORCH_DISTRIBUTED_DEBUG": "DETAIL"},
    }  # fmt: skip
    wanted = [("torchrun", name, fault) for name in settings for fault in ("healthy", *FAULTS)]
    wanted += [(launcher, "plain", fault) for launcher in ("deepspeed", "accelerate")
               for fault in ("healthy", "rank_raises", "rank_killed", "rank_sleeps")]  # fmt: skip
    return [_failure(launcher, name, settings[name], fault, machine) for launcher, name, fault in wanted]


def _failure(launcher: str, setting: str, environment: dict[str, str], fault: str, machine: Machine) -> Case:
    cause, expected, marks = FAULTS.get(fault, ("none", (), ()))
    options = ("--save-to", "checkpoint.pt") if fault == "lone_checkpoint" else ()
    is_told = machine.ranks > 2 or setting not in UNTOLD.get(fault, ())
    marks = marks if is_told else (*WAITED, "Detected mismatch between collectives")
    rank = None if fault == "healthy" else _RANKS.get(fault, 1)
    backend = ("--backend", "nccl", "--timeout", "20") if machine.gpus else ("--backend", "gloo", "--timeout", "10")
    at = ("--at", "20", "--rank", str(-1 if rank is None else rank))
    return Case(
        f"{fault}-{launcher}-{setting}", "torchrun_faults.py", (fault, *at, *backend, *options, *machine.options), launcher,
        VERSIONS[-1] if launcher == "deepspeed" else "", {}, environment, rank, fault, expected, cause, marks, is_told,
    )  # fmt: skip
