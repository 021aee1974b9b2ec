"""OpenRLHF: the dict that the PPO trainer prints at every global step, several models in it.

Printed by `openrlhf/trainer/ppo_trainer.py` (0.6 on), under Ray behind `(PPOTrainer pid=1234) `:

    INFO 05-01 12:00:00 ppo_trainer.py:547] ✨ Global step 10: {'policy_loss': 0.01, 'actor_lr': 5e-07, 'reward': 0.5}

The policy's values get the engine `actor`, the critic's `critic`. SFT and DPO draw bars (`tqdm_postfix`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Row
from parsers.pairs import numbers
from parsers.registry import text_reader
from parsers.regular import RegularReader

_HEAD = Lazy(r"Global step (?P<step>\d{1,15}): (?P<dict>\{'[^{}]*\})")
_ITEM = Lazy(r"'(?P<key>[\w./@-]{1,80})': *(?P<value>(?:tensor|np\.\w+)\([^)]{0,80}\)|[^,{}]{1,60})")
_ACTOR: Final = ("policy_", "actor_", "act_", "ppo_")
_CONVERT: Final = {"timing/step_total": ("step_time", 1.0)}


def _parse(line: Line) -> Iterator[Row]:
    """The rows of a global step."""
    found = _HEAD.search(line.text)
    if not found:
        return
    by_engine: dict[str, list[tuple[str, str]]] = {}
    for item in _ITEM.finditer(found["dict"]):
        by_engine.setdefault(_engine(item["key"]), []).append((item["key"], item["value"]))
    for engine, items in by_engine.items():
        values = numbers(items, _CONVERT)
        if values:
            yield Row(line.no, values, int(found["step"]), "train", line.rank, line.time, engine)


@text_reader(
    "openrlhf",
    title="OpenRLHF (PPO trainer)",
    hints=("Global step ",),
    example="INFO 05-01 12:00:00 ppo_trainer.py:547] ✨ Global step 10: {'policy_loss': 0.01, 'actor_lr': 5e-07, 'reward': 0.5}",
    parse=_parse,
    silent=("generic_text",),
)
class OpenRLHF(RegularReader):
    """Reads the dicts, a row an engine."""

    def feed(self, line: Line) -> Iterable[Row]:
        """The rows of a global step."""
        return _parse(line)


def _engine(key: str) -> str:
    if key.startswith("critic_"):
        return "critic"
    return "actor" if key.startswith(_ACTOR) else ""
