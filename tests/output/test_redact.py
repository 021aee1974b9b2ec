from __future__ import annotations

import time
from dataclasses import replace

import pytest

from analyzer.model import Evidence
from analyzer.output import document, html, markdown
from analyzer.output.index import index_row
from analyzer.output.redact import Batch, redact, redact_row, redact_text, redact_value
from parsers import SourceRef
from tests.output import diagnoses


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("/home/alice/runs/run.log", "/home/[user]/runs/run.log"),
        ("/Users/bob/x and C:\\Users\\bob\\y", "/Users/[user]/x and C:\\Users\\[user]\\y"),
        ("cd /home/alice; alice@gpu-7:~$ ls", "cd /home/[user]; [user]@[host-1]:~$ ls"),
        ("mail jane.doe@example.com now", "mail [email] now"),
        ("HF_TOKEN=hf_abcdefghijklmnopqrstuvwx", "HF_TOKEN=[secret]"),
        ("token hf_abcdefghijklmnopqrstuvwx ok", "token [secret] ok"),
        ("OPENAI_API_KEY: sk-proj-abcdefghijklmnopqrst", "OPENAI_API_KEY: [secret]"),
        ("WANDB_API_KEY=0123456789abcdef0123456789abcdef01234567", "WANDB_API_KEY=[secret]"),
        ('"password": "hunter2hunter2"', '"password": "[secret]"'),
        ("Authorization: Bearer abc.def-ghi12345", "Authorization: Bearer [secret]"),
        ("git clone https://me:s3cr3tpass@host.org/x", "git clone https://[secret]@host.org/x"),
        ("s3://b/x?X-Amz-Signature=0123456789abcdef", "s3://b/x?X-Amz-Signature=[secret]"),
        ("AKIAIOSFODNN7EXAMPLE", "[secret]"),
        ("connect to 10.1.2.3:29500 failed", "connect to [ip-1]:29500 failed"),
        ("10.1.2.3 and 10.1.2.4 and 10.1.2.3", "[ip-1] and [ip-2] and [ip-1]"),
        ("peer fe80:0:0:0:1:2:3:4 gone", "peer [ip-1] gone"),
        ("[fe80::1]:29500 and 2001:db8::7", "[[ip-1]]:29500 and [ip-2]"),
        ("  host      : node-12.cluster.local", "  host      : [host-1]"),
        ("MASTER_ADDR=ip-10-0-12-7 port", "MASTER_ADDR=[host-1] port"),
        ("lost gpu-17.corp.example.com", "lost [host-1]"),
        ("lost gpu17.dc2.example.com:22", "lost [host-1]:22"),
    ],
)
def test_private_names_and_secrets_go(text: str, cleaned: str) -> None:
    assert redact_text(text) == cleaned


@pytest.mark.parametrize(
    "text",
    [
        "nvidia-cublas-cu12==12.1.3.1",
        "nvidia-cublas-cu12        12.1.3.1                 pypi_0",
        "NCCL version 2.18.5.1",
        "listening on 127.0.0.1:29500",
        "[2026-11-24 02:38:11,143] [INFO] step=10, skipped=0, lr=[1e-05]",
        "{'loss': 1.234, 'grad_norm': 0.5, 'epoch': 0.01}",
        "pad_token_id: 2, eos_token: </s>, num_tokens=30000, tokenizer=llama",
        "host memory exhausted; hostname: localhost",
        "tokens per second: 12345.6",
        "/opt/venv/lib/python3.12/site-packages/deepspeed/runtime/zero/linear.py:47",
        "sha256:0123456789abcdef",
        "/root/train.py",
        "12:34:56 eta 1:02:03, ran 1:02:03:04",
        "c10::ad std::vector",
        "torch.cuda.cluster.x in ray.internal.api",
        "https://download.pytorch.org/whl and https://github.com/x",
    ],
)
def test_what_the_diagnosis_rests_on_stays(text: str) -> None:
    assert redact_text(text) == text


@pytest.mark.parametrize("text", ["host memory ran out", "a node zero-copy transfer", "on machine learning, sm_90"])
def test_a_word_after_host_is_no_name_without_a_digit(text: str) -> None:
    assert redact_text(text) == text


def test_a_host_that_is_only_spoken_of_goes() -> None:
    assert redact_text("killed on host gpu-node-17 at noon") == "killed on host [host-1] at noon"


def test_a_whole_diagnosis_keeps_its_sense_and_says_what_went() -> None:
    cleaned, taken = redact(diagnoses.rich())
    assert {one.kind: one.count > 0 for one in taken} == {"user": True, "host": True}
    assert cleaned.run.files[0].path == "/home/[user]/runs/mgm-7b/run.log"
    assert cleaned.findings[0].evidence[0].ref.file == cleaned.run.files[0].path
    assert cleaned.run.files[0].digest == diagnoses.rich().run.files[0].digest
    assert cleaned.run.hardware["host"] == "[host-1]"
    assert cleaned.run.curves[0].values == diagnoses.rich().run.curves[0].values
    for text in (document.dumps(cleaned), markdown.render(cleaned), html.render(cleaned, redacted=taken, shared_bundle=True)):
        assert "alice" not in text and "gpu-node-17" not in text
    assert document.dumps(document.loads(document.dumps(cleaned))) == document.dumps(cleaned)


def test_a_name_learnt_in_one_place_goes_everywhere() -> None:
    rich = diagnoses.rich()
    note = replace(rich.findings[0].evidence[0], note="started by alice on gpu-node-17.cluster.local")
    cleaned, _ = redact(replace(rich, findings=(replace(rich.findings[0], evidence=(note,)),)))
    assert cleaned.findings[0].evidence[0].note == "started by [user] on [host-1]"


def test_nothing_private_means_nothing_listed() -> None:
    one = diagnoses.healthy()
    clean = replace(one, run=replace(one.run, source="run.log", files=(), curves=(), hardware={}, environment_refs={}))
    assert redact(clean) == (clean, [])


def test_hostile_text_does_not_raise() -> None:
    redact(diagnoses.hostile())


def test_a_row_of_the_index_keeps_its_page() -> None:
    row = index_row("/home/alice/runs/1/run.log", "00001-alice.html", diagnoses.rich())
    cleaned = redact_row(row)
    assert cleaned.path == "/home/[user]/runs/1/run.log" and cleaned.href == "00001-alice.html"
    assert cleaned.spark == row.spark and cleaned.verdict == "failed"


@pytest.mark.parametrize(
    "piece", ["a", "a.", "1.", "a:", "0a:", "x@", "/home/", "API_KEY_", "eyJ", "host: ", "://a:", "-", "f::"]
)
def test_a_long_line_costs_linear_time(piece: str) -> None:
    started = time.process_time()
    redact_text(piece * (100_000 // len(piece)))
    assert time.process_time() - started < 2


def test_lines_of_context_are_redacted_too() -> None:
    ref = SourceRef("run.log", 62, "RuntimeError: boom")
    context = ((61, 'File "/home/zebulon/train.py", line 3'), (62, "RuntimeError: hf_abcdefghijklmnopqrstuvwxyzABCDEFGH"))
    clean, hidden = redact_value(Evidence(ref, context=context))
    assert clean.context == ((61, 'File "/home/[user]/train.py", line 3'), (62, "RuntimeError: [secret]"))
    assert {one.kind for one in hidden} == {"user", "secret"}


LONG = "RuntimeError: the store could not be reached for one of many reasons that take some room to be told: "


@pytest.mark.parametrize(
    ("end", "cleaned"),
    [
        ("https://bob:s3cretPa", "https://[secret]"),
        ("https://bob:s3cretPa… ended the run", "https://[secret]… ended the run"),
        ("http://node:29500", "http://node:29500"),
        ("token hf_aB3… ended the run", "token [secret]… ended the run"),
        ("password=abc", "password=[secret]"),
        ("raised in hf_trainer", "raised in hf_trainer"),
    ],
)
def test_a_secret_that_a_cut_left_a_part_of_goes_too(end: str, cleaned: str) -> None:
    assert redact_text(LONG + end) == LONG + cleaned


def test_a_name_that_a_cut_left_a_part_of_goes_too() -> None:
    told = ("/home/zebulon/x on host gpu-node-17.dc", f"{LONG}zebul", f"{LONG}gpu-no… ended the run")
    assert redact_value(told)[0][1:] == (f"{LONG}[user]", f"{LONG}[host-1]… ended the run")


def test_a_batch_gives_a_name_one_substitute_in_all_its_values() -> None:
    hide = Batch()
    assert [hide("/home/zebulon/1"), hide("zebulon was here"), hide("/home/quentin/1")] == [
        "/home/[user]/1", "[user] was here", "/home/[user-2]/1",
    ]  # fmt: skip
