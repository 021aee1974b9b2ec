"""Two ranks write into one file, line by line in any order: what each of them said is the same.

Only one face reads a line here (`feed`); there is no second, column-wise one that could disagree.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsers import Run
from tests.parsers.logs import run_of

PREFIXES = ("[rank{}]: ", "[1,{}]<stdout>:")


def _dicts(rank: int) -> list[str]:
    return [f"{{'loss': {3 - 0.01 * k - rank:.4f}, 'learning_rate': 1e-05, 'epoch': {k / 100}}}" for k in range(1, 7)]


def _megatron(rank: int) -> list[str]:
    return [
        f" iteration {k:8d}/     100 | consumed samples: {256 * k:12d} | elapsed time per iteration (ms): 849.6 | learning rate: "
        f"5.308E-07 | global batch size:   256 | lm loss: {rank + k}.069056E+00 | loss scale: 2048.0 | grad norm: 0.512 | "
        "number of skipped iterations:   0 | number of nan iterations:   0 |"
        for k in range(1, 5)
    ]


def _deepspeed(rank: int) -> list[str]:
    stamp = "[2023-12-08 10:10:49,003] [INFO]"
    return [
        line
        for k in range(1, 4)
        for line in (
            f"{stamp} [loss_scaler.py:183:update_scale] [deepspeed] OVERFLOW! Rank {rank} Skipping step. "
            f"Attempted loss scale: {2 ** (16 - k)}, reducing to {2 ** (15 - k)}",
            f"{stamp} [logging.py:96:log_dist] [Rank {rank}] step={k}, skipped={k}, lr=[{k}e-06], mom=[(0.9, 0.95)]",
        )
    ]


def _plain(rank: int) -> list[str]:
    return [f"step {k} loss={3 - 0.01 * k - rank:.4f} lr 1e-4" for k in range(1, 7)]


def _traceback(rank: int) -> list[str]:
    return [
        "Traceback (most recent call last):",
        f'  File "/x/train{rank}.py", line 3, in <module>',
        "    main()",
        '  File "/x/model.py", line 7, in main',
        "    raise ValueError(rank)",
        f"ValueError: rank {rank} has no batch",
    ]


def _arguments(rank: int) -> list[str]:
    return ["TrainingArguments(", "bf16=True,", f"learning_rate=2e-0{5 - rank},", "logging_steps=10,", ")"]


WRITERS = {f.__name__[1:]: f for f in (_dicts, _megatron, _deepspeed, _plain, _traceback, _arguments)}


def said(run: Run) -> object:
    """What a run holds, without the places of its lines."""
    tracks = sorted(
        (t.rank or 0, t.reader, t.name, t.engine, list(t.steps), list(t.values), list(t.segments)) for t in run.tracks
    )
    kept = ("exception", "message", "frames")
    events = sorted((e.rank or 0, e.kind, repr([(k, e.data.get(k)) for k in kept])) for e in run.events)
    facts = sorted((fact.key, repr(fact.value)) for fact in run.environment)
    return tracks, events, facts, run.segments


def merged(order: list[bool], first: list[str], second: list[str]) -> str:
    """Lines of both, each in its own order; `order` says whose turn it is."""
    queues, out = (list(first), list(second)), []
    for turn in order:
        if queues[turn]:
            out.append(queues[turn].pop(0))
    return "\n".join([*out, *queues[0], *queues[1]]) + "\n"


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", WRITERS)
@given(order=st.lists(st.booleans(), max_size=14))
@settings(max_examples=25, deadline=None)
def test_any_interleaving_gives_the_same_run(kind: str, prefix: str, order: list[bool]) -> None:
    first, second = ([prefix.format(rank) + line for line in WRITERS[kind](rank)] for rank in (0, 1))
    text = merged(order, first, second)
    assert said(run_of(text)) == said(run_of("\n".join([*first, *second]) + "\n"))
