"""Both faces of the text readers agree: plain lines read from their bytes, and every line as a `Line`."""

from __future__ import annotations

import random
import re

import pytest

from analyzer.diagnosis import known_signatures
from parsers.model import Record
from parsers.read import make_router
from parsers.registry import text_formats
from parsers.scanner import Scanner
from parsers.signature import needle
from parsers.source import Block, Cutter
from tests.samples import FOLDER

pytestmark = pytest.mark.usefixtures("engine")
LOGS = sorted(FOLDER.glob("**/*.log"))
PLAIN = [(form.name, example) for form in text_formats() for plain in form.plain for example in plain.examples]
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
    data: bytes, is_by_line: bool, size: int = 2**21, file: str = "run.log", rank: int | None = None
) -> list[tuple[str, Record]]:
    """What all readers and the causes' patterns say of a text."""
    scanner = Scanner(make_router(known_signatures()), file, True, rank, None, is_by_line)
    cutter, said = Cutter(), []
    for at in range(0, len(data), size):
        for block in cutter.feed(data[at : at + size]):
            said += scanner.feed(block)
    for block in cutter.close():
        said += scanner.feed(block)
    return [*said, *scanner.close()]


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

    from parsers.registry import Router

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
