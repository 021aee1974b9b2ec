"""Ultralytics' console: one row an epoch from its full bar, one a validation; the check of the best weights is none."""

from __future__ import annotations

from parsers import kinds
from tests.parsers.logs import facts_of, points, run_of

HEADER = "      Epoch    GPU_mem   box_loss   cls_loss   dfl_loss  Instances       Size\n"
VAL = "                 Class     Images  Instances      Box(P          R      mAP50  mAP50-95): 100% ━━━━━━━━━━━━ 1/1 9.8it/s 0.1s\n"
TEXT = (
    "Ultralytics 8.4.190 🚀 Python-3.11.7 torch-2.14.1+cu130 CPU (Intel Xeon Processor)\n"
    + HEADER
    + "\x1b[K        1/2      1.5G     0.5000     0.8000     0.2000          8         64: 25% ━━━───────── 1/4 6.5it/s 0.6s\r"
    "\x1b[K        1/2      1.5G     0.4000     0.8000     0.3000          8         64: 100% ━━━━━━━━━━━━ 4/4 6.5it/s 0.6s\r"
    "\x1b[K        1/2      1.5G     0.4000     0.9000     0.3000          8         64: 100% ━━━━━━━━━━━━ 4/4 6.9it/s 0.6s\n"
    + VAL
    + "                   all          8          8        0.1        0.2        0.3        0.4\n"
    + HEADER
    + "        2/2      1.5G     nan     0.8     0.3          8         64: 100%|██████████| 4/4 [00:01<00:00, 3.2it/s]\n"
    + "\n2 epochs completed in 0.001 hours.\n"
    + VAL
    + "                   all          8          8        0.9        0.9        0.9        0.9\n"
)


def test_an_epoch_is_its_full_bar() -> None:
    run = run_of(TEXT)
    loss = run.series("loss")
    assert loss is not None and list(loss.steps) == [1, 2] and loss.values[0] == 0.4 + 0.9 + 0.3
    assert str(loss.values[1]) == "nan"
    assert points(run, "memory_gpu") == [(1, 1.5), (2, 1.5)]
    assert points(run, "eval_metrics/mAP50(B)") == [(1, 0.3)]
    assert [event.kind for event in run.events] == [kinds.RUN_END]


def test_the_banner_names_versions() -> None:
    facts = facts_of(TEXT)
    assert (facts["package:ultralytics"], facts["package:torch"], facts["run:planned_steps"]) == ("8.4.190", "2.14.1+cu130", 2)


def test_bars_of_others_are_none() -> None:
    assert not run_of("Map: 100%|██████████| 4/4 [00:01<00:00]\n 1/2 1G 3: 100%\n   all   1 2\n").tracks
