# ruff: noqa: ARG002 - the frameworks name the arguments
"""Lightning's `Trainer(callbacks=[LightningCallback(on_critical="stop")])`; `lightning` 2.x or `pytorch_lightning`."""

from __future__ import annotations

import importlib
from contextlib import suppress
from functools import partial
from typing import Any

from analyzer.callbacks.monitor import Monitor, OnCritical
from analyzer.diagnosis import Options


def _base() -> Any:
    for name in ("lightning.pytorch", "pytorch_lightning"):
        with suppress(ImportError):
            return importlib.import_module(name).Callback
    raise ImportError("neither lightning nor pytorch_lightning is installed")


class LightningCallback(_base()):  # type: ignore[misc]
    """Feeds what the module logs to a `Monitor`. With `on_critical="stop"` the Trainer ends after the batch under way.

    Several processes end at the same batch: at every record they are told what the first of them decided.
    Files go to `folder`, the Trainer's default root where None.
    """

    def __init__(
        self, on_critical: OnCritical = "warn", folder: str | None = None, after: int = 0, options: Options | None = None
    ) -> None:
        super().__init__()
        self._make = partial(Monitor, on_critical=on_critical, after=after, options=options)
        self._folder = folder
        self._stops = on_critical == "stop"
        self.monitor: Monitor | None = None

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """The monitor begins, on the first process only."""
        self.monitor = self._make(self._folder or trainer.default_root_dir, rank=trainer.global_rank)
        planned = trainer.estimated_stepping_batches if trainer.max_steps and trainer.max_steps > 0 else None
        self.monitor.begin({"precision": str(trainer.precision), "accumulate_grad_batches": trainer.accumulate_grad_batches},
                           planned_steps=planned)  # fmt: skip

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *_: Any, **__: Any) -> None:
        """A record every `log_every_n_steps`, as the loggers get it."""
        if self.monitor is None:
            return
        is_due = trainer.global_step % max(1, trainer.log_every_n_steps) == 0
        if is_due and self.monitor.is_active and trainer.logged_metrics:
            values = {name: value for name, value in trainer.logged_metrics.items() if not name.startswith(("val", "test"))}
            self.monitor.log(values, trainer.global_step)
        self.monitor.check()
        if self._stops and (is_due or trainer.world_size == 1) and _agreed(trainer, self.monitor.should_stop):
            trainer.should_stop = True

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """What the validation measured."""
        if self.monitor is not None and not trainer.sanity_checking:
            values = {name: value for name, value in trainer.callback_metrics.items() if name.startswith(("val", "test"))}
            self.monitor.log(values, trainer.global_step, "eval")

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """The report."""
        if self.monitor is not None:
            self.monitor.end()

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """The report, where the training ends with an exception."""
        if self.monitor is not None:
            self.monitor.end()


def _agreed(trainer: Any, should_stop: bool) -> bool:
    """Whether any process wants to stop: all must leave the loop at the same batch."""
    return should_stop if trainer.world_size == 1 else bool(trainer.strategy.reduce_boolean_decision(should_stop, all=False))
