"""What the user states counts: short names, whole keys, files, an interpreter; and the order of causes changes with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer import Options, diagnose
from analyzer.errors import UsageError
from analyzer.given import facts, full_key, stated_facts
from parsers import UnreadableError
from tests.samples import FOLDER

NAN = FOLDER / "hf-trainer/nanfrom-hf444-s2/run.log"
ANSWERS = ("deepspeed=0.14.0", "overlap_comm=true", "stage=2", "gpus=8", "bf16=true")


def stated(text: str) -> dict[str, object]:
    return {fact.key: fact.value for fact in stated_facts(text)}


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("deepspeed=0.14.0", {"package:deepspeed": "0.14.0"}),
        ("deepspeed==0.14.0", {"package:deepspeed": "0.14.0"}),
        ("torch=2.10", {"package:torch": "2.10"}),
        ("Flash_Attn=2.6.1", {"package:flash-attn": "2.6.1"}),
        ("flash-attn=none", {"package:flash-attn": None}),
        ("deepspeed=true", {"arg:deepspeed": "true"}),
        ("overlap_comm=true", {"config:zero_optimization.overlap_comm": True}),
        ("stage=2", {"config:zero_optimization.stage": 2}),
        ("gpus=8", {"run:world_size": 8}),
        ("world_size=8", {"run:world_size": 8}),
        ("gpu=NVIDIA H100", {"hardware:gpu": "NVIDIA H100"}),
        ("zero_optimization.stage=3", {"config:zero_optimization.stage": 3}),
        ("config:anything.at.all=1e-5", {"config:anything.at.all": 1e-5}),
        ("overlap-off=healed", {"tried:overlap-off": "healed"}),
        ("attn_implementation=eager", {"arg:attn_implementation": "eager"}),
        ("torch_dtype=float16", {"arg:torch_dtype": "float16"}),
        ("eval_accumulation_steps=4", {"arg:eval_accumulation_steps": 4}),
    ],
)
def test_short_names_and_whole_keys(text: str, wanted: dict[str, object]) -> None:
    assert stated(text) == wanted
    assert all(fact.given and fact.ref.file == "--fact" and fact.ref.text == text for fact in stated_facts(text))


def test_one_precision_excludes_the_other() -> None:
    got = stated("bf16=true")
    assert (got["config:bf16.enabled"], got["config:fp16.enabled"]) == (True, False)
    assert stated("fp16=false") == {"config:fp16.enabled": False, "arg:fp16": False}
    assert stated("precision=fp32")["run:precision"] == "fp32"


@pytest.mark.parametrize(
    ("text", "hint"),
    [("deepsped=0.14.0", "deepspeed"), ("overlap_com=true", "overlap_comm"), ("foo:bar=1", "package:"), ("deepspeed", "NAME=VALUE"),
     ("deepspeed=new", "no version"), ("=1", "NAME=VALUE"), ("qqqq=1", "whole key"), ("precision=half", "bf16")],
)  # fmt: skip
def test_what_nobody_would_understand_is_one_sentence(text: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        list(stated_facts(text))


def test_every_alias_is_a_key_that_some_cause_or_setting_asks_for() -> None:
    assert full_key("arg:whatever") == "arg:whatever"
    assert full_key("package:PyTorch") == "package:torch"


def test_a_freeze_gives_versions_with_their_lines(tmp_path: Path) -> None:
    freeze = tmp_path / "whatever.out"
    freeze.write_text("torch==2.1.2+cu121\n# comment\ndeepspeed==0.14.0\ntransformers>=4.30\n", "utf-8")
    got = {fact.key: fact for fact in facts(files=[str(freeze)])}
    assert got["package:deepspeed"].value == "0.14.0"
    assert (got["package:deepspeed"].ref.line, got["package:deepspeed"].ref.text) == (3, "deepspeed==0.14.0")
    assert got["package:cuda"].value == "12.1"
    assert "package:transformers" not in got
    assert all(fact.given for fact in got.values())


def test_conda_list_and_ds_report(tmp_path: Path) -> None:
    listed = tmp_path / "listing"
    listed.write_text(
        "# packages in environment at /opt/conda:\n#\npytorch          2.1.2    py3.10_cuda12.1_0    pytorch\n", "utf-8"
    )
    report = tmp_path / "report"
    report.write_text(
        "torch version .................... 2.1.2+cu121\ndeepspeed info ................... 0.12.4, unknown, unknown\n", "utf-8"
    )
    got = {fact.key: fact.value for fact in facts(files=[str(listed), str(report)])}
    assert got["package:torch"].startswith("2.1.2")
    assert got["package:deepspeed"] == "0.12.4"


def test_a_file_that_says_nothing_is_refused(tmp_path: Path) -> None:
    empty = tmp_path / "freeze.txt"
    empty.write_text("nothing here\n", "utf-8")
    with pytest.raises(UsageError, match="says nothing"):
        facts(files=[str(empty)])
    with pytest.raises(UnreadableError):
        facts(files=[str(tmp_path / "missing.txt")])


def environment(tmp_path: Path, **packages: str) -> Path:
    site = tmp_path / "venv/lib/python3.11/site-packages"
    site.mkdir(parents=True)
    for name, version in packages.items():
        info = site / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\nVersion: 9.9\n", "utf-8")
    (tmp_path / "venv/bin").mkdir()
    (tmp_path / "venv/bin/python").write_text("#!/bin/sh\nexit 1\n", "utf-8")
    return tmp_path / "venv"


@pytest.mark.parametrize("place", ["bin/python", "", "lib/python3.11/site-packages"])
def test_an_interpreters_versions_are_read_and_nothing_is_run(tmp_path: Path, place: str) -> None:
    got = {fact.key: fact for fact in facts(python=str(environment(tmp_path, deepspeed="0.14.0", flash_attn="2.5.6") / place))}
    assert got["package:deepspeed"].value == "0.14.0"
    assert got["package:flash-attn"].value == "2.5.6"
    assert got["package:python"].value == "3.11"
    assert got["package:deepspeed"].ref.file.endswith("METADATA")
    assert got["package:deepspeed"].ref.line == 3


def test_a_folder_without_packages_is_no_environment(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match="site-packages"):
        facts(python=str(tmp_path))
    with pytest.raises(UnreadableError, match="does not exist"):
        facts(python=str(tmp_path / "nowhere"))


def test_answers_change_the_verdict_of_the_same_log() -> None:
    silent = diagnose(NAN)
    assert silent.causes[0].id != "ds-zero12-overlap-multirank"
    assert silent.causes[0].verdict == "possible"
    answered = diagnose(NAN, Options(facts=facts(ANSWERS)))
    assert (answered.causes[0].id, answered.causes[0].verdict) == ("ds-zero12-overlap-multirank", "likely")
    cited = [e for clause in answered.causes[0].clauses for e in clause.evidence if e.ref.file == "--fact"]
    assert {e.ref.text for e in cited} >= {"deepspeed=0.14.0", "overlap_comm=true"}
    assert all(e.note == "stated by you" for e in cited)
    healed = diagnose(NAN, Options(facts=facts((*ANSWERS, "overlap-off=healed"))))
    assert (healed.causes[0].id, healed.causes[0].verdict) == ("ds-zero12-overlap-multirank", "confirmed")


@pytest.mark.parametrize("answer", ["deepspeed=0.7.7", "overlap_comm=false", "gpus=1", "stage=3"])
def test_an_answer_that_speaks_against_it_takes_the_lead_away(answer: str) -> None:
    told = diagnose(NAN, Options(facts=facts((*[a for a in ANSWERS if a.split("=")[0] != answer.split("=")[0]], answer))))
    assert told.causes[0].id != "ds-zero12-overlap-multirank"


def test_an_installed_deepspeed_is_not_one_that_is_used(tmp_path: Path) -> None:
    """A log that shows the start and no word of DeepSpeed, with a freeze that lists it: whether it is used is asked for."""
    log, freeze = tmp_path / "run.log", tmp_path / "freeze.txt"
    start = "[INFO|trainer.py:1721] 2024-05-01 10:00:03,000 >> ***** Running training *****\n"
    good = [
        f"{{'loss': {loss}, 'grad_norm': 2.1, 'learning_rate': 2e-05, 'epoch': 0.0{n}}}\n" for n, loss in ((1, 2.2), (2, 2.0))
    ]
    bad = [f"{{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.0{n}}}\n" for n in range(3, 8)]
    log.write_text(start + "".join(good + bad), "utf-8")
    freeze.write_text("deepspeed==0.14.0\n", "utf-8")
    states = {}
    for name, stated in (("freeze", facts(files=[str(freeze)])), ("fact", facts(["deepspeed=0.14.0"]))):
        first = diagnose(log, Options(facts=tuple(stated))).causes[0]
        assert first.id == "ds-zero12-overlap-multirank"
        states[name] = {clause.text: clause.state for clause in first.clauses}["DeepSpeed is used"]
    assert states == {"freeze": "unknown", "fact": "met"}
