"""What two runs that differ in one thing answer: the good run is the experiment that a cause asks for (`tried:` facts).

Two runs that differ in several things answer nothing, and a change that no cause asks about may be the one that matters: it is
counted, so that nothing is credited beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from analyzer.differences import Difference, normal


@dataclass(frozen=True, slots=True)
class Intervention:
    """A change between the runs. Alone, it answers what causes ask (`is_asked`): `fact` is `tried:overlap-off`, for example."""

    fact: str
    difference: Difference
    is_asked: bool


Test = Callable[[Difference], bool]


def _is(value: str | float, side_: str = "good") -> Test:
    return lambda one: normal(one.good if side_ == "good" else one.bad) == value


def _lower(one: Difference) -> bool:
    before, after = normal(one.good), normal(one.bad)
    return isinstance(before, float) and isinstance(after, float) and before < after


def _always(one: Difference) -> bool:
    return bool(one.key)


# Key that differs, what must hold of the good run's value → the answer that the good run gives.
_TRIED: Final[tuple[tuple[str, Test, str], ...]] = (
    ("package:deepspeed", _always, "tried:other-deepspeed"), ("package:transformers", _always, "tried:other-transformers"),
    ("package:torch", _always, "tried:other-torch"), ("config:zero_optimization.overlap_comm", _is(0.0), "tried:overlap-off"),
    ("config:zero_optimization.stage", _is(3.0), "tried:stage-3"), ("run:world_size", _is(1.0), "tried:single-gpu"),
    ("arg:attn_implementation", _is("eager"), "tried:eager-attention"),
    ("arg:attn_implementation", _always, "tried:other-attention"),
    ("config:bf16.enabled", _is(1.0), "tried:bf16"), ("arg:bf16", _is(1.0), "tried:bf16"),
    ("arg:learning_rate", _lower, "tried:lower-lr"), ("arg:gradient_accumulation_steps", _is(1.0), "tried:gas-1"),
    ("config:zero_optimization.offload_optimizer.device", _is("none"), "tried:no-offload"),
    ("arg:torch_compile", _is(0.0), "tried:no-compile"), ("arg:packing", _is(0.0), "tried:no-packing"),
    ("arg:max_grad_norm", _is(0.0), "tried:no-clipping"), ("hardware:gpu", _always, "tried:other-gpu"),
    ("arg:optim", _always, "tried:other-optimizer"), ("arg:fp8", _is(0.0), "tried:no-fp8"),
    ("arg:logging_nan_inf_filter", _is(0.0), "tried:filter-off"),
)  # fmt: skip


def interventions_in(found: Sequence[Difference]) -> Iterator[Intervention]:
    """The changes that causes ask about. A change that no cause asks about counts as one too: it may be what healed."""
    for one in found:
        if not one.is_change or one.is_incidental or one.key.endswith("seed"):
            continue
        if one.area == "run" and one.key != "world_size":
            continue
        fact = next((fact for key, holds, fact in _TRIED if key == one.name and holds(one)), None)
        if fact or one.area in ("packages", "config", "arguments"):
            yield Intervention(fact or f"tried:{one.name}", one, fact is not None)
