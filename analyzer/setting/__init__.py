"""What a run was set to: one answer out of the many places that say it.

A precision stands in the ds_config, in the training arguments, in the model's config or only in the overflow lines;
causes ask for `setting:precision == fp16` and need not know which. Every setting is a function that answers with the
value and the places it was read from, or None where nothing says it: never a default of ours. To add one, write a
function with `@setting` in the module it belongs to.
"""

from __future__ import annotations

from analyzer.setting import deepspeed, machine, model, precision, training
from analyzer.setting.register import SETTINGS, Setting, note, resolve

__all__ = ["SETTINGS", "Setting", "deepspeed", "machine", "model", "note", "precision", "resolve", "training"]
