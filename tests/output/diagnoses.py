"""Diagnoses built by hand for the tests of the renderers: one rich, one healthy, one empty, one hostile, one crash."""

from __future__ import annotations

import math
from dataclasses import replace

from analyzer.model import (
    Clause,
    Curve,
    Diagnosis,
    Evidence,
    Failure,
    Finding,
    FirstCause,
    Match,
    RunSummary,
    Skip,
    TimelineEntry,
)
from parsers import SourceFile, SourceRef

FILE = "/home/alice/runs/mgm-7b/run.log"
PLANNED = 5198


def ref(line: int, text: str = "", rank: int | None = None, file: str = FILE) -> SourceRef:
    return SourceRef(file, line, text, rank)


def step_line(step: int) -> int:
    """Steps are logged one a line from line 75 on."""
    return 74 + step


def context(line: int, texts: dict[int, str] | None = None) -> tuple[tuple[int, str], ...]:
    known = texts or {}
    around = []
    for number in range(line - 5, line + 6):
        step = number - 74
        bad = step >= 38
        usual = (
            f"{{'loss': {0.0 if bad else round(1.9 - step * 0.01, 4)}, 'grad_norm': {'nan' if bad else 2.7182}, 'epoch': 0.0}}"
        )
        around.append((number, known.get(number, usual)))
    return tuple(around)


def curves() -> tuple[Curve, ...]:
    steps = tuple(range(1, 81))
    lines = tuple(step_line(step) for step in steps)
    good = [1.91 - 0.012 * step + 0.11 * math.sin(step * 2.1) for step in steps[:37]]
    norm = [3.8 - 0.02 * step + 0.7 * math.sin(step * 1.3) for step in steps[:37]]
    norm[12] = 6100.0
    bad = len(steps) - 37
    lr = [2e-5 * step / 160 for step in steps]
    return (
        Curve("loss", "loss", 80, 0, good[0], 0.0, steps, (*good, *[0.0] * bad), lines, FILE, "hf_trainer"),
        Curve("grad_norm", "grad_norm", 80, bad, norm[0], math.nan, steps, (*norm, *[math.nan] * bad), lines, FILE, "hf_trainer"),
        Curve("lr", "learning_rate", 80, 0, lr[0], lr[-1], steps, tuple(lr), lines, FILE, "hf_trainer"),
        Curve("loss_scale", "loss_scale", 6, 0, 65536.0, 1.0, (1, 20, 38, 40, 50, 80), (65536.0, 65536.0, 16384.0, 256.0, 1.0, 1.0), (75, 94, 112, 114, 124, 154), FILE, "deepspeed"),
        Curve("overflow", "overflow", 3, 0, 65536.0, 256.0, (38, 39, 40), (65536.0, 32768.0, 256.0), (112, 113, 114), FILE, "deepspeed"),
        Curve("epoch", "epoch", 80, 0, 0.0, 0.02, steps, tuple(step / 4000 for step in steps), lines, FILE, "hf_trainer"),
    )  # fmt: skip


def summary(**changes: object) -> RunSummary:
    run = RunSummary(
        source=FILE,
        files=(SourceFile(FILE, 56789, 1234, "sha256:" + "ab" * 32),),
        readers=("hf_trainer", "deepspeed", "progress_bar"),
        first_step=1,
        last_step=80,
        planned_steps=PLANNED,
        step_source="progress-bar",
        curves=curves(),
        packages={"deepspeed": "0.14.0", "torch": "2.1.2+cu121", "transformers": "4.39.0"},
        config={"bf16.enabled": True, "zero_optimization.overlap_comm": True, "zero_optimization.stage": 2},
        hardware={"gpu": "NVIDIA A100-SXM4-80GB", "host": "gpu-node-17.cluster.local"},
        arguments={"learning_rate": 2e-05, "per_device_train_batch_size": 16},
        environment_refs={
            "package:deepspeed": ref(3, "[2024-04-02 09:11:01,120] [INFO] DeepSpeed info: version=0.14.0, git-hash=unknown"),
            "config:zero_optimization.overlap_comm": ref(9, '    "overlap_comm": true,'),
            "hardware:gpu": SourceRef("given", 0, "stated by the user"),
        },
        outcome="stopped",
        verdict="failed",
    )
    return replace(run, **changes)  # type: ignore[arg-type]


def findings() -> tuple[Finding, ...]:
    return (
        Finding(
            "grad-nan", "critical", "high", "gradient norm is nan from step 38 to the end (43 records)",
            (Evidence(ref(112, "{'loss': 0.0, 'grad_norm': nan, 'epoch': 0.0}"), "first nan", context(112)), Evidence(ref(154, "{'loss': 0.0, 'grad_norm': nan, 'epoch': 0.02}"), "last nan")),
            38, 80, {"records": 43, "recovers": False, "step_source": "progress-bar"},
        ),
        Finding(
            "loss-zero", "critical", "high", "loss is exactly 0 from step 38 to the end (43 records)",
            (Evidence(ref(112, "{'loss': 0.0, 'grad_norm': nan, 'epoch': 0.0}"), "first zero", context(112)),),
            38, 80, {"records": 43, "recovers": False},
        ),
        Finding(
            "grad-explosion", "warning", "medium", "gradient norm is 6,100 at step 13, 1,600 times its usual size",
            (Evidence(ref(87, "{'loss': 1.71, 'grad_norm': 6100.0, 'epoch': 0.0}"), "peak", context(87)),), 13, 13, {"usual": 3.7},
        ),
        Finding(
            "incomplete", "info", "high", "the log ends at step 80 of 5,198 planned",
            (Evidence(ref(1234, "  2%|▏ | 80/5198 [03:11<3:21:52, 2.37s/it]"), "last line", context(1234, {1234: "  2%|▏ | 80/5198"})),), 80, 80,
        ),
    )  # fmt: skip


def causes() -> tuple[Match, ...]:
    overlap = Match(
        "ds-zero12-overlap-multirank", "DeepSpeed ZeRO-2 overlap race", "root-cause", "likely", 7.5,
        (
            Clause("deepspeed is in >=0.12.4,<0.14.3", "met", 3.0, "strong", (Evidence(ref(3, "version=0.14.0"), ""),), "pip show deepspeed"),
            Clause("overlap_comm true with ZeRO stage 1 or 2", "met", 3.0, "strong", (Evidence(ref(9, '"overlap_comm": true,')),)),
            Clause("the gradient norm was healthy before", "met", 0.5, "weak", (Evidence(ref(111, "{'loss': 1.46}")),)),
            Clause("the loss scale was falling before", "not-met", -1.5, "moderate", ()),
            Clause("more than one GPU took part", "unknown", 0.0, "strong", (), "nvidia-smi -L"),
            Clause("the step moves between reruns", "unknown", 0.0, "strong", (), "run it twice with one seed"),
            Clause("fp16 is enabled", "not-met", 0.0, "weak", ()),
        ),
        {
            "steps": ["Set \"overlap_comm\": false in ds_config.json (a little slower).", "Or use a release without the race: deepspeed==0.12.3 or 0.14.3 and later."],
            "config": {"zero_optimization.overlap_comm": False},
            "packages": ["deepspeed>=0.14.3"],
            "discard": "checkpoints written after step 37",
            "cost": "reduction no longer overlaps with the backward pass",
        },
        "rerun 60 steps with overlap_comm false: the NaN does not come back",
        "Two streams share one bucket: the reduction may read gradients that the backward pass is still writing. Nothing is printed when it happens.",
        ("cudnn-sdpa-torch25", "lr-too-high"),
        ("https://github.com/deepspeedai/DeepSpeed/issues/5170", "https://github.com/JIA-Lab-research/MGM/issues/42"),
    )  # fmt: skip
    lr = Match(
        "lr-too-high", "Learning rate too high", "root-cause", "possible", 1.5,
        (Clause("the gradient norm rose before the loss broke", "not-met", -1.5, "moderate"), Clause("the norm has one spike", "met", 1.5, "moderate", (Evidence(ref(87)),))),
        {"steps": ["Divide the learning rate by 5."]}, "rerun with a fifth of the learning rate",
    )  # fmt: skip
    return overlap, lr


def rich() -> Diagnosis:
    filtered = Match(
        "hf-nan-filter-zero", "The 0.0 is not a loss: the Trainer replaces NaN by 0 (logging_nan_inf_filter)", "decoder", "confirmed", 5.0,
        (Clause("the norm is nan while the loss is 0", "met", 5.0, "decisive"),), {"arguments": {"logging_nan_inf_filter": False}}, "",
    )  # fmt: skip
    return Diagnosis(
        run=summary(),
        findings=findings(),
        causes=causes(),
        notes=(filtered,),
        first_cause=FirstCause(
            1, ref(112, "{'loss': 0.0, 'grad_norm': nan}"), None, 1712049100.0, text="loss is exactly 0 from step 38"
        ),
        timeline=(
            TimelineEntry(ref(60, "***** Running training *****"), "run-start", "***** Running training *****", 0, 1712048900.0),
            TimelineEntry(
                ref(112, "OVERFLOW!", 0), "overflow", "[deepspeed] OVERFLOW! Rank 0 Skipping step.", 38, 1712049100.0, 0, 3
            ),
            TimelineEntry(ref(112), "grad-nan", "gradient norm is nan from step 38 to the end (43 records)", 38),
            TimelineEntry(ref(112), "loss-zero", "loss is exactly 0 from step 38 to the end (43 records)", 38),
            TimelineEntry(ref(1234), "incomplete", "the log ends at step 80 of 5,198 planned", 80, 1712049391.0),
        ),
        skips=(
            Skip("memory-creep", ("memory_gpu|memory_host",)),
            Skip("throughput-drop", ("throughput_samples",)),
            Skip("overfitting", ("eval_loss",)),
        ),
        problems=((ref(300, "{'loss': 1.2, 'grad"), "hf_trainer", "a dict that does not end"),),
        failures=(Failure("loss_inflated", "ZeroDivisionError: float division by zero"),),
        ignored={"progress redraws": 4012},
    )


def healthy() -> Diagnosis:
    steps = tuple(range(10, 1010, 10))
    loss = tuple(10.9 * math.exp(-step / 400) + 3 + 0.05 * math.sin(step) for step in steps)
    curve = Curve("loss", "loss", 100, 0, loss[0], loss[-1], steps, loss, tuple(range(20, 120)), FILE, "hf_trainer")
    return Diagnosis(
        run=summary(curves=(curve,), outcome="completed", verdict="healthy", planned_steps=1000, last_step=1000),
        skips=(Skip("grad-nan", ("grad_norm",)),),
    )


def empty() -> Diagnosis:
    return Diagnosis(
        run=summary(
            curves=(), readers=(), packages={}, config={}, hardware={}, arguments={}, environment_refs={}, first_step=None,
            last_step=None, planned_steps=None, step_source="none", outcome="unknown", verdict="unjudged",
        )
    )  # fmt: skip


def crash() -> Diagnosis:
    """A run that raised: one finding, no curve, no known cause."""
    line = ref(41, "RuntimeError: The size of tensor a (4096) must match the size of tensor b (2048)", 3)
    found = Finding(
        "traceback",
        "critical",
        "high",
        "RuntimeError: The size of tensor a (4096) must match the size of tensor b (2048)",
        (Evidence(line, "raised by rank 3", ((40, "    return a + b"), (41, line.text))),),
    )
    return Diagnosis(
        run=summary(curves=(), readers=("torchrun",), first_step=None, last_step=None, planned_steps=None, outcome="crashed"),
        findings=(found,),
        first_cause=FirstCause(0, line, 3, None, text=found.summary),
        timeline=(TimelineEntry(line, "traceback", found.summary, None, None, 3, 8),),
    )


HOSTILE = (
    "</script><script>alert(1)</script><img src=x onerror=alert(1)> \"quoted\" 'single' & &amp; {{ 7*7 }} {% x %} "
    "\x1b[31mred\x1b[0m \x00 \u202egnp.exe \u2028 \u2029 ]]> <!-- ``` | [x](javascript:alert(1)) \ud800 end"
)


def hostile() -> Diagnosis:
    """Every free text of a rich diagnosis replaced by one that tries to break out."""
    one = rich()
    place = ref(112, HOSTILE + "A" * 5000)
    evidence = Evidence(place, HOSTILE, ((111, HOSTILE), (112, HOSTILE), (113, "")))
    finding = Finding("loss-zero", "critical", "high", HOSTILE, (evidence,), 38, 80, {HOSTILE: HOSTILE, "value": math.nan})
    clause = Clause(HOSTILE, "met", 1.0, "strong", (evidence,), HOSTILE)
    match = Match(
        HOSTILE, HOSTILE, "root-cause", "possible", math.inf, (clause, replace(clause, state="unknown")),
        {"steps": [HOSTILE], "config": {HOSTILE: HOSTILE}, "packages": HOSTILE, "arguments": {HOSTILE: 1}, "other": 3}, HOSTILE, HOSTILE, (HOSTILE,),
        ("javascript:alert(1)", HOSTILE),
    )  # fmt: skip
    name = "/tmp/<b>" + HOSTILE.replace("/", "_")
    odd = Curve(HOSTILE, HOSTILE, 3, 1, 1.0, math.inf, (1, 2, 3), (1.0, math.nan, math.inf), (1, 2, 3), name, "x")
    return Diagnosis(
        run=replace(
            one.run, source=name, files=(SourceFile(name, 1, 1, HOSTILE),), readers=(HOSTILE,), step_source=HOSTILE,
            packages={HOSTILE: HOSTILE, "deepspeed": HOSTILE}, config={HOSTILE: HOSTILE}, hardware={HOSTILE: None},
            arguments={HOSTILE: math.inf}, curves=(odd, *one.run.curves),
            environment_refs={f"package:{HOSTILE}": place},
        ),
        findings=(finding,), causes=(match, match), notes=(match,), first_cause=FirstCause(0, place, 1, math.inf, text=HOSTILE),
        timeline=(TimelineEntry(place, HOSTILE, HOSTILE, 1, math.inf, 0, 2),), skips=(Skip(HOSTILE, (HOSTILE,)),),
        problems=((place, HOSTILE, HOSTILE),), failures=(Failure(HOSTILE, HOSTILE),), ignored={HOSTILE: 3},
    )  # fmt: skip
