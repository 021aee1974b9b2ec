"""Lightning's rich bar: drawings of lightning 2.6.6, in a file and in a terminal."""

from __future__ import annotations

import math
from pathlib import Path

from tests.parsers.logs import run_of
from tests.parsers.runs import points
from tests.parsers.runs import run_of as read_text

PAD = " " * 62
LEFT = f"""Epoch 0/2  ━━━━━━━━━━━━━━━━━ 4/4 0:00:00 • 0:00:00 133.74it/s v_num: 2.000      
{PAD}train_loss_step:  
{PAD}0.078 val_loss:   
{PAD}0.145             
{PAD}train_loss_epoch: 
{PAD}0.358             
Epoch 1/2  ━━━━━━━━━━━━━━━━━ 4/4 0:00:00 • 0:00:00 103.22it/s v_num: 2.000      
{PAD}train_loss_step:  
{PAD}nan val_loss: nan 
{PAD}train_loss_epoch: 
{PAD}nan               
`Trainer.fit` stopped: `max_epochs=3` reached.
"""  # noqa: W291
UP = "\x1b[2K\x1b[1A" * 5 + "\x1b[2K"
TERMINAL = (
    "\r\x1b[2KEpoch 0/2  \x1b[90m━━━━━━━━━━━━━━━━━\x1b[0m 0/4 \x1b[2m0:00:00 • -:--:--\x1b[0m \x1b[2;4m0.00it/s\x1b[0m "
    "\r\x1b[2KEpoch 0/2  \x1b[35m━━━━━━━━╸\x1b[0m\x1b[90m━━━━━━━━\x1b[0m 2/4 \x1b[2m0:00:00 • 0:00:00\x1b[0m "
    "\x1b[2;4m163.91it/s\x1b[0m \x1b[3mv_num: 1.000      \x1b[0m\n"
    f"{PAD}\x1b[3mtrain_loss_step:  \x1b[0m\n{PAD}\x1b[3m0.139             \x1b[0m"
    f"\r{UP}Epoch 0/2  \x1b[35m━━━━━━━━━━━━━━━━━\x1b[0m 4/4 \x1b[2m0:00:00 • 0:00:00\x1b[0m \x1b[2;4m284.28it/s\x1b[0m "
    "\x1b[3mv_num: 1.000      \x1b[0m\n"
    f"{PAD}\x1b[3mtrain_loss_step:  \x1b[0m\n{PAD}\x1b[3m0.071 val_loss:   \x1b[0m\n{PAD}\x1b[3m0.149             \x1b[0m\n"
)


def test_each_drawing_that_was_left_is_a_row() -> None:
    run = run_of(LEFT)
    assert [step for step, _ in points(run, "loss")] == [4, 8]
    assert points(run, "loss")[0] == (4, 0.078) and math.isnan(points(run, "loss")[1][1])
    assert points(run, "eval_loss")[0] == (4, 0.145)
    loss = run.series("loss")
    assert loss is not None and list(loss.lines) == [1, 7] and loss.name == "train_loss_step"


def test_drawings_between_cursor_movements() -> None:
    run = run_of(TERMINAL)
    assert points(run, "loss") == [(2, 0.139), (4, 0.071)] and points(run, "eval_loss") == [(4, 0.149)]


def test_a_wide_terminal_needs_one_line(tmp_path: Path) -> None:
    line = "Epoch 2/2  ━━━━━━━━━━━━━━━━━ 4/4 0:00:00 • 0:00:00 139.59it/s v_num: 0.000 train_loss_step: 0.026 val_loss: 0.036\n"
    assert points(read_text(tmp_path, line), "loss") == [(12, 0.026)]
