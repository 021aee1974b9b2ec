from __future__ import annotations

import re
from pathlib import Path

import pytest

from analyzer import diagnose
from analyzer.output import markdown
from tests.output import diagnoses


def test_an_issue_in_short_with_the_details_folded() -> None:
    text = markdown.render(diagnoses.rich())
    first, *_ = text.splitlines()
    assert first == "**FAILED** loss is exactly 0 from step 38 to the end (43 records)"
    head, folded = text.split("<details>")
    assert "**Cause (likely)** DeepSpeed ZeRO-2 overlap race (`ds-zero12-overlap-multirank`)" in head
    assert '+  "overlap_comm": false' in head and '-  "overlap_comm": true' in head
    assert ">    112  {'loss': 0.0, 'grad_norm': nan" in head
    assert "Learning rate too high" in folded and "deepspeed = 0.14.0" in folded
    assert len(head.splitlines()) < 70


def outside_fences(text: str) -> str:
    return re.sub(r"^ *(`{3,})[a-z]*\n.*?^ *\1$", "", text, flags=re.DOTALL | re.MULTILINE)


def test_log_text_is_never_markup() -> None:
    text = re.sub(r"(?<!\\)`[^`\n]*`", "", outside_fences(markdown.render(diagnoses.hostile())))
    assert "<script" not in text and "<img" not in text
    assert not re.search(r"(?<!\\)\]\(javascript", text)
    assert not re.search("[\x00-\x09\x0b-\x1f\u202a-\u202e\ud800-\udfff]", text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("thanks @alice, see #12", "thanks &#64;alice, see &#35;12"),
        ("a|b *c* _d_", r"a\|b \*c\* \_d\_"),
        ("<b>&", "&lt;b&gt;&amp;"),
        ("two\nlines", "two lines"),
    ],
)
def test_nobody_is_notified_and_no_table_breaks(text: str, shown: str) -> None:
    assert markdown.escape(text) == shown


def test_code_in_a_sentence_of_ours_stays_code() -> None:
    assert markdown.prose("set `a_b` to *c*") == r"set `a_b` to \*c\*"
    assert markdown.prose("odd ` tick") == r"odd \` tick"


def test_a_fence_outlasts_the_ticks_in_it() -> None:
    block = markdown.fence("a\n````\nb")
    assert block[0] == "`````" == block[-1]


@pytest.mark.parametrize("make", [diagnoses.healthy, diagnoses.crash, diagnoses.empty])
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_verdict_renders(make, lang: str) -> None:
    assert markdown.render(make(), lang).startswith("**")


@pytest.mark.parametrize(("lang", "mark"), [("en", "(implied, not printed by this run)"), ("zh", "日志未打印")])
def test_what_a_run_implies_but_does_not_print_is_marked(tmp_path: Path, lang: str, mark: str) -> None:
    """`--deepspeed zero2.json` implies the stage: every form says that it was not printed, the JSON in the evidence's note."""
    log = tmp_path / "run.log"
    rows = [f"{{'loss': {2 - n / 10}, 'grad_norm': 2.1, 'learning_rate': 2e-05, 'epoch': 0.0{n}}}\n" for n in range(1, 5)]
    rows += [f"{{'loss': 0.0, 'grad_norm': nan, 'learning_rate': 2e-05, 'epoch': 0.0{n}}}\n" for n in range(5, 9)]
    log.write_text("deepspeed llava/train/train_mem.py --deepspeed ./scripts/zero2.json --bf16 True\n" + "".join(rows), "utf-8")
    text = markdown.render(diagnose(log), lang=lang)
    (line,) = {line for line in text.splitlines() if "ZeRO stage 1" in line and mark in line}
    assert "run.log:1" in line
