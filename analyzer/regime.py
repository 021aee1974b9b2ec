"""What kind of training a run is, as far as its numbers and facts say it: precision, objective, schedule.

Rules ask so that what is normal for one kind (a policy loss of 0, skipped steps of fp16) is not taken for a fault.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, Literal

from analyzer.remembered import remembered
from parsers.metrics import GRAD_NORM, LOSS, LOSS_SCALE, OVERFLOW
from parsers.model import Run, Series, Value

Precision = Literal["fp16", "bf16", "fp32"]

_FP16_KEYS: Final = ("arg:fp16", "config:fp16.enabled")
_BF16_KEYS: Final = ("arg:bf16", "config:bf16.enabled", "config:bfloat16.enabled")

_POLICY: Final = re.compile(
    r"(^|/)(reward|reward_std|mean_reward|pg_loss|policy_loss|kl|approx_kl|clip_ratio|advantages?|completion_length|completions"
    r"|policy_gradient_loss|value_loss|vf_loss|actor_loss|critic_loss|ep_rew|episode_(reward|return))(/|$|_?mean|_?std)"
)
"""Names that policy-gradient and actor-critic training logs (GRPO, PPO, Stable-Baselines3). `rewards/chosen` is preference
training: its loss is a loss."""

_MODELS: Final = ("arg:model_name_or_path", "arg:model", "arg:model_name", "arg:base_model", "arg:model_id", "arg:model_type",
                  "model:name", "model:_name_or_path", "model:model_type", "model:architectures", "model:class")  # fmt: skip
_LANGUAGE: Final = re.compile(
    r"llama|qwen|mi[sx]tral|gemma|gpt|\bphi|falcon|bloom|\bopt-|pythia|internlm|baichuan|chatglm|\bglm|deepseek|vicuna|smollm"
    r"|llava|internvl|causallm"
)
_OTHER_HEAD: Final = re.compile(r"sequenceclassification|tokenclassification|reward|regression|embedding|rerank")
_TOKEN_METRICS: Final = re.compile(r"(^|/)(perplexity|ppl|mean_token_accuracy|token_accuracy|num_tokens)$")


def is_true(value: Value) -> bool:
    """Whether a fact's value says yes, however it was spelled."""
    return value is True or (isinstance(value, str) and value.strip().lower() in ("true", "1", "yes"))


def precision(run: Run) -> Precision | None:
    """The precision as the run states or shows it; None where nothing says it."""
    environment = run.environment
    if any(is_true(environment.value(key)) for key in _BF16_KEYS):
        return "bf16"
    if any(is_true(environment.value(key)) for key in _FP16_KEYS):
        return "fp16"
    scale = run.series(LOSS_SCALE)
    if scale is not None and max((v for v in scale.values if v == v), default=0.0) > 1.0:
        return "fp16"
    attempted = run.series(OVERFLOW)
    if attempted is not None and any(value > 1.0 for value in attempted.values):
        return "fp16"
    return None


def is_policy_training(run: Run) -> bool:
    """Whether the loss is a policy's (GRPO, PPO): it may be 0, negative and flat, and rise, in good health."""
    return remembered(run, "policy training", lambda: any(map(_is_of_policy, {track.name.lower() for track in run.tracks})))


@lru_cache(maxsize=2**12)
def _is_of_policy(name: str) -> bool:
    return _POLICY.search(name) is not None and not name.startswith("rewards/")


def is_preference_training(run: Run) -> bool:
    """Whether pairs are compared (DPO, IPO, KTO): IPO's loss begins at 25 where beta is 0.1."""
    return any(track.name.lower().startswith("rewards/") for track in run.tracks)


def is_language_model(run: Run) -> bool:
    """Whether facts or metrics say that the loss is a language model's mean cross entropy over tokens."""
    named = " ".join(str(run.environment.value(key) or "").lower() for key in _MODELS)
    if _OTHER_HEAD.search(named):
        return False
    return bool(_LANGUAGE.search(named)) or any(_TOKEN_METRICS.search(track.name.lower()) for track in run.tracks)


def writers(run: Run, metric: str) -> tuple[Series, ...]:
    """Every series of a metric: the preferred one first, then other ranks, files and engines (`actor/loss`)."""
    own = run.all_series(metric)
    return (*own, *(track for track in run.tracks if track.engine and track.metric == f"{track.engine}/{metric}"))


def losses(run: Run) -> tuple[Series, ...]:
    """Every series of the training loss."""
    return writers(run, LOSS)


def grad_norms(run: Run) -> tuple[Series, ...]:
    """Every series of the gradient norm."""
    return writers(run, GRAD_NORM)
