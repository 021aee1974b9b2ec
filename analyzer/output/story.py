"""What every renderer says, said once: headline, identity, ledger, steps to take, what would make more of it judgeable.

Terminal, Markdown and HTML differ in how they lay this out, not in what they claim.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from analyzer.model import Clause, Curve, Diagnosis, Finding, Match
from analyzer.output.plain import neutral, number, place
from analyzer.output.strings import Strings
from parsers import SourceRef

_NAMED: Final = ("deepspeed", "transformers", "torch", "accelerate", "megatron-core", "lightning", "pytorch-lightning", "trl")
_FRAMEWORKS: Final[tuple[str, ...]] = (
    "hf_trainer", "trainer_state", "megatron", "lightning", "nemo", "torchtitan", "torchtune", "composer", "fairseq", "olmo",
    "openrlhf", "verl", "xtuner", "mmengine", "keras", "maxtext", "nanogpt", "lerobot", "coqui", "llamafactory_jsonl",
    "swift_jsonl", "ultralytics_csv", "deepspeed", "deepspeed_config", "deepspeed_launcher", "accelerate", "torchrun", "slurm",
    "tensorboard", "wandb_run", "mlflow", "mlflow_db", "lightning_csv", "deepspeed_csv", "generic_jsonl", "generic_csv",
)  # fmt: skip
"""Readers that say what trained, most telling first; the others read errors and surroundings."""

THINNED: Final = "thinning"
"""The reader of a problem that is none: rows of a very long log were dropped."""
_LAUNCHERS: Final = ("slurm", "torchrun")
"""Said only where nothing else is known: they start what trains, and a line that looks like theirs is in many logs."""


@dataclass(frozen=True, slots=True)
class Ledger:
    """A cause's clauses by what they say: for it, against it, not known, and not met without weight."""

    supports: tuple[Clause, ...]
    opposes: tuple[Clause, ...]
    unknown: tuple[Clause, ...]
    silent: tuple[Clause, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: a sentence, and code to paste where there is any (`kind`: text, diff, shell)."""

    text: str
    code: str = ""
    kind: str = "text"


def leading(diagnosis: Diagnosis) -> Finding | None:
    """The finding that the report opens with: the first cause's, else the first in order; None where nothing is loud."""
    first = diagnosis.first_cause
    if first is not None and 0 <= first.finding < len(diagnosis.findings):
        return diagnosis.findings[first.finding]
    loud = diagnosis.loud()
    return loud[0] if loud else None


def is_told(diagnosis: Diagnosis) -> bool:
    """Whether something went wrong that causes can explain: a loud finding, or a cause known by its own message alone."""
    return diagnosis.verdict in ("failed", "suspicious")


def headline(diagnosis: Diagnosis, s: Strings) -> str:
    """One sentence without the verdict word."""
    finding = leading(diagnosis)
    if diagnosis.verdict == "unjudged":
        return s("headline.unjudged_partial" if diagnosis.run.curves or diagnosis.timeline else "headline.unjudged")
    if finding is not None:
        return finding_text(finding)
    if diagnosis.verdict != "healthy":
        return s("headline.cause", title=neutral(diagnosis.causes[0].title)) if diagnosis.causes else s("headline.plain")
    if diagnosis.ignored:
        return s("headline.healthy_ignored", n=sum(diagnosis.ignored.values()))
    loss = curve(diagnosis, "loss")
    if loss is None:
        return s("headline.healthy")
    return s("headline.healthy_loss", first=number(loss.first), last=number(loss.last))


def finding_text(finding: Finding) -> str:
    """The finding's summary."""
    return neutral(finding.summary)


def titled(finding: Finding, s: Strings) -> str:
    """The rule's title before the summary: for a summary that has no translation, mostly a message of the program."""
    if not s.has(f"rule.{finding.rule}"):
        return finding.summary
    return s("headline.message", title=s.name("rule", finding.rule), summary=finding.summary)


def extent(finding: Finding, s: Strings) -> str:
    """The steps a finding holds for."""
    if finding.first_step is None:
        return s("ui.extent_none")
    if finding.last_step is None:
        return s("ui.extent_from", first=number(finding.first_step))
    if finding.last_step == finding.first_step:
        return s("ui.extent_single", first=number(finding.first_step))
    return s("ui.extent_range", first=number(finding.first_step), last=number(finding.last_step))


def curve(diagnosis: Diagnosis, metric: str) -> Curve | None:
    """The run's curve of a metric."""
    return next((one for one in diagnosis.run.curves if one.metric == metric), None)


def source_name(diagnosis: Diagnosis) -> str:
    """The run's file or folder name, without the folders above it."""
    source = neutral(diagnosis.run.source)
    return source.replace("\\", "/").rstrip("/").rsplit("/", 1)[-1] or source


def identity(diagnosis: Diagnosis, s: Strings) -> list[str]:
    """`HF Trainer + DeepSpeed 0.14.0`, `transformers 4.39.0`, `ZeRO-2`, `bf16`: what the log says of the run."""
    packages = {name: neutral(version) for name, version in diagnosis.run.packages.items()}
    known = [name for name in _FRAMEWORKS if name in diagnosis.run.readers] or list(diagnosis.run.readers)
    trained = [name for name in known if name not in _LAUNCHERS] or known
    titles = dict.fromkeys(neutral(s.name("reader", name)) for name in trained)
    titled = [f"{title} {packages.pop(title.lower(), '')}".strip() for title in list(titles)[:3]]
    parts = [" + ".join(titled)] if titled else []
    parts += [f"{name} {packages[name]}" for name in _NAMED if name in packages][:3]
    stage = diagnosis.run.config.get("zero_optimization.stage")
    if stage is not None:
        parts.append(f"ZeRO-{stage}")
    precision = _precision(diagnosis)
    return [*parts, precision] if precision else parts


def _precision(diagnosis: Diagnosis) -> str:
    run = diagnosis.run
    for name in ("bf16", "fp16"):
        if run.config.get(f"{name}.enabled") is True or run.arguments.get(name) is True:
            return name
    return ""


def progress(diagnosis: Diagnosis, s: Strings) -> str:
    """`step 80 of 5,198, stopped`."""
    run = diagnosis.run
    if run.last_step is None:
        reached = s("progress.none")
    elif run.planned_steps:
        reached = s("progress.of", last=number(run.last_step), planned=number(run.planned_steps))
    else:
        reached = s("progress.at", last=number(run.last_step))
    return s("progress.ended", reached=reached, outcome=s("outcome." + run.outcome))


def clock(time: float | None) -> str:
    """A time in seconds since the epoch as `2026-11-24 02:38:11`; empty where unknown or out of range."""
    if time is None:
        return ""
    try:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return ""


def span(diagnosis: Diagnosis) -> str:
    """First to last time of the timeline, empty where the log has no clock."""
    times = sorted(entry.time for entry in diagnosis.timeline if entry.time is not None and clock(entry.time))
    if not times:
        return ""
    first, last = clock(times[0]), clock(times[-1])
    return first if first == last else f"{first} – {last[11:] if last[:10] == first[:10] else last}"


def ledger(match: Match) -> Ledger:
    """The clauses sorted by what they say; the order within is the differential's (heaviest first)."""
    known = [clause for clause in match.clauses if clause.state != "unknown"]
    return Ledger(
        supports=tuple(c for c in known if c.weight > 0 or (c.weight == 0 and c.state == "met")),
        opposes=tuple(c for c in known if c.weight < 0),
        unknown=tuple(c for c in match.clauses if c.state == "unknown"),
        silent=tuple(c for c in known if c.weight == 0 and c.state == "not-met"),
    )


def cited(clause: Clause) -> list[SourceRef]:
    """The first three different places that a clause rests on."""
    places = {(evidence.ref.file, evidence.ref.line): evidence.ref for evidence in reversed(clause.evidence)}
    return [*reversed(places.values())][:3]


def clause_text(clause: Clause, s: Strings) -> str:
    """The clause as the ledger says it: `not so: …` where it is not met, marked where the run itself does not print it."""
    text = clause_name(clause)
    if any(evidence.note.startswith("implied") for evidence in clause.evidence):
        text = s("state.implied", text=text)
    return s("state.not", text=text) if clause.state == "not-met" else text


def clause_name(clause: Clause) -> str:
    """The clause's text; one without words of its own is `package:torch in …`, of which the kind is left out."""
    return re.sub(r"^(?:package|config|arg|hardware|run|rule|event|model):(?=\S)", "", neutral(clause.text))


def steps(diagnosis: Diagnosis, match: Match, s: Strings) -> list[Step]:
    """The remedy in the order to try: sentences, then settings, versions and what to discard."""
    remedy = match.remedy
    found = [Step(neutral(text)) for text in _texts(remedy.get("steps"))]
    config, arguments, packages = remedy.get("config"), remedy.get("arguments"), _texts(remedy.get("packages"))
    if isinstance(config, Mapping) and config:
        found.append(Step(s("remedy.config"), _config_diff(config, diagnosis.run.config), "diff"))
    if isinstance(arguments, Mapping) and arguments:
        found.append(Step(s("remedy.arguments"), _argument_lines(arguments), "shell"))
    if packages:
        found.append(Step(s("remedy.packages"), "\n".join(neutral(text) for text in packages), "shell"))
    found += [Step(s("remedy.discard", text=neutral(text))) for text in _texts(remedy.get("discard"))]
    return found


def cost(match: Match, s: Strings) -> str:
    """What the remedy costs, or nothing."""
    texts = _texts(match.remedy.get("cost"))
    return s("remedy.cost", text=neutral(texts[0])) if texts else ""


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [str(one) for one in value] if isinstance(value, Sequence) else []


def literal(value: Any) -> str:
    """A value as JSON writes it."""
    import json

    return neutral(json.dumps(value, ensure_ascii=False, default=str))


def _config_diff(config: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """The settings as a diff of ds_config.json: one block a section, the present value taken out where it is known."""
    sections: dict[str, list[str]] = {}
    for key, value in config.items():
        section, _, name = str(key).rpartition(".")
        indent = "  " if section else ""
        lines = sections.setdefault(section, [])
        if key in now:
            lines.append(f'-{indent}"{name}": {literal(now[key])}')
        lines.append(f'+{indent}"{name}": {literal(value)}')
    blocks = [[f' "{section}": {{', *lines, " }"] if section else lines for section, lines in sections.items()]
    return neutral_lines(line for block in blocks for line in block)


def _argument_lines(arguments: Mapping[str, Any]) -> str:
    return neutral_lines(f"--{name} {value}" for name, value in arguments.items())


def neutral_lines(lines: Any) -> str:
    """Lines made harmless one by one and joined again."""
    return "\n".join(neutral(line) for line in lines)


def missing_name(missing: str, s: Strings) -> str:
    """`memory_gpu|memory_host` as `GPU memory / host memory`."""
    return " / ".join(s.name("metric", neutral(name)) for name in missing.split("|"))


def enable(missing: str, s: Strings) -> str:
    """The line of code that makes a missing metric judgeable next time; of alternatives, the first we know a line for."""
    known = next((name for name in missing.split("|") if s.has(f"enable.{name}")), None)
    return s(f"enable.{known}") if known else s("enable.any", name=neutral(missing.split("|")[0]))


def ignored(diagnosis: Diagnosis, s: Strings) -> str:
    """What was left out on purpose: `2 findings ignored: loss-spike (2): batch size 1`; '' where nothing was."""
    if not diagnosis.ignored:
        return ""
    reasons = diagnosis.ignored_because
    parts = [
        f"{neutral(rule)} ({number})" + (f": {neutral(reasons[rule])}" if rule in reasons else "")
        for rule, number in sorted(diagnosis.ignored.items())
    ]
    return s("term.ignored", n=sum(diagnosis.ignored.values()), rules="; ".join(parts))


def thinned(diagnosis: Diagnosis) -> list[str]:
    """What is said of files so long that rows were dropped: `parsers.bounds`."""
    return [neutral(reason) for _, reader, reason in diagnosis.problems if reader == THINNED]


def aftermath(diagnosis: Diagnosis) -> str:
    """What the first cause says beyond its finding: whose it is, what that is inferred from, what followed and how often."""
    first = diagnosis.first_cause
    if first is None or not 0 <= first.finding < len(diagnosis.findings):
        return ""
    summary = diagnosis.findings[first.finding].summary
    return neutral(first.text[len(summary) :].lstrip(";； ")) if first.text.startswith(summary) else ""


def origin(diagnosis: Diagnosis) -> str:
    """Where it began: `run.log:112`, empty where there is no first cause."""
    first = diagnosis.first_cause
    return place(first.ref.file, first.ref.line) if first else ""


def command(diagnosis: Diagnosis, suffix: str) -> str:
    """The command that makes this report again."""
    return f"analyze {source_name(diagnosis)} -o report.{suffix}"
