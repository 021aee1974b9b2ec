# ruff: noqa: ARG002 - the frameworks name the arguments
"""transformers' `Trainer(callbacks=[TransformersCallback(on_critical="stop")])`; versions 4.30 to 5.x."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

from analyzer.callbacks.monitor import Monitor, OnCritical
from analyzer.diagnosis import Options


def _base() -> Any:
    return importlib.import_module("transformers").TrainerCallback


class TransformersCallback(_base()):  # type: ignore[misc]
    """Feeds what the Trainer logs to a `Monitor`. With `on_critical="stop"` the Trainer ends after the step under way.

    Several processes end at the same step: at every record they are told what the first of them decided.
    Files go to `folder`, the Trainer's `output_dir` where None.
    """

    def __init__(
        self, on_critical: OnCritical = "warn", folder: str | None = None, after: int = 0, options: Options | None = None
    ) -> None:
        self._make = partial(Monitor, on_critical=on_critical, after=after, options=options)
        self._folder = folder
        self._stops = on_critical == "stop"
        self.monitor: Monitor | None = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The monitor begins, on the first process only."""
        rank = 0 if state.is_world_process_zero else 1
        self.monitor = self._make(self._folder or args.output_dir, rank=rank)
        self.monitor.begin(_arguments(args), getattr(args, "deepspeed", None), state.max_steps)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **_: Any) -> Any:
        """A record: training, evaluation or the summary at the end."""
        if self.monitor is None or not logs:
            return control
        kind = "summary" if "train_runtime" in logs else "eval" if any(k.startswith("eval_") for k in logs) else "train"
        self.monitor.log(logs, state.global_step, kind)  # type: ignore[arg-type]
        return self._obey(args, control)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Between two records: what was found meanwhile."""
        if self.monitor is not None:
            self.monitor.check()
        if self._stops and control.should_log and _agreed(args, self.monitor is not None and self.monitor.should_stop):
            control.should_training_stop = True
        return self._obey(args, control)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """The report."""
        if self.monitor is not None:
            self.monitor.end()

    def _obey(self, args: Any, control: Any) -> Any:
        """One process stops at once; several where they agree on it."""
        if self.monitor is not None and self.monitor.should_stop and _processes(args) == 1:
            control.should_training_stop = True
        return control


def _processes(args: Any) -> int:
    return int(getattr(args, "world_size", 1) or 1)


def _agreed(args: Any, should_stop: bool) -> bool:
    """Whether any process wants to stop: all must leave the loop at the same step. Every process asks at every record."""
    if _processes(args) == 1:
        return should_stop
    torch = importlib.import_module("torch")
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return should_stop
    word = torch.tensor([int(should_stop)], device=args.device)
    torch.distributed.all_reduce(word, op=torch.distributed.ReduceOp.MAX)
    return bool(word.item())


def _arguments(args: Any) -> dict[str, Any]:
    try:
        return dict(args.to_sanitized_dict())
    except Exception:  # a subclass of the arguments may hold what cannot be told
        return {}
