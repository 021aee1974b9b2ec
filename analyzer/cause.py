"""Known root causes: one TOML file each in `analyzer/causes/`, loaded and checked. Facts only, no code in data.

    id = "ds-zero12-overlap-multirank"      # = file stem, never renamed
    title = "…"                             # one line, the thing that is wrong
    kind = "root-cause"                     # root-cause | decoder | benign | amplifier | echo
    status = "confirmed"                    # confirmed | likely | anecdotal | withdrawn
    prior = "common"                        # common | uncommon | rare
    mechanism = "…"                         # two to five sentences: how it does what it does
    affects = [{ package = "deepspeed", versions = ">=0.12.4,<0.14.3" }]
    rivals = ["…"]                          # ids of causes with the same symptoms

    [requires]                              # gate: no match without it (each key optional)
    any = ["rule:loss-zero", "rule:grad-nan"]  # the symptoms: at least one must be met, unknown is not enough
    all = []                                # none of these may be not met; unknown passes and is asked for
    sure = []                               # each must be met: for rare causes, named only where their setting is seen
    none = []                               # none of these may be met

    [[evidence]]                            # each clause is met, not met or unknown
    when = "package:deepspeed in >=0.12.4,<0.14.3"   # or any = […] / all = […] / none = […] of such texts;
                                            # one text may join clauses: "setting:lora == true and metric:loss last > 6"
    text = "deepspeed is >=0.12.4,<0.14.3"           # what the ledger shows; made from the clause where left out
    strength = "strong"                     # decisive 5 · strong 3 · moderate 1.5 · weak 0.5, `-against` for minus
    otherwise = "strong-against"            # added when it is *not* met (nothing where left out)
    ask = "pip show deepspeed"              # how the user finds out when it is unknown
    hint = "literal"                        # for `line:` clauses whose pattern has no literal of its own

    [remedy]
    steps = ["…"]                           # in the order to try
    config = { "zero_optimization.overlap_comm" = false }
    packages = ["deepspeed>=0.19.3"]
    arguments = { logging_nan_inf_filter = false }
    discard = "checkpoints written after the first NaN"
    cost = "a little slower"

    [confirm]
    experiment = "…"                        # the cheapest run that separates it from its rivals

    [[sources]]
    url = "https://…"
    supports = "versions"

    [[cases]]
    log = "sample_logs/…"                   # or text = '''…''' with the log itself
    expect = "first"                        # first | listed | absent
    facts = { "package:deepspeed" = "0.14.0" }   # optional: facts stated beside the log

The order is fixed, because a run reads only what it needs: up to `[remedy]` to weigh all causes (`load_for_weighing`),
up to `[[cases]]` for those it lists (`complete`), the rest in tests (`load_file`).
The clause language is described in `clauses.py`, what `setting:` can ask for in `setting.py`, the shapes of curves in
`shapes.py`. `tried:` facts are what somebody changed and whether that healed the run: overlap-off, stage-3, single-gpu,
cudnn-sdpa-off, other-attention, eager-attention, bf16, fp32, batch-1, other-deepspeed, other-transformers, other-torch,
other-template, longer-max-length, lower-lr, gas-1, no-offload, no-compile, no-clipping, no-packing, other-gpu,
other-data, other-optimizer, no-fp8, filter-off; `tried:rerun == same-step | other-step`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, cast

from analyzer.model import CauseKind

FOLDER: Final = Path(__file__).parent / "causes"
PRIORS: Final = {"common": 1.0, "uncommon": 0.0, "rare": -1.0}
STRENGTHS: Final = {"decisive": 5.0, "strong": 3.0, "moderate": 1.5, "weak": 0.5, "": 0.0}

Status = Literal["confirmed", "likely", "anecdotal", "withdrawn"]
Join = Literal["any", "all", "none"]
Gate = Literal["any", "all", "sure", "none"]
GATES: Final[tuple[Gate, ...]] = ("any", "all", "sure", "none")
Part = Literal["[remedy]", "[[cases]]", ""]
"""Where reading stops: before the remedy, before the cases, at the end."""


@dataclass(frozen=True, slots=True)
class ClauseSpec:
    """A clause as written: texts joined by any/all/none, and what it weighs when met and when not met."""

    whens: tuple[str, ...]
    join: Join
    text: str
    strength: str
    otherwise: str
    ask: str
    hint: str

    @property
    def if_met(self) -> float:
        """Log-odds added when the clause is met."""
        return weight(self.strength)

    @property
    def if_not(self) -> float:
        """Log-odds added when the clause is not met."""
        return weight(self.otherwise)


@dataclass(frozen=True, slots=True)
class Cause:
    """A known cause as written in its file."""

    id: str
    title: str
    kind: CauseKind
    status: Status
    prior: str
    mechanism: str
    affects: tuple[Mapping[str, str], ...]
    rivals: tuple[str, ...]
    requires: Mapping[Gate, tuple[str, ...]]
    evidence: tuple[ClauseSpec, ...]
    remedy: Mapping[str, Any]
    experiment: str
    sources: tuple[Mapping[str, str], ...]
    cases: tuple[Mapping[str, Any], ...] = field(repr=False)


@cache
def weight(strength: str) -> float:
    """`strong` → 3.0, `strong-against` → −3.0; raises KeyError for an unknown word."""
    name = strength.removesuffix("-against")
    return -STRENGTHS[name] if name != strength else STRENGTHS[name]


def parse(data: Mapping[str, Any]) -> Cause:
    """A cause from its TOML table; raises KeyError, ValueError or TypeError where it is malformed."""
    requires = data.get("requires", {})
    return Cause(
        id=data["id"],
        title=data["title"],
        kind=data["kind"],
        status=data["status"],
        prior=data["prior"],
        mechanism=data["mechanism"].strip(),
        affects=tuple(data.get("affects", ())),
        rivals=tuple(data.get("rivals", ())),
        requires={key: tuple(requires[key]) for key in GATES if requires.get(key)},
        evidence=tuple(_clause(entry) for entry in data["evidence"]),
        remedy=data.get("remedy", {}),
        experiment=data.get("confirm", {}).get("experiment", ""),
        sources=tuple(data.get("sources", ())),
        cases=tuple(data.get("cases", ())),
    )


def _clause(entry: Mapping[str, Any]) -> ClauseSpec:
    if "when" in entry:
        join, whens = "all", (entry["when"],)
    else:
        join = next(key for key in ("any", "all", "none") if key in entry)
        whens = tuple(entry[join])
    weight(entry["strength"])
    weight(entry.get("otherwise", ""))
    return ClauseSpec(
        whens, cast(Join, join), entry.get("text", ""), entry["strength"], entry.get("otherwise", ""),
        entry.get("ask", ""), entry.get("hint", ""),
    )  # fmt: skip


def load_file(path: Path, until: Part = "") -> Cause:
    """The cause in one file, read up to the first line `until`; errors name the file."""
    import tomli

    text = path.read_text("utf-8")
    try:
        return parse(tomli.loads(text.partition(f"\n{until}")[0] if until else text))
    except (KeyError, ValueError, TypeError, StopIteration) as error:
        raise ValueError(f"{path.name}: {type(error).__name__}: {error}") from error


@cache
def load(folder: Path = FOLDER) -> tuple[Cause, ...]:
    """All causes, by id, without their cases; withdrawn ones are kept in the files and left out here."""
    return _load(folder, "[[cases]]")


@cache
def load_for_weighing(folder: Path = FOLDER) -> tuple[Cause, ...]:
    """All causes, by id, without remedy, experiment, sources and cases: half the cost, paid by every run."""
    return _load(folder, "[remedy]")


def _load(folder: Path, until: Part) -> tuple[Cause, ...]:
    causes = (load_file(path, until) for path in sorted(folder.glob("*.toml")))
    return tuple(cause for cause in causes if cause.status != "withdrawn")


@cache
def complete(id_: str, folder: Path = FOLDER) -> Cause:
    """One cause with its remedy, experiment and sources; raises ValueError where there is no such cause."""
    path = folder / f"{id_}.toml"
    if not path.is_file():
        raise ValueError(f"no cause {id_!r}")
    return load_file(path, "[[cases]]")
