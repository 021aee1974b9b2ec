"""Both faces of the text readers agree: plain lines read from their bytes, and every line as a `Line`."""

from __future__ import annotations

import random
import re

import pytest

from analyzer.diagnosis import known_signatures
from parsers.model import Record, Row
from parsers.read import make_router
from parsers.registry import Router, text_formats
from parsers.scanner import Scanner
from parsers.signature import needle
from parsers.source import Block, Cutter
from parsers.table import holds_loss
from tests.samples import FOLDER

pytestmark = pytest.mark.usefixtures("engine")
LOGS = sorted(FOLDER.glob("**/*.log"))
PLAIN = [(form.name, example) for form in text_formats() for plain in form.plain for example in plain.examples]
FALLBACKS = frozenset(form.name for form in text_formats() if form.is_fallback)
OTHERS = (
    "Traceback (most recent call last):",
    '  File "/opt/conda/lib/python3.10/site-packages/torch/nn/modules/module.py", line 1518, in _call_impl',
    "RuntimeError: CUDA error: an illegal memory access was encountered",
    "{'loss': nan, 'grad_norm': inf, 'learning_rate': 0.0, 'epoch': 0.5}",
    "{'loss': 0.0, 'grad_norm': tensor(nan, device='cuda:0'), 'learning_rate': 2e-05, 'epoch': 0.01}",
    "[rank3]: {'loss': 1.5, 'grad_norm': 1.0, 'learning_rate': 2e-05, 'epoch': 0.2}",
    "100%|██████████| 100/100 [00:29<00:00,  2.92s/it]{'loss': 4.163, 'learning_rate': 0.0005, 'epoch': 0.17}",
    "Epoch 0:  40%|████      | 2/5 [00:01<00:02,  1.31it/s, v_num=0, train_loss_step=0.520]",
    "***** Running training *****",
    "  Num examples = 8,000",
    "  Total optimization steps = 250",
    "[2024-03-01 00:00:17,017] [INFO] [loss_scaler.py:190:update_scale] [deepspeed] OVERFLOW! Rank 1 Skipping step. "
    "Attempted loss scale: 1, reducing to 1",
    " iteration       38/ 500000 | consumed samples:        38912 | elapsed time per iteration (ms): 993.6 | "
    "learning rate: 3.000000E-04 | lm loss: 2.500000E+00 | loss scale: 1.0 | grad norm: 0.512 |",
    "step: 10  loss:  8.12340  grad_norm:  1.2345  memory: 10.12GiB(12.80%)  tps: 7,531  tflops: 312.40  mfu: 31.59%",
    "------------------------ arguments ------------------------",
    "  adam_beta1 ...................................... 0.9",
    "-------------------- end of arguments ---------------------",
    "Unable to load the optimizer of this checkpoint, Optimizer state not found",
    "wandb: \x1b[1;33m Waiting for wandb.init()...\x1b[0m",
    "INFO:dataset:loaded shard 00012-of-99999 samples=12 dropped=3",
    "",
)


def read(
    data: bytes,
    is_by_line: bool,
    size: int = 2**21,
    file: str = "run.log",
    rank: int | None = None,
    router: Router | None = None,
) -> list[tuple[str, Record]]:
    """What all readers and the causes' patterns say of a text."""
    scanner = Scanner(router or make_router(known_signatures()), file, True, rank, None, is_by_line)
    cutter, said = Cutter(), []
    for at in range(0, len(data), size):
        for block in cutter.feed(data[at : at + size]):
            said += scanner.feed(block)
    for block in cutter.close():
        said += scanner.feed(block)
    return kept([*said, *scanner.close()])


def kept(said: list[tuple[str, Record]]) -> list[tuple[str, Record]]:
    """What is kept at the end of the file: fallbacks' rows do not count where another reader has found a loss."""
    rows = [(name, record) for name, record in said if isinstance(record, Row)]
    if not any(holds_loss(row.kind, [name for name, _ in row.values]) for name, row in rows if name not in FALLBACKS):
        return said
    return [(name, record) for name, record in said if name not in FALLBACKS or not isinstance(record, Row)]


def varied(luck: random.Random, text: str) -> str:
    """The line with other numbers in it."""
    return re.sub(r"(?<!Rank )(?<!rank=)(?<!\[rank)(?<!mtp_)(?<!stage)\d", lambda _: str(luck.randrange(10)), text)


def mixed(seed: int, lines: int = 400) -> bytes:
    """Plain lines with other numbers, other lines between them, all kinds of breaks."""
    luck = random.Random(seed)
    chosen = luck.sample(PLAIN, 6)
    parts = []
    for _ in range(lines):
        text = varied(luck, luck.choice(chosen)[1]) if luck.random() < 0.7 else luck.choice(OTHERS)
        text = luck.choice(("", "", "", " ", "[rank1]: ", "\x1b[32m")) + text if luck.random() < 0.2 else text
        parts.append(text + luck.choice(("\n", "\n", "\n", "\r", "\r\n", " \n")))
    return "".join(parts).encode()


@pytest.mark.parametrize("log", LOGS, ids=lambda log: str(log.parent.relative_to(FOLDER)))
def test_a_real_log_reads_the_same_by_shape_and_by_line(log) -> None:
    data = log.read_bytes()
    assert repr(read(data, False)) == repr(read(data, True))


@pytest.mark.parametrize("seed", range(40))
def test_mixed_lines_read_the_same_by_shape_and_by_line(seed: int) -> None:
    data = mixed(seed)
    rank = seed % 3 or None
    expected = repr(read(data, True, rank=rank))
    assert repr(read(data, False, rank=rank)) == expected
    assert repr(read(data, False, size=257, rank=rank)) == expected


@pytest.mark.parametrize(("name", "example"), PLAIN)
def test_an_example_is_plain_and_its_reader_alone_reads_it(name: str, example: str) -> None:
    data = "".join(varied(random.Random(seed), example) + "\n" for seed in range(50)).encode()
    said = read(data, False)
    assert {reader for reader, _ in said} <= {name, "signatures", "notes", "generic_text"}
    assert repr(said) == repr(read(data, True))


@pytest.mark.parametrize(("name", "example"), PLAIN)
def test_almost_no_plain_line_is_made_a_line(name: str, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    monkeypatch.setattr("parsers.scanner.make_line", lambda *args: made.append(args[2]) or _line(*args))
    data = "".join(varied(random.Random(seed), example) + "\n" for seed in range(400)).encode()
    read(data, False)
    special = sum(re.search(rb"100%|reducing to 1|loss scale: 1", line) is not None for line in made)
    assert len(made) - special <= 20


REGULAR = [(form.name, form.example) for form in text_formats() if form.parse] + [
    ("generic_text", "step: 16 loss: 4.8503 grad_norm: 0.6420 lr: 3.000e-03"),
    ("generic_text", "2024-05-01 12:00:00,123 - INFO - global step 1,234 | loss = 0.52 | lr 1e-4 | acc 71.20%"),
    ("generic_text", "Epoch: [0][  10/5005]\tTime  0.5 ( 1.2)\tLoss 6.9e+00 (7.0e+00)"),
    ("generic_text", "epoch 3, train loss: 0.51, val loss: 0.62"),
    ("generic_text", "epoch 2 batch 17 loss tensor(0.5234, device='cuda:0')"),
    ("generic_text", "Train Epoch: 1 [640/60000 (1%)]\tLoss: 2.290191"),
    ("generic_text", "train loss: 0.52"),
    ("generic_jsonl", '{"epoch": 3, "iter": 120, "loss": 1.23, "lr": 0.0001, "acc": "0.71", "ts": 1767225600.5}'),
    ("generic_jsonl", '{"step": 100, "train": {"loss": 1.23}, "val": {"loss": 2.5}, "lr": 1e-04}'),
    ("lerobot", "INFO 2025-07-11 09:20:13 ts/train.py:232 step:1K smpl:64K ep:220 epch:1.50 loss:0.090 grdn:4.482 lr:1.8e-06"),
    ("tqdm_postfix", "Steps:  40%|████      | 200/500 [01:00<01:30,  3.31it/s, loss=0.0523, lr=1e-5]"),
    ("tqdm_postfix", "Train step of epoch [0]:  40%|████  | 2/5 [00:01<00:02,  1.31s/it, gpt_loss=1.23, loss_mean=1.2, lr=1e-5]"),
    ("tqdm_postfix", "epoch 1/3 loss: 0.5123:  40%|████      | 2/5 [00:01<00:02,  1.31it/s]"),
    ("lightning", "Epoch 3:  40%|████      | 2/5 [1:00:01<00:02,  1.31it/s, v_num=0, train_loss_step=0.520, loss=2.50]"),
    ("progress_bar", "Downloading data:  40%|████      | 2/5 [00:01<00:02,  1.31it/s]"),
    ("nanogpt", "step 250: train loss 3.1400, val loss 3.2000"),
    ("nanogpt", "step:125/3175 val_loss:4.48721 train_time:67.200s step_avg:537.60ms"),
    ("nanogpt", "step    10 | loss: 9.523163 | lr 1.0000e-04 | norm: 1.2345 | dt: 300.00ms | tok/sec: 1500000"),
    ("nemo", "Training epoch 0, iteration 9/99 | lr: 1.5e-05 | global_step: 9 | reduced_train_loss: 9.876 | val_loss: 9.5"),
    ("swift_jsonl", '{"loss": 1.2, "learning_rate": 9.8e-05, "global_step/max_steps": "10/100", "train_speed(iter/s)": 0.16}'),
    ("mmengine", "05/01 10:00:00 - mmengine - INFO - Iter(train) [ 10/500]  lr: 2.0000e-05  eta: 1:02:03  time: 0.1234  loss: 1.2"),
    ("maxtext", "Completed eval after train step 100, loss=9.500, perplexity=13359.7"),
    ("memory_lines", "[step 120] memory_allocated=12.31GB max_memory_allocated=14.02GB rss=35.1GB"),
    ("fairseq", "2023-01-05 10:00:00 | INFO | train_inner | epoch 001:    200 / 5000 loss=12.345, ppl=5203.5, gnorm=3.456"),
]  # fmt: skip
"""Readers whose lines are learned, and lines of theirs."""


KEPT = re.compile(
    r"/\s*\d+|total_steps\": \d+|RANK \d|scaler \d|\d{4}-\d\d-\d\d|\d+:\d\d:\d\d(?:,\d+)?|\d\d:\d\d[<,]|cuda:0|1,234|ts\": \d+"
)


def other_numbers(luck: random.Random, text: str) -> str:
    """The line with other numbers of other lengths in it; plans, ranks and dates stay, no number begins with a 0."""
    kept = [found.span() for found in KEPT.finditer(text)]

    def other(found: re.Match[str]) -> str:
        if any(start <= found.start() < end for start, end in kept):
            return found[0]
        size = max(1, len(found[0]) + luck.choice((-1, 0, 0, 1)))
        return "".join(luck.choice("123456789") for _ in range(size))

    return re.sub(r"\d+", other, text)


@pytest.mark.parametrize(("name", "example"), REGULAR)
@pytest.mark.parametrize("change", [varied, other_numbers], ids=["same-length", "other-lengths"])
def test_lines_of_a_learned_form_read_the_same_by_line(name: str, example: str, change) -> None:
    if example.startswith("{") and change is varied:
        pytest.skip("a number with a 0 before it is no JSON, and columns read it")
    luck = random.Random(example)
    data = "".join(change(luck, example) + "\n" for _ in range(300)).encode()
    said = read(data, False)
    assert repr(said) == repr(read(data, True))
    assert name in {reader for reader, _ in said}


@pytest.mark.parametrize(("name", "example"), REGULAR)
def test_almost_no_line_of_a_learned_form_is_made_a_line(name: str, example: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[bytes] = []
    monkeypatch.setattr("parsers.scanner.make_line", lambda *args: made.append(args[2]) or _line(*args))
    luck = random.Random(example)
    fresh = Router(make_router(known_signatures()).formats)  # has learned nothing from other tests
    read("".join(other_numbers(luck, example) + "\n" for _ in range(1000)).encode(), False, router=fresh)
    assert len(made) <= 250  # the first hundred or two, before a plan is told


@pytest.mark.parametrize("seed", range(12))
def test_learned_lines_among_others_read_the_same_by_line(seed: int) -> None:
    luck = random.Random(seed)
    chosen = luck.sample(REGULAR, 4)
    lines = (
        other_numbers(luck, luck.choice(chosen)[1]) if luck.random() < 0.8 else luck.choice((*OTHERS, "nothing", "loss: nan"))
        for _ in range(500)
    )
    data = "".join(line + luck.choice(("\n", "\n", "\n", "\r\n")) for line in lines).encode()
    expected = repr(read(data, True))
    assert repr(read(data, False)) == expected
    assert repr(read(data, False, size=1000)) == expected


def test_a_reader_that_raises_is_silenced_in_both() -> None:
    class Broken:
        hungry = False

        def feed(self, line):
            raise ValueError("broken")

        bar = feed

        def close(self):
            return ()

    form = next(form for form in text_formats() if form.name == "progress_bar")
    from dataclasses import replace

    router = Router([replace(form, make=Broken)])
    data = b"  4%|\xe2\x96\x8d         | 10/250 [00:29<11:40,  2.92s/it]\n" * 5
    scanner = Scanner(router, "run.log")
    assert list(scanner.feed(Block(data, 1))) == []
    assert len(scanner.failures) == 1


from parsers.line import make_line as _line  # noqa: E402


@pytest.mark.parametrize(
    ("pattern", "hint", "expected"),
    [
        ("[Ss]aving (the )?(latest |full )*checkpoint", "checkpoint", b"aving "),
        ("[Oo]ptimizer.{0,40}not found", "ptimizer", b"not found"),
        ("abc|defg", "abc", b""),
        (r"\bcolou?r is x{2}", "is", b"r is "),
        ("(one|two) (three)?four", "one", b"four"),
        ("size mismatch for", "size mismatch for", b""),
        (r"a\(b\) c", "a", b" c"),
    ],
)
def test_the_needle_of_a_pattern_stands_in_everything_it_fits(pattern: str, hint: str, expected: bytes) -> None:
    assert needle(pattern, hint) == expected


def test_the_needles_of_the_causes_patterns_stand_in_what_they_fit() -> None:
    lines = [line for log in LOGS for line in log.read_text("utf-8", "replace").splitlines()]
    fitted = 0
    for signature in known_signatures():
        for line in (line for line in lines if signature.hint in line):
            if re.search(signature.pattern, line[:2000]):
                fitted += 1
                assert needle(signature.pattern, signature.hint) in line.encode(), (signature.pattern, line)
                break
    assert fitted > 50
