"""How well the rules do on labelled runs: recall, false alarms, onset, per rule, with every miss. Writes docs/rules.md.

    python -m benchmarks.rules                                   # the sample logs of this repository, to standard output
    python -m benchmarks.rules -o docs/rules.md "public logs=corpus/manifest.jsonl" "runs with faults=runs/manifest.jsonl"
    python -m benchmarks.rules --gallery trainproof/examples/gallery

A manifest is JSON Lines: `id`, `file` (relative to the manifest), `healthy` (true, false or anything else for unclear),
`expected_findings` (each wanted), `expected_any` (one of them), `tolerated` (warnings that a healthy run may have),
`injected_at_step`; `repo` and `path` name a public log. Labels are met by a rule that knows more, see `tests/samples.py`.
Runs are diagnosed in this process, one after the other; a run that raises is counted as broken.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from analyzer import rule as rules  # noqa: E402
from analyzer.compare import compare, side  # noqa: E402
from analyzer.diagnosis import Options, diagnose  # noqa: E402
from analyzer.model import Diagnosis  # noqa: E402
from analyzer.version import VERSION  # noqa: E402
from parsers import UnreadableError  # noqa: E402
from parsers.discover import find_runs  # noqa: E402
from tests.samples import INTERVAL, MET_BY, samples  # noqa: E402

TIMED = {"loss-zero", "loss-nan", "grad-nan", "grad-constant", "loss-spike", "throughput-drop"}
"""Rules whose first step is the injection's own."""
CLASSES = {
    "healthy": set(), "lr_hot": {"divergence"}, "lr_zero": {"lr-zero"}, "fp16_nan": {"grad-nan", "loss-nan", "loss-zero"},
    "overfit": {"overfitting"}, "bad_labels": {"loss-inflated", "labels-masked", "no-progress"},
}  # fmt: skip
"""The gallery's faults and the findings that name them."""


SEEDS = ("42", "43", "44")
REMARKS = {
    ("CemOezcan/hyper-graph-nets `output.log`", "traceback"): (
        "label judged wrong: the IndexError of line 87 was caught (During handling of the above exception …); what ends the run "
        "is the KeyboardInterrupt of line 130"
    ),
    ("stark-sim/megatron-deepspeed-lock-clock `.context/dual-node-pilot/dual32_tp4pp1dp8_base1_r7_oldenv_net_20260319/node0.log`",
     "stall"): "the log ends with the closed connection of line 1479 and has no later clock that would show a silence",
    ("`073_f_gcfrozen_hf444_s3+out`", "grad-zero"): (
        "the folder without the text log: the warning is its only sign, the norm of the whole is not 0"
    ),
}  # fmt: skip
"""What we say about misses: file, line and reason."""


@dataclass(frozen=True)
class Case:
    """A labelled run."""

    name: str
    paths: tuple[Path, ...]
    healthy: object
    wanted: tuple[str, ...] = ()
    any_of: tuple[str, ...] = ()
    tolerated: tuple[str, ...] = ()
    injected: int | None = None
    judgeable: bool = True
    """Whether the log holds a run at all."""


@dataclass
class Result:
    """What was found in a labelled run."""

    case: Case
    diagnosis: Diagnosis | None = None
    error: str = ""
    rules: set[str] = field(default_factory=set)
    loud: set[str] = field(default_factory=set)
    off: int | None = None
    """Steps between the injection and the first finding about it, None where neither or where it is not compared."""

    @property
    def expectations(self) -> list[tuple[str, bool]]:
        """(what the label wants, whether it was found)."""
        each = [(rule, bool(MET_BY.get(rule, {rule}) & self.rules)) for rule in self.case.wanted]
        if self.case.any_of:
            accepted = set().union(*(MET_BY.get(rule, {rule}) for rule in self.case.any_of))
            each.append((" or ".join(self.case.any_of), bool(accepted & self.rules)))
        return each

    @property
    def alarms(self) -> list[str]:
        """Warnings and worse about a healthy run."""
        return sorted(self.loud - set(self.case.tolerated)) if self.case.healthy is True else []


def sample_cases() -> Iterator[Case]:
    """The sample logs, labelled by their provenance."""
    for sample in samples():
        told = sample.provenance
        yield Case(
            sample.id, _files(sample.log), told["healthy"], tuple(told.get("expected", ())), tuple(told.get("expected_any", ())),
            tuple(told.get("tolerated", ())), told.get("injected_at_step"),
        )  # fmt: skip


def manifest_cases(path: Path) -> Iterator[Case]:
    """The runs of a manifest."""
    for line in path.read_text("utf-8").splitlines():
        if not line.strip():
            continue
        entry = json.loads(line)
        name = f"{entry['repo']} `{entry['path']}`" if entry.get("repo") else f"`{entry['id']}`"
        yield Case(
            name, _files(path.parent / entry["file"]), entry.get("healthy"), tuple(entry.get("expected_findings") or ()),
            tuple(entry.get("expected_any") or ()), tuple(entry.get("tolerated") or ()), entry.get("injected_at_step"),
            entry.get("judgeable", True),
        )  # fmt: skip


def _files(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    return tuple(Path(file) for run in find_runs([str(path)]) for file in run.files)


def judged(case: Case) -> Result:
    """Diagnoses one labelled run."""
    result = Result(case)
    try:
        result.diagnosis = diagnose(case.paths)
    except UnreadableError as error:
        result.error = type(error).__name__
        return result
    except Exception as error:
        result.error = f"{type(error).__name__}: broken"
        return result
    result.rules = {finding.rule for finding in result.diagnosis.findings}
    result.loud = {finding.rule for finding in result.diagnosis.loud()}
    timed = TIMED & set(case.wanted)
    steps = [f.first_step for f in result.diagnosis.findings if f.rule in timed and f.first_step is not None]
    if case.injected is not None and steps:
        result.off = abs(min(steps) - case.injected)
    return result


def section(label: str, results: Sequence[Result]) -> Iterator[str]:
    """One set of runs: the line of totals, the table per rule, misses and false alarms by name."""
    wanted = [each for result in results for each in result.expectations]
    healthy = [result for result in results if result.case.healthy is True]
    alarms = [result for result in healthy if result.alarms]
    timed = [result.off for result in results if result.off is not None]
    broken = [result for result in results if result.error]
    unjudged = sum(r.case.judgeable and r.diagnosis is not None and r.diagnosis.verdict == "unjudged" for r in results)
    near = sum(off <= INTERVAL for off in timed)
    yield from (f"## {label}", "")
    yield (
        f"{len(results)} runs, {len(healthy)} of them healthy. Recall {_share(sum(met for _, met in wanted), len(wanted))}, "
        f"false alarms {_share(len(alarms), len(healthy))}, onset within {INTERVAL} steps {_share(near, len(timed))}, "
        f"not judged {unjudged}, broken {len(broken)}."
    )
    yield from ("", *_per_rule(results), "")
    missed = [f"- {r.case.name}: {rule}{_remark(r.case.name, rule)}" for r in results for rule, met in r.expectations if not met]
    late = [f"- {r.case.name}: onset {r.off} steps off" for r in results if r.off is not None and r.off > INTERVAL]
    false = [f"- {r.case.name}: {', '.join(r.alarms)}" for r in alarms]
    failed = [f"- {r.case.name}: {r.error}" for r in broken]
    for title, lines in (("Missed", [*missed, *late]), ("False alarms", false), ("Broken or unreadable", failed)):
        if lines:
            yield from (f"{title}:", "", *lines, "")
    if not (missed or late or false or failed):
        yield from ("Nothing was missed and there was no false alarm.", "")


def _remark(name: str, rule: str) -> str:
    return f" ({REMARKS[name, rule]})" if (name, rule) in REMARKS else ""


def _per_rule(results: Sequence[Result]) -> Iterator[str]:
    """Per rule: wanted and found, false alarms, the largest distance of its onset."""
    yield from ("| rule | wanted | found | false alarms | in other runs |", "|---|---:|---:|---:|---:|")
    names = {rule for r in results for rule, _ in r.expectations} | {rule for r in results for rule in r.loud}
    for rule in sorted(names):
        met = [found for r in results for wanted, found in r.expectations if wanted == rule]
        false = sum(rule in r.alarms for r in results)
        asked = (rule in r.case.wanted or rule in r.case.any_of for r in results)
        others = sum(rule in r.loud and not is_asked for r, is_asked in zip(results, asked, strict=True)) - false
        yield f"| {rule} | {len(met) or ''} | {sum(met) if met else ''} | {false or ''} | {others or ''} |"


def _share(part: int, whole: int) -> str:
    return f"{part}/{whole} ({part / whole:.1%})" if whole else "none to judge"


def gallery(folder: Path) -> Iterator[str]:
    """The published comparison: 18 QLoRA runs with one knob broken each."""
    yield from ("## Published runs: the trainproof gallery", "")
    yield (
        "18 QLoRA runs of Qwen2.5-3B from [Mormolykos/trainproof](https://github.com/Mormolykos/trainproof) "
        "`examples/gallery` (MIT), three seeds a fault, each judged alone by its `trainer_state.json`, and by `analyze compare` "
        "against the healthy run of its seed (a healthy one against that of the next seed, as a control)."
    )
    yield from (
        "",
        "| fault | seed | verdict | findings (first step) | named | parts from a healthy run |",
        "|---|---|---|---|---|---|",
    )
    named = quiet = parted = together = 0
    for fault, wanted in CLASSES.items():
        for seed in SEEDS:
            got = diagnose(_state(folder, fault, seed))
            loud = got.loud()
            hit = bool(wanted & {finding.rule for finding in loud})
            told = ", ".join(f"{f.rule} ({f.first_step})" for f in loud) or "none"
            other = SEEDS[(SEEDS.index(seed) + 1) % 3] if fault == "healthy" else seed
            part = _parting(_state(folder, "healthy", other), _state(folder, fault, seed))
            named, quiet = named + hit, quiet + (fault == "healthy" and not loud)
            parted, together = parted + (fault != "healthy" and bool(part)), together + (fault == "healthy" and not part)
            said = "" if fault == "healthy" else "yes" if hit else "no"
            yield f"| {fault} | {seed} | {got.verdict} | {told} | {said} | {part or 'no'} |"
    yield ""
    yield (
        f"Alone: quiet on {quiet} of the 3 healthy runs, the fault named in {named} of the 15 others. With `compare`: "
        f"{parted} of the 15 part from a healthy run, {together} of the 3 healthy pairs stay together."
    )
    yield ""


def _state(folder: Path, fault: str, seed: str) -> Path:
    return folder / fault / ("" if seed == SEEDS[0] else f"seed{seed}") / "trainer_state.json"


def _parting(good: Path, bad: Path) -> str:
    """Where two runs part: metric, step, both values; '' where they do not."""
    options = Options()
    first = compare(side(str(good), options), side(str(bad), options), options).first
    return f"{first.metric} at step {first.step}: {first.good:.4g}, {first.bad:.4g}" if first else ""


def page(sets: Sequence[tuple[str, Sequence[Result]]], gallery_folder: Path | None) -> str:
    """The whole page."""
    now = datetime.now(timezone.utc).strftime("%Y-%m-%d")
    parts = [f"{name} {version(name)}" for name in ("polars", "ahocorasick-rs", "tensorboard")]
    lines = [
        "# How the rules do", "",
        f"Written by `python -m benchmarks.rules` on {now}: nanalyze {VERSION}, Python {platform.python_version()}, "
        f"{', '.join(parts)}; {len(rules.load())} rules.", "",
        "*Wanted* is what the label of a run asks for, *found* what was reported (a rule that knows more meets the label of a "
        "general one), *false alarms* are warnings and worse about runs that are labelled healthy, *in other runs* are those "
        "about faulty or unclear runs whose label does not ask for the rule: most are further symptoms of the same fault.", "",
    ]  # fmt: skip
    for label, results in sets:
        lines += section(label, results)
    if gallery_folder is not None:
        lines += gallery(gallery_folder)
    return "\n".join(lines).rstrip() + "\n"


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifests", nargs="*", metavar="LABEL=MANIFEST", help="further labelled runs")
    parser.add_argument("--gallery", type=Path, help="trainproof's examples/gallery")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("--no-samples", action="store_true", help="leave the sample logs out")
    args = parser.parse_args()
    sets = [] if args.no_samples else [("Sample logs of this repository", [judged(case) for case in sample_cases()])]
    for named in args.manifests:
        label, _, path = named.rpartition("=")
        sets.append((label or Path(path).stem, [judged(case) for case in manifest_cases(Path(path))]))
    text = page(sets, args.gallery)
    if args.output:
        args.output.write_text(text, "utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main()
