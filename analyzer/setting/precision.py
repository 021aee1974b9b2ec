"""Settings of the arithmetic: what the passes and the weights are computed and held in."""

from __future__ import annotations

from typing import Final

from analyzer.model import Evidence
from analyzer.setting.register import Setting, is_true, known, of, setting
from parsers import kinds
from parsers.model import Run, Series

_DTYPES: Final = {
    "float16": "fp16", "fp16": "fp16", "half": "fp16", "16": "fp16", "16-mixed": "fp16", "16-true": "fp16",
    "bfloat16": "bf16", "bf16": "bf16", "bf16-mixed": "bf16", "bf16-true": "bf16",
    "float32": "fp32", "fp32": "fp32", "32": "fp32", "32-true": "fp32", "no": "fp32",
}  # fmt: skip


@setting
def precision(run: Run) -> Setting | None:
    """fp16, bf16 or fp32: the arithmetic of the forward and backward pass."""
    environment = run.environment
    flags = (
        ("fp16", ("config:fp16.enabled", "config:fp16_enabled", "arg:fp16")),
        ("bf16", ("config:bf16.enabled", "config:bfloat16.enabled", "config:bfloat16_enabled", "arg:bf16")),
    )
    for name, keys in flags:
        for fact in known(environment, *keys):
            if is_true(fact.value):
                return of(fact, name)
    for fact in known(environment, "run:precision", "arg:mixed_precision", "arg:precision", "arg:compute_dtype", "arg:dtype"):
        if str(fact.value).lower() in _DTYPES:
            return of(fact, _DTYPES[str(fact.value).lower()])
    scaled = run.series("overflow") or _scaled(run)
    if scaled:
        return Setting("fp16", (Evidence(scaled.ref(0), "steps are skipped by a loss scaler"),))
    for event in run.events_of(kinds.OVERFLOW, kinds.SCALE_MINIMUM)[:1]:
        return Setting("fp16", (Evidence(event.ref, "a loss scaler is at work"),))
    return weight_dtype(run)


def _scaled(run: Run) -> Series | None:
    series = run.series("loss_scale")
    return series if series and max((v for v in series.values if v == v), default=0.0) > 1.0 else None


@setting
def weight_dtype(run: Run) -> Setting | None:
    """The dtype the weights are held in."""
    for fact in known(run.environment, "arg:torch_dtype", "arg:dtype", "model:torch_dtype", "model:dtype"):
        name = _DTYPES.get(str(fact.value).lower().removeprefix("torch."))
        if name:
            return of(fact, name)
    return None
