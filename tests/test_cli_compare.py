"""`analyze compare`: what differs, where the curves part, what a lone change is evidence for, and what separates many runs."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path

import pytest

from analyzer import Options
from analyzer.compare import compare, side
from analyzer.differences import differences
from analyzer.messages import template
from analyzer.output import comparison, comparison_html
from analyzer.parting import at_once, parting
from analyzer.separate import separate
from parsers import Environment, Fact, Series, SourceRef
from tests.samples import FOLDER
from tests.test_cli import analyze, one_sentence

HEALTHY = FOLDER / "hf-deepspeed/healthy-bf16-ds0.14.5-z1-hf444-s3"
NAN = FOLDER / "hf-deepspeed/nanfrom-ds0.14.5-z2-bf16-hf444-s12"
RACE = "ds-zero12-overlap-multirank"
CONFIG = '{"zero_optimization": {"stage": 2, "overlap_comm": true}, "bf16": {"enabled": true}}\n'
HEAD = "torchrun --nproc_per_node=8 train.py --learning_rate 2e-05 --bf16 True --seed 1 --output_dir out/%s\n"


def log(seed: int, name: str, broken_from: int | None = None) -> str:
    noise = random.Random(seed)
    lines = [HEAD % name]
    for step in range(1, 61):
        loss, norm = 2.0 + 0.6 / step + noise.uniform(-0.03, 0.03), f"{1.0 + noise.uniform(-0.1, 0.1):.4f}"
        if broken_from and step >= broken_from:
            loss, norm = 0.0, "nan"
        lines.append(f"{{'loss': {loss:.4f}, 'grad_norm': {norm}, 'learning_rate': 2e-05, 'epoch': {step / 60:.2f}}}\n")
    return "".join(lines)


def run(folder: Path, text: str, versions: str, config: str = CONFIG) -> Path:
    folder.mkdir(parents=True)
    (folder / "run.log").write_text(text, "utf-8")
    (folder / "requirements.txt").write_text(versions, "utf-8")
    (folder / "ds_config.json").write_text(config, "utf-8")
    return folder


def pair(tmp_path: Path, before: str, after: str, config: str = CONFIG) -> tuple[Path, Path]:
    good = run(tmp_path / "good", log(1, "good"), before, config)
    bad = run(tmp_path / "bad", log(2, "bad", 30) + "Warning: expert 3 was ignored 17 times\n", after)
    return good, bad


def compared(good: Path, bad: Path):
    options = Options(strict=True)
    return compare(side(str(good), options), side(str(bad), options), options)


def test_a_lone_version_change_into_a_window_is_evidence_for_its_cause(tmp_path: Path) -> None:
    good, bad = pair(tmp_path, "deepspeed==0.11.1\ntorch==2.1.2\n", "deepspeed==0.14.0\ntorch==2.1.2\n")
    found = compared(good, bad)
    assert [one.name for one in found.changes] == ["package:deepspeed"]
    assert (found.changes[0].good, found.changes[0].bad) == ("0.11.1", "0.14.0")
    assert found.changes[0].bad_ref.text == "deepspeed==0.14.0"
    suspect = next(one for one in found.suspects if one.exposure.cause.id == RACE)
    assert (suspect.good, suspect.bad, suspect.windows) == ("0.11.1", "0.14.0", ">=0.12.4,<0.14.3")
    assert found.credited
    assert found.leading.id == RACE
    credited = [clause for clause in found.leading.clauses if clause.text == "another DeepSpeed version healed the run"]
    assert credited[0].state == "met"
    assert found.leading.score > side(str(bad), Options()).diagnosis.causes[0].score


def test_turning_overlap_off_alone_confirms_the_race(tmp_path: Path) -> None:
    pins = "deepspeed==0.14.0\ntorch==2.1.2\n"
    found = compared(*pair(tmp_path, pins, pins, CONFIG.replace('"overlap_comm": true', '"overlap_comm": false')))
    assert [one.name for one in found.changes] == ["config:zero_optimization.overlap_comm"]
    assert (found.leading.id, found.leading.verdict) == (RACE, "confirmed")


def test_several_changes_credit_none(tmp_path: Path) -> None:
    good, bad = pair(tmp_path, "deepspeed==0.11.1\ntorch==2.0.1\n", "deepspeed==0.14.0\ntorch==2.1.2\n")
    found = compared(good, bad)
    assert not found.credited
    assert len(found.interventions) == 2
    assert "2 settings changed at once" in comparison.render(found, "terminal")


def test_the_curves_part_where_the_fault_begins() -> None:
    found = compared(HEALTHY, NAN)
    by_metric = {part.metric: part for part in found.partings}
    assert (by_metric["loss"].step, by_metric["loss"].kind, by_metric["loss"].last_together) == (34, "zero", 33)
    assert (by_metric["grad_norm"].step, by_metric["grad_norm"].kind) == (34, "non-finite")
    lines = (NAN / "run.log").read_bytes().split(b"\n")
    assert b"'loss': 0.0, 'grad_norm': nan" in lines[by_metric["loss"].bad_ref.line - 1]
    assert found.first.metric == "loss"


@pytest.mark.parametrize(
    ("one", "other"),
    [("deepspeed/healthy-plain-fp16-ds0.12.3-s1", "deepspeed/healthy-plain-fp16-ds0.12.6-s1"),
     ("deepspeed/healthy-plain-fp16-ds0.16.9-s1", "deepspeed/healthy-plain-fp16-ds0.19.8-s1"),
     ("deepspeed/healthy-plain-fp16-power32-ds0.12.6-s2", "deepspeed/healthy-plain-fp16-power32-ds0.18.3-s2")],
)  # fmt: skip
def test_healthy_twins_do_not_part(one: str, other: str) -> None:
    found = compared(FOLDER / one, FOLDER / other)
    assert {part.metric: part.kind for part in found.partings if part.metric in ("loss", "grad_norm")} == {
        "loss": "none",
        "grad_norm": "none",
    }
    assert not found.interventions


@pytest.mark.parametrize(("version", "norm"), [("0.14.3", 1.66659), ("0.18.5", 1.66287), ("0.19.3", None)])
def test_other_gradients_from_the_very_same_loss_part_at_the_first_step(version: str, norm: float | None) -> None:
    good, bad = (FOLDER / f"deepspeed/race-ds{version}-{how}-small-n2-s1" for how in ("plain", "overlap"))
    found = next(part for part in compared(good, bad).partings if part.metric == "grad_norm")
    if norm is None:
        assert found.kind == "none"
        return
    assert (found.step, found.kind, found.good, found.bad) == (1, "apart", 1.42268, norm)
    assert "grad_norm 1.42268" in found.good_ref.text
    assert f"grad_norm {norm}" in found.bad_ref.text


LOST = sorted(
    path.parent.name for path in FOLDER.glob("deepspeed/race-*-n2-*/provenance.toml") if 'outcome = "nan"' in path.read_text()
)


@pytest.mark.parametrize("name", LOST)
def test_a_control_confirms_the_overlap_race(name: str) -> None:
    control = name.replace("overlap", "plain").removesuffix("-again").removesuffix("-third")
    found = compared(FOLDER / "deepspeed" / control, FOLDER / "deepspeed" / name)
    assert found.credited
    assert (found.leading.id, found.leading.verdict) == ("ds-zero12-overlap-multirank", "confirmed")
    assert (found.first.metric, found.first.step) == ("grad_norm", 1)


@pytest.mark.parametrize(
    ("good", "bad", "kind"),
    [(6.52113, 6.52113, "apart"), (6.52113, 6.52114, None), (6.5, 6.5, None)],
    ids=["the same loss", "another loss", "too few digits to be sure"],
)
def test_norms_are_held_against_one_another_only_where_the_loss_is_the_very_same(
    good: float, bad: float, kind: str | None
) -> None:
    losses = series([good, *noisy(1)]), series([bad, *noisy(2)])
    found = at_once(losses, (series([1.42, *noisy(3)]), series([1.66, *noisy(3)])))
    assert (found and found.kind) == kind
    assert at_once(losses, (series([1.42, *noisy(3)]), series([1.421, *noisy(3)]))) is None


def series(values: list[float], steps: list[int] | None = None) -> Series:
    made = Series("loss", "loss", "test", "run.log")
    for index, value in enumerate(values):
        made.append(steps[index] if steps else index + 1, value, index + 1)
    return made


def noisy(seed: int, count: int = 200, spread: float = 0.1) -> list[float]:
    noise = random.Random(seed)
    return [3.0 - index / count + noise.gauss(0, spread) for index in range(count)]


@pytest.mark.parametrize("seed", range(8))
def test_noise_does_not_part_and_a_shift_does(seed: int) -> None:
    good, bad = noisy(seed), noisy(seed + 100)
    assert parting(series(good), series(bad)).kind == "none"
    shifted = [value + (1.5 if index >= 120 else 0.0) for index, value in enumerate(bad)]
    assert parting(series(good), series(shifted)).step in range(119, 123)


def test_a_spike_is_no_parting_and_a_short_tail_is() -> None:
    good, bad = noisy(1), noisy(2)
    bad[50] += 5
    assert parting(series(good), series(bad)).kind == "none"
    bad[-3:] = [value + 5 for value in bad[-3:]]
    assert parting(series(good), series(bad)).step == 198


def test_curves_that_were_logged_at_other_steps_are_put_on_one_axis() -> None:
    good = noisy(3)
    bad = [good[step - 1] for step in range(5, 200, 7)]
    bad[15:] = [value + 2 for value in bad[15:]]
    steps = list(range(5, 200, 7))
    found = parting(series(good[::10], list(range(1, 200, 10))), series(bad, steps))
    assert found.step == steps[15]
    assert parting(series(good[:3]), series(good[:3])) is None


def environment(**facts: object) -> Environment:
    return Environment(
        Fact(key.replace("__", ":").replace("_dot_", "."), value, SourceRef("x", 1, "x")) for key, value in facts.items()
    )


def test_values_are_compared_as_what_they_mean() -> None:
    good = environment(
        config__bf16_dot_enabled="true",
        arg__learning_rate=2e-05,
        package__torch="2.1.2+cu121",
        arg__output_dir="a",
        arg__data="/x/d",
    )
    bad = environment(
        config__bf16_dot_enabled=True, arg__learning_rate="0.00002", package__torch="2.1.2", arg__output_dir="b", arg__data="/y/d"
    )
    assert {one.key: one.is_incidental for one in differences(good, bad)} == {"output_dir": True, "data": True}


def test_auto_is_no_difference_and_one_side_alone_is_no_change() -> None:
    found = differences(environment(config__a="auto", config__b=1), environment(config__a=5, config__c=2))
    assert not any(one.is_change for one in found)


def test_messages_only_in_the_bad_run(tmp_path: Path) -> None:
    found = compared(*pair(tmp_path, "deepspeed==0.11.1\n", "deepspeed==0.14.0\n"))
    first, *others = found.messages
    assert (first.text, first.is_trouble, first.count) == ("Warning: expert 3 was ignored 17 times", True, 1)
    assert [m.text.partition(" ")[0] for m in others] == ["torchrun"]


def test_templates_forget_numbers_paths_and_stamps() -> None:
    one = template("[2026-11-24 02:38:20,019] [rank3] loading /home/a/b/shard-00001.bin took 1.5e-3 s at 0x7f00")
    assert one == template("[2026-11-23 12:08:21,119] [rank0] loading /data/shard/x/shard-00007.bin took 2.25 s at 0x7aff")
    assert template("  3%|▎  | 3/100 [00:02<00:47,  2.03it/s]") == ""
    assert template("{'loss': 1.2, 'grad_norm': nan}") == ""


def test_the_terminal_form_puts_differences_first(tmp_path: Path) -> None:
    good, bad = pair(tmp_path, "deepspeed==0.11.1\n", "deepspeed==0.14.0\n")
    done = analyze("compare", good, bad)
    assert done.returncode == 0
    for words in (
        "step 30",
        "0.11.1",
        "0.14.0",
        RACE,
        "requirements.txt:1",
        "expert 3",
        "Only deepspeed 0.11.1 → 0.14.0 separates",
    ):
        assert words in done.stdout, words


def test_together_is_said_only_as_far_as_both_runs_go(tmp_path: Path) -> None:
    records = [f"{{'loss': {2 - i / 100}, 'grad_norm': 1.0, 'learning_rate': 1e-05, 'epoch': {i / 100}}}" for i in range(1, 81)]
    (tmp_path / "a.log").write_text("\n".join(records[:40]))
    (tmp_path / "b.log").write_text("\n".join(records))
    assert (
        "beyond its noise up to step 40, where the shorter run ends"
        in analyze("compare", tmp_path / "a.log", tmp_path / "b.log").stdout
    )


def test_json_is_valid_and_the_same_each_time(tmp_path: Path) -> None:
    text = analyze("compare", HEALTHY, NAN, "--format", "json").stdout
    got = json.loads(text, parse_constant=lambda name: pytest.fail(name))
    assert got["first"]["step"] == 34
    assert (got["good"]["verdict"], got["bad"]["verdict"]) == ("healthy", "failed")
    assert next(part for part in got["partings"] if part["metric"] == "grad_norm")["bad"] == "nan"
    assert {one["key"] for one in got["differences"] if one["changed"]} >= {"zero_optimization.stage", "seed"}
    assert analyze("compare", HEALTHY, NAN, "--format", "json").stdout == text


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_the_page_is_one_file_without_scripts(tmp_path: Path, lang: str) -> None:
    out = tmp_path / "compare.html"
    assert analyze("compare", HEALTHY, NAN, "--html", out, "--lang", lang).returncode == 0
    page = out.read_text("utf-8")
    assert "<script" not in page
    assert not re.search(r"(?:src|href)=[\"'](?!#)", page)
    assert "default-src &#39;none&#39;; style-src &#39;sha256-" in page
    assert page.index('id="changes"') < page.index('id="picture"')
    assert page.count('class="good"') == page.count('class="bad"') >= 2
    assert ('lang="zh-CN"' in page) == (lang == "zh")


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    good, bad = pair(tmp_path, "deepspeed==0.11.1\n", "deepspeed==0.14.0\n")
    with (bad / "run.log").open("a", encoding="utf-8") as file:
        file.write("Error: <img src=x onerror=alert(1)> \x1b[31m\u202e failed\n")
    found = compared(good, bad)
    page = comparison_html.render(found)
    assert "<img" not in page
    assert "\u202e" not in page + comparison.render(found, "terminal") + comparison.render(found, "markdown")
    assert "\x1b" not in comparison.render(found, "terminal")


def test_versions_of_four_parts_are_no_addresses() -> None:
    shown = json.loads(analyze("compare", FOLDER / "deepspeed/healthy-plain-fp16-ds0.12.3-s1", NAN, "--format", "json").stdout)
    assert not [one for one in shown["differences"] if one["area"] == "packages" and "[ip" in f"{one['good']}{one['bad']}"]
    packages = json.loads(analyze(NAN, "--format", "json").stdout)["run"]["environment"]["packages"]
    assert not [name for name, version in packages.items() if "[ip" in version]


def test_shared_forms_are_redacted(tmp_path: Path) -> None:
    good, bad = pair(tmp_path, "deepspeed==0.11.1\n", "deepspeed==0.14.0\n")
    with (bad / "run.log").open("a", encoding="utf-8") as file:
        file.write("Error: cannot write /home/erika.mustermann/out/x.pt\n")
    assert "mustermann" not in analyze("compare", good, bad, "--format", "markdown").stdout
    assert "mustermann" in analyze("compare", good, bad, "--format", "markdown", "--no-redact").stdout


@pytest.mark.parametrize("form", ["terminal", "markdown", "json", "html"])
def test_many_runs_are_separated_by_the_setting_that_matters(tmp_path: Path, form: str) -> None:
    for index in range(4):
        run(tmp_path / f"runs/good{index}", log(index, f"g{index}"), f"deepspeed==0.1{index % 2}.1\nnumpy==1.26.{index}\n")
        run(
            tmp_path / f"runs/bad{index}", log(index + 50, f"b{index}", 30), f"deepspeed==0.14.{index % 2}\nnumpy==1.26.{index}\n"
        )
    done = analyze("compare", tmp_path / "runs", "--format", form)
    assert done.returncode == 0, done.stderr
    if form == "json":
        split = json.loads(done.stdout)["splits"][0]
        assert (split["key"], split["test"], split["failed"], split["healthy"]) == (
            "package:deepspeed",
            "≥ 0.14.0",
            [4, 4],
            [0, 4],
        )
    else:
        assert "package:deepspeed ≥ 0.14.0" in done.stdout
        assert "package:numpy" not in done.stdout
    if form == "html":
        assert "<script" not in done.stdout and "runs/good0" in done.stdout


def test_many_runs_have_a_page_besides_the_summary(tmp_path: Path) -> None:
    for name, at in (("good", 0), ("bad", 30)):
        run(tmp_path / f"home/mustermann/{name}", log(at, name, at), "deepspeed==0.14.0\nnumpy==1.26.4\n")
        run(tmp_path / f"home/mustermann/{name}2", log(at + 1, name, at), "deepspeed==0.14.0\nnumpy==1.26.4\n")
    page = tmp_path / "many.html"
    done = analyze("compare", tmp_path / "home", "--html", page, "--lang", "zh")
    assert done.returncode == 0, done.stderr
    shown = page.read_text("utf-8")
    assert "zh-CN" in shown and "good2" in shown


def test_unrelated_settings_separate_nothing() -> None:
    from tests.output import diagnoses

    failed, healthy = diagnoses.rich(), diagnoses.healthy()
    assert (failed.verdict, healthy.verdict) == ("failed", "healthy")
    runs = [(environment(arg__a=index % 2), failed if index < 4 else healthy) for index in range(8)]
    assert separate(runs).splits == ()


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    empty = tmp_path / "none" / "empty.log"
    empty.parent.mkdir()
    empty.write_bytes(b"")
    for arguments, code in (
        ((HEALTHY,), 3), ((HEALTHY, tmp_path / "missing"), 3), ((empty, HEALTHY), 3), ((HEALTHY, empty), 3), ((tmp_path,), 3),
    ):  # fmt: skip
        done = analyze("compare", *arguments)
        assert done.returncode == code, done.stderr
        assert one_sentence(done.stderr)
