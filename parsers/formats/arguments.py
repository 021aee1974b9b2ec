"""Training arguments and model configurations as programs print them.

TrainingArguments(                                        transformers; one argument a line, ends with `)`
bf16=True,
deepspeed=./scripts/zero3.json,
)
Namespace(bf16=True, deepspeed='ds.json', lr=2e-05)       argparse
Model config LlamaConfig {                                transformers up to 4.x, JSON over several lines
  "torch_dtype": "bfloat16",
}
model_name_or_path: meta-llama/Llama-2-7b-hf              YAML echoes (LLaMA-Factory, axolotl), `learning_rate: 2e-5`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from parsers import command, dsconfig, packages, projects
from parsers.lazy import Lazy
from parsers.line import Line
from parsers.model import Fact, Record, SourceRef, Value
from parsers.registry import text_reader
from parsers.values import scalar

MAX_LINES = 500
MAX_TEXT = 200_000
MAX_VALUES = 4
"""Different values of one argument that are kept: a script may print `learning_rate: …` at every step."""

# Arguments that are believed when they stand alone on a line as `name: value`.
NAMED = (
    "model_name_or_path", "adapter_name_or_path", "base_model", "learning_rate", "per_device_train_batch_size",
    "bf16", "fp16", "tf32",
    "gradient_accumulation_steps", "num_train_epochs", "max_steps", "logging_steps", "warmup_ratio", "warmup_steps", "deepspeed",
    "attn_implementation", "attn_impl", "attn", "flash_attn", "lr_scheduler_type", "max_grad_norm",
    "gradient_checkpointing", "cutoff_len",
    "model_max_length", "max_seq_length", "max_length", "torch_dtype", "optim", "packing", "sample_packing",
    "train_on_inputs", "lora_r",
    "lora_rank", "load_in_4bit", "load_in_8bit", "quantization_bit", "finetuning_type", "template", "stage",
    "logging_nan_inf_filter",
    "use_liger_kernel", "enable_liger_kernel", "pure_bf16", "upcast_layernorm", "weight_decay", "adam_epsilon",
    "seed", "neat_packing",
    "micro_batch_size", "sequence_len", "sdp_attention", "flash_attention", "xformers_attention", "mixed_precision",
    "loss_type", "beta",
    "label_smoothing_factor", "torch_compile", "fsdp", "padding_side", "response_template", "save_only_model", "ddp_timeout",
    "fp8", "fp8_recipe", "fp8_format", "enable_fp8", "mxfp8", "fp16_full_eval", "bf16_full_eval", "bnb_4bit_compute_dtype",
    "use_liger", "lora_enable", "use_reentrant", "adam_eps", "eval_accumulation_steps", "prediction_loss_only",
    "per_device_eval_batch_size", "dataloader_num_workers", "resume_from_checkpoint", "low_cpu_mem_usage", "zero3_init_flag",
    "tensor_model_parallel_size", "pipeline_model_parallel_size", "tensor_parallel_degree", "sequence_parallel",
    "sequence_parallel_size", "ulysses_sequence_parallel_size", "ds_sequence_parallel_size", "overlap_param_gather",
    "output_router_logits", "router_aux_loss_coef", "ctc_zero_infinity", "average_tokens_across_devices", "pref_beta",
    "max_prompt_length", "max_completion_length", "fsdp_state_dict_type", "fsdp_cpu_ram_efficient_loading",
    "cpu_ram_efficient_loading", "sync_module_states",
)  # fmt: skip
_ECHO = Lazy(r"[-*]? ?\"?(?P<name>[a-z][a-z0-9_]{1,40})\"?(?: ?: |: ?| = |=)(?P<value>[^\s{\[(].{0,200}|\[.{0,200}\])$")
_OPEN = Lazy(r"(?<!\w)(?P<name>\w{0,40}(?:Arguments|Config|Namespace))\((?P<rest>.*)$")
_MODEL = Lazy(r"(?:Model config|Configuration|model config:?) (?P<name>\w*Config) (?P<rest>\{.*)$")
_KEY = Lazy(r"[A-Za-z_]\w{0,60}=")


@text_reader(
    "arguments",
    title="Training arguments (TrainingArguments, Namespace, YAML echoes) and model configurations",
    hints=("Namespace(", "Arguments(", "TrainingArguments", "SFTConfig(", "DPOConfig(", "GRPOConfig(", "Model config ",
           *(f"{name}: " for name in NAMED), *(f"{name}=" for name in ("logging_steps", "max_steps"))),
    example="Namespace(bf16=True, deepspeed='ds.json', learning_rate=2e-05)",
    is_by_rank=True,
)  # fmt: skip
class Arguments:
    """Reads one-line and many-line dumps; each dump is read once, however many ranks print it."""

    def __init__(self) -> None:
        self.hungry = False
        self._kind = ""
        self._text: list[str] = []
        self._size = 0
        self._depth = 0
        self._ref: SourceRef | None = None
        self._seen: dict[str, list[str]] = {}

    def feed(self, line: Line) -> Iterable[Record]:
        """Facts of an echo, or of a dump once it is closed."""
        text = line.text.strip()
        if self.hungry:
            yield from self._more(text)
        elif (found := _OPEN.search(text)) and _looks_like_arguments(found["name"], found["rest"]):
            yield from self._open(found["name"], "(" + found["rest"], line)
        elif found := _MODEL.search(text):
            yield from self._open("model", found["rest"], line)
        elif (echo := _ECHO.match(text)) and echo["name"] in NAMED:
            yield from self._echo(echo["name"], echo["value"].rstrip(","), line)

    def close(self) -> Iterable[Record]:
        """A dump that was cut off still says what it got to."""
        yield from self._finish()

    def _open(self, kind: str, text: str, line: Line) -> Iterator[Record]:
        self.hungry, self._kind, self._ref, self._text, self._depth, self._size = True, kind, line.ref, [], 0, 0
        yield from self._more(text)

    def _more(self, text: str) -> Iterator[Record]:
        opens, closes = ("{", "}") if self._kind == "model" else ("(", ")")
        self._text.append(text)
        self._size += len(text)
        self._depth += text.count(opens) - text.count(closes)
        if self._depth <= 0 or len(self._text) >= MAX_LINES or self._size > MAX_TEXT:
            yield from self._finish()

    def _finish(self) -> Iterator[Record]:
        if self._ref is None:
            return
        text, ref, kind = "\n".join(self._text), self._ref, self._kind
        self.hungry, self._ref, self._text = False, None, []
        if kind == "model":
            yield from _model(text, ref)
        else:
            inner = text[1 : text.rfind(")")] if ")" in text else text[1:]
            yield from command.argument_facts(_pairs(inner), ref)

    def _echo(self, name: str, text: str, line: Line) -> Iterator[Record]:
        if text in (seen := self._seen.setdefault(name, [])) or len(seen) == MAX_VALUES:
            return
        seen.append(text)
        value = scalar(text)
        yield from command.argument_facts({name: value}, line.ref)
        if name == "deepspeed" and isinstance(value, str):
            yield from projects.implied(None, value, {}, line.ref)


def _looks_like_arguments(name: str, rest: str) -> bool:
    if name.endswith("Config") and not name.startswith(
        ("SFT", "DPO", "GRPO", "KTO", "ORPO", "PPO", "RLOO", "Reward", "CPO", "Training")
    ):
        return False
    return not rest.strip() or bool(_KEY.match(rest.strip()))


def _pairs(text: str) -> Mapping[str, Value]:
    """`a=1, b='x', ta=['max_steps=120']` → arguments; a list of `key=value` words is read as arguments too."""
    found: dict[str, Value] = {}
    for part in split(text):
        name, has_value, value = part.strip().partition("=")
        if not has_value or not name.isidentifier():
            continue
        value = value.strip()
        found[name] = scalar(value) if value[:1] not in "[{<" else value[:300]
        if value.startswith("['") and "=" in value:
            for word in split(value[1:-1]):
                key, has_inner, inner = word.strip().strip("'\"").partition("=")
                if has_inner and key.isidentifier():
                    found.setdefault(key, scalar(inner))
    return found


def split(text: str) -> Iterator[str]:
    """Parts at top-level commas or line ends, heeding quotes and brackets."""
    depth, quote, start = 0, "", 0
    for index, char in enumerate(text):
        if quote:
            if char == quote and text[index - 1] != "\\":
                quote = ""
        elif char in "'\"":
            quote = char
        elif char in "([{<":
            depth += 1
        elif char in ")]}>":
            depth = max(0, depth - 1)
        if char == "\n" and depth == 0:
            quote = ""
        if char in ",\n" and depth == 0 and not quote:
            yield text[start:index]
            start = index + 1
    yield text[start:]


def _model(text: str, ref: SourceRef) -> Iterator[Record]:
    config = dsconfig.loads(text)
    if config is None:
        return
    for key, value in dsconfig.flat(config):
        if key == "transformers_version" and isinstance(value, str):
            yield from packages.facts("transformers", value, ref, 1)
        elif "." not in key:
            yield Fact(f"model:{key}", value, ref)
    name = projects.project_of_names([str(config.get("_name_or_path", "")), str(config.get("model_type", ""))])
    if name:
        yield from projects.facts(name, ref, 0)
