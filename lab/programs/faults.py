"""Faults to inject into a training program: one fault, one function. Needs no framework to be imported.

A program has six seams. It calls each of them in every run; which function acts there, the fault's decorator says:

    options      the training options (a dictionary) before anything is built: learning rate, precision …
    model        the model before training
    item         a training sample, by its index in the data set and the count of samples drawn so far
    step         the begin of a step
    activations  what leaves the model's first layer, while training
    loss         the loss before the backward pass
    factor       the learning rate's factor of a step; a program asks only when a fault sits there

`at` is the 0-based global step of the injection, `magnitude` means what the fault's docstring says. To add a fault, write a
function under the decorator of its seam, and a row in `lab/rows/` that runs it.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Act = Callable[..., Any]
FAULTS: dict[str, tuple[str, Act]] = {}
"""Seam and function by the fault's name."""

SEAMS = ("options", "model", "item", "step", "activations", "loss", "factor")


def at_seam(seam: str) -> Callable[[Act], Act]:
    """Registers a function as the fault of its name at `seam`."""
    if seam not in SEAMS:
        raise ValueError(f"no seam {seam!r}")

    def register(act: Act) -> Act:
        FAULTS[act.__name__] = (seam, act)
        return act

    return register


@dataclass
class Injector:
    """The fault of a run, and where the run is."""

    fault: str = "none"
    at: int = 20
    for_steps: int = 3
    magnitude: float = 30.0
    vocabulary: int = 256
    batch_size: int = 8
    step: int = 0
    drawn: int = 0
    kept: list[Any] = field(default_factory=list)
    pace: float = 0.0
    """Seconds that each step waits: a tiny model's steps are faster than any that one would watch."""
    diary: str = ""
    """A file that takes the time at which each step began."""

    @property
    def rank(self) -> int:
        """Global rank of this process."""
        return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0")))

    @property
    def is_on(self) -> bool:
        """The step of the injection was reached."""
        return self.step >= self.at

    @property
    def in_window(self) -> bool:
        """The step is one of the `for_steps` after the injection."""
        return self.at <= self.step < self.at + self.for_steps

    def sits_at(self, seam: str) -> bool:
        """Whether the fault acts at `seam`."""
        return FAULTS.get(self.fault, ("",))[0] == seam

    def options(self, options: dict[str, Any]) -> dict[str, Any]:
        """The options, changed by the fault."""
        if self.sits_at("options"):
            FAULTS[self.fault][1](options, self)
        return options

    def model(self, model: Any) -> None:
        """Changes the model in place and watches its first layer."""
        if self.sits_at("model"):
            FAULTS[self.fault][1](model, self)
        if self.sits_at("activations"):
            first_layer(model).register_forward_hook(self._hook)

    def _hook(self, module: Any, _inputs: Any, output: Any) -> Any:
        return FAULTS[self.fault][1](output, self) if module.training else output

    def item(self, item: dict[str, Any], index: int) -> dict[str, Any]:
        """A training sample, changed by the fault."""
        self.drawn += 1
        return FAULTS[self.fault][1](item, index, self) or item if self.sits_at("item") else item

    def begin(self, step: int) -> None:
        """A step begins."""
        self.step = step
        time.sleep(self.pace)
        if self.diary:
            with open(self.diary, "a", encoding="ascii") as file:
                print(step, f"{time.time():.4f}", file=file)
        if self.sits_at("step"):
            FAULTS[self.fault][1](self)

    def loss(self, loss: Any, model: Any) -> Any:
        """The loss, changed by the fault."""
        return FAULTS[self.fault][1](loss, model, self) if self.sits_at("loss") else loss

    def factor(self, step: int) -> float:
        """The learning rate's factor at `step`."""
        return float(FAULTS[self.fault][1](step, self))


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options that choose a fault."""
    parser.add_argument("--fault", default="none", help="one of: " + " ".join(sorted(FAULTS)))
    parser.add_argument("--at", type=int, default=20, help="0-based step of the injection")
    parser.add_argument("--for_steps", type=int, default=3, help="steps that a window lasts")
    parser.add_argument("--mag", type=float, default=30.0, help="magnitude; each fault says of what")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds that each step waits")
    parser.add_argument("--diary", default="", help="a file that takes the time at which each step began")


def injector(given: argparse.Namespace, **more: Any) -> Injector:
    """The injector that the command line asks for."""
    if given.fault != "none" and given.fault not in FAULTS:
        sys.exit(f"no fault {given.fault!r}; known: {' '.join(sorted(FAULTS))}")
    return Injector(given.fault, given.at, given.for_steps, given.mag, pace=given.pace, diary=given.diary, **more)


def first_layer(model: Any) -> Any:
    """The embedding of a language model, or the first module that holds weights of its own."""
    if hasattr(model, "get_input_embeddings"):
        return model.get_input_embeddings()
    return next(module for module in model.modules() if list(module.parameters(recurse=False)))


# --- options ---------------------------------------------------------------------------------------------------------


@at_seam("options")
def lr_high(options: dict[str, Any], place: Injector) -> None:
    """The learning rate is `magnitude`, without a warm-up."""
    options.update(learning_rate=place.magnitude, warmup_steps=0)


@at_seam("options")
def static_scale(options: dict[str, Any], place: Injector) -> None:
    """The loss scale is fixed at `magnitude`: every step overflows."""
    options["static_scale"] = place.magnitude


@at_seam("options")
def loss_not_divided(options: dict[str, Any], _place: Injector) -> None:
    """The losses of the micro-batches are summed, not averaged: loss and gradient are the accumulation steps times too large."""
    options["divide"] = False


@at_seam("options")
def no_unscale(options: dict[str, Any], _place: Injector) -> None:
    """Gradients are clipped while they are still multiplied by the loss scale."""
    options["unscale"] = False


@at_seam("options")
def no_balance(options: dict[str, Any], _place: Injector) -> None:
    """The load-balancing loss of a mixture of experts has no weight."""
    options["balance"] = 0.0


@at_seam("options")
def recompiles(options: dict[str, Any], _place: Injector) -> None:
    """Every step has another sequence length and the compiler may keep one shape only."""
    options["ragged"] = True


@at_seam("options")
def gather_on_rank0(options: dict[str, Any], _place: Injector) -> None:
    """Only rank 0 gathers the sharded state: the others never join the collective."""
    options["gather_on"] = "rank0"


@at_seam("options")
def reward_same(_options: dict[str, Any], _place: Injector) -> None:
    """Every completion gets the same reward: the program looks for the fault's name where it chooses its reward."""


@at_seam("options")
def same_answers(_options: dict[str, Any], _place: Injector) -> None:
    """Chosen and rejected answers are equal: the program looks for the fault's name where it makes its data."""


# --- model -----------------------------------------------------------------------------------------------------------


@at_seam("model")
def weights_huge(model: Any, place: Injector) -> None:
    """Feed-forward weights are `magnitude` times too large: activations leave the range of fp16."""
    import torch

    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.dim() == 2 and any(word in name for word in ("mlp", "c_fc", "c_proj", "fc.", "out.")):
                weight.mul_(place.magnitude)


@at_seam("model")
def weights_nan(model: Any, _place: Injector) -> None:
    """The starting weights hold a NaN, as from a corrupt checkpoint."""
    import torch

    with torch.no_grad():
        list(model.parameters())[3].view(-1)[0] = float("nan")


@at_seam("model")
def frozen_all(model: Any, _place: Injector) -> None:
    """No parameter is trained."""
    for weight in model.parameters():
        weight.requires_grad_(False)


@at_seam("model")
def gc_frozen(model: Any, _place: Injector) -> None:
    """The embedding is frozen: under reentrant gradient checkpointing no gradient reaches anything."""
    for name, weight in model.named_parameters():
        if any(word in name for word in ("wpe", "wte", "embed")):
            weight.requires_grad_(False)


@at_seam("model")
def vocab_mismatch(model: Any, _place: Injector) -> None:
    """The checkpoint was saved with a smaller vocabulary."""
    import torch

    words = ("wte", "embed_tokens", "lm_head")
    saved = {k: v[:-3] if any(word in k for word in words) else v for k, v in model.state_dict().items()}
    torch.save(saved, "base_model.bin")
    model.load_state_dict(torch.load("base_model.bin"))


@at_seam("model")
def weight_lost(model: Any, place: Injector) -> None:
    """One column of the first weight becomes NaN at the injection, as from bits that flipped."""

    def lose(module: Any, _inputs: Any) -> None:
        if place.step == place.at and module.training:
            next(module.parameters()).data[:, 0] = float("nan")

    model.register_forward_pre_hook(lose)


# --- item ------------------------------------------------------------------------------------------------------------


@at_seam("item")
def labels_ignored(item: dict[str, Any], _index: int, _place: Injector) -> None:
    """Every label is -100."""
    item["labels"][:] = -100


@at_seam("item")
def labels_ignored_some(item: dict[str, Any], index: int, _place: Injector) -> None:
    """One sample in three has no label."""
    if index % 3 == 0:
        item["labels"][:] = -100


@at_seam("item")
def constant_data(item: dict[str, Any], _index: int, _place: Injector) -> None:
    """Every token of every sample is the same."""
    item["input_ids"][:] = 5
    item["labels"][:] = 5


@at_seam("item")
def throughput_drop(_item: dict[str, Any], _index: int, place: Injector) -> None:
    """Reading a batch takes `magnitude` milliseconds longer."""
    if place.drawn > place.at * place.batch_size:
        time.sleep(place.magnitude / 1000 / place.batch_size)


@at_seam("item")
def worker_killed(_item: dict[str, Any], _index: int, place: Injector) -> None:
    """A data-loading worker is killed after `at` samples."""
    import torch

    if torch.utils.data.get_worker_info() is not None and place.drawn > place.at:
        os.kill(os.getpid(), signal.SIGKILL)


@at_seam("item")
def worker_raises(_item: dict[str, Any], index: int, place: Injector) -> None:
    """A sample cannot be decoded."""
    if place.drawn > place.at:
        raise ValueError(f"could not decode sample {index}: unexpected end of JSON line")


@at_seam("item")
def token_oob(item: dict[str, Any], _index: int, place: Injector) -> None:
    """A token id lies beyond the vocabulary."""
    if place.drawn > place.at * place.batch_size:
        item["input_ids"][3] = place.vocabulary + 17
        item["labels"][3] = 1


@at_seam("item")
def label_oob(item: dict[str, Any], _index: int, place: Injector) -> None:
    """A label lies beyond the classes."""
    if place.drawn > place.at * place.batch_size:
        item["labels"][3] = place.vocabulary + 17


@at_seam("item")
def oom_seq_growth(item: dict[str, Any], _index: int, place: Injector) -> None:
    """Sequences double at every step from the injection on, until the GPU is full."""
    if place.is_on:
        for name, values in item.items():
            item[name] = values.repeat(min(2 ** (place.step - place.at + 3), 4096))


# --- step ------------------------------------------------------------------------------------------------------------


def end_by(number: signal.Signals, place: Injector, rank: int = 0) -> None:
    """Signals this process at the step of the injection, a moment after what was printed has left."""
    if place.step == place.at and place.rank == rank:
        time.sleep(0.3)
        os.kill(os.getpid(), number)


@at_seam("step")
def sigkill(place: Injector) -> None:
    """The process is killed with SIGKILL."""
    end_by(signal.SIGKILL, place)


@at_seam("step")
def segv(place: Injector) -> None:
    """The process receives SIGSEGV."""
    end_by(signal.SIGSEGV, place)


@at_seam("step")
def sigterm(place: Injector) -> None:
    """The process receives SIGTERM."""
    end_by(signal.SIGTERM, place)


@at_seam("step")
def ctrl_c(place: Injector) -> None:
    """The user stops the run."""
    end_by(signal.SIGINT, place)


@at_seam("step")
def sigkill_rank1(place: Injector) -> None:
    """Rank 1 is killed with SIGKILL."""
    end_by(signal.SIGKILL, place, 1)


@at_seam("step")
def raises(place: Injector) -> None:
    """A key is missing."""
    if place.step == place.at:
        raise KeyError("image_grid_thw")


@at_seam("step")
def rank1_raises(place: Injector) -> None:
    """Rank 1 fails on its own data."""
    if place.step == place.at and place.rank == 1:
        raise RuntimeError(f"tokenizer worker returned an empty batch at step {place.step}")


@at_seam("step")
def rank1_sleeps(place: Injector) -> None:
    """Rank 1 stops taking part."""
    if place.step == place.at and place.rank == 1:
        time.sleep(3600)


@at_seam("step")
def hang(place: Injector) -> None:
    """The process stands still."""
    if place.step == place.at:
        time.sleep(3600)


@at_seam("step")
def mem_creep(place: Injector) -> None:
    """A list keeps `magnitude` MiB more at every step."""
    import torch

    place.kept.append(torch.ones(int(place.magnitude * 262144), device="cuda" if torch.cuda.is_available() else "cpu"))


# --- activations -----------------------------------------------------------------------------------------------------


@at_seam("activations")
def nan_from(values: Any, place: Injector) -> Any:
    """Activations are NaN from the injection on."""
    return values * float("nan") if place.is_on else values


@at_seam("activations")
def nan_window(values: Any, place: Injector) -> Any:
    """Activations are NaN for `for_steps` steps."""
    return values * float("nan") if place.in_window else values


@at_seam("activations")
def inf_window(values: Any, place: Injector) -> Any:
    """Activations are infinite for `for_steps` steps."""
    return values * float("inf") if place.in_window else values


@at_seam("activations")
def spike(values: Any, place: Injector) -> Any:
    """Corrupted batches: activations are rolled and `magnitude` times too large for `for_steps` steps."""
    return values.roll(1, -1) * place.magnitude if place.in_window else values


# --- loss ------------------------------------------------------------------------------------------------------------


@at_seam("loss")
def grad_detached(loss: Any, model: Any, _place: Injector) -> Any:
    """The loss does not depend on the weights."""
    return loss.detach() + 0.0 * sum(weight.float().sum() for weight in model.parameters())


@at_seam("loss")
def log_of_zero(loss: Any, _model: Any, place: Injector) -> Any:
    """A logarithm of zero joins the loss from the injection on."""
    return loss - (0.0 * loss).log() if place.is_on else loss


@at_seam("loss")
def loss_zeroed(loss: Any, _model: Any, place: Injector) -> Any:
    """The loss is multiplied with an empty mask from the injection on."""
    return loss * 0.0 if place.is_on else loss


# --- factor ----------------------------------------------------------------------------------------------------------


@at_seam("factor")
def lr_zero(step: int, _place: Injector) -> float:
    """The warm-up is given in tokens where steps are counted: the rate stays at 0."""
    return min(1.0, (step // 1000) / 10**9)


@at_seam("factor")
def lr_dead_early(step: int, place: Injector) -> float:
    """The schedule ends at the step of the injection: the rate is 0 from there on."""
    return max(0.0, 1 - step / place.at)
