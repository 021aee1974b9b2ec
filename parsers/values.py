"""Values as programs print them → numbers: nan, 1e-5, `tensor(1.5, device='cuda:0')`, `np.float64(2.0)`, '1.5', 1,234."""

from __future__ import annotations

import math

from parsers.lazy import Lazy

_WRAPPERS = (
    "tensor(", "torch.tensor(", "np.float", "np.int", "np.bfloat16(", "array(", "Array(", "DeviceArray(", "numpy.", "Decimal(",
    "float32(", "float64(", "float16(", "bfloat16(", "Tensor(",
)  # fmt: skip
_BEGINS = frozenset("+-.0123456789")
_THOUSANDS = Lazy(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?")
_WORDS = {
    "nan": math.nan, "-nan": math.nan, "nan(ind)": math.nan, "-nan(ind)": math.nan,
    "inf": math.inf, "+inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf,
}  # fmt: skip


def number(text: str) -> float | None:
    """The number that `text` shows, or None where it shows none (`None`, `auto`, a word).

    Accepts signs, exponents, thousands commas, nan/inf in any case, quotes, and the reprs of torch, NumPy and JAX
    scalars. Never raises. Underscores are not accepted: Python's `float` would read `1_000`.
    """
    if text[:1] in _BEGINS and "_" not in text and "," not in text:
        try:
            return float(text)
        except ValueError:
            pass
    text = text.strip().strip("'\"").strip()
    if text.startswith(_WRAPPERS):
        text = _unwrapped(text)
    if not text or "_" in text:
        return None
    word = _WORDS.get(text.lower())
    if word is not None:
        return word
    if text[0] not in _BEGINS:
        return None
    try:
        return float(text.replace(",", "") if "," in text and _THOUSANDS.fullmatch(text) else text)
    except ValueError:
        return None


def _unwrapped(text: str) -> str:
    """The one number inside the repr of a scalar or of an array of one; '' where it holds several."""
    inner = text[text.find("(") + 1 :] if "(" in text else ""
    if inner.startswith("["):
        inner = inner.strip("[")
        inner = inner[: inner.find("]")] if "]" in inner else inner
        return "" if "," in inner else inner.strip()
    return inner.split(",", 1)[0].rstrip(")").strip(" '")


_UNITS = {
    "b": 1, "kb": 2**10, "mb": 2**20, "gb": 2**30, "tb": 2**40, "eb": 2**60,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip


_SIZE = Lazy(r"\s*(?P<amount>[-+]?[.\d,]+(?:[eE][-+]?\d+)?)\s*(?P<unit>[A-Za-z]*)")


def size_bytes(text: str) -> float | None:
    """`1.95 GiB`, `376.00MiB`, `12 bytes` → bytes. torch and DeepSpeed divide by 1024 even where they write GB."""
    found = _SIZE.fullmatch(text.rstrip())
    if not found:
        return None
    unit = found["unit"].lower()
    factor = 1 if unit in ("", "byte", "bytes") else _UNITS.get(unit)
    value = number(found["amount"])
    return None if value is None or factor is None else value * factor


def duration_seconds(text: str) -> float | None:
    """`1:02:03`, `02:03`, `1 day, 2:03:04` and `2-03:04:05` → seconds."""
    days = 0.0
    head, is_days, rest = text.partition("," if "day" in text else "-")
    if is_days:
        days, text = number(head.partition("day")[0]) or 0.0, rest
    total = 0.0
    for part in text.strip().split(":"):
        value = number(part)
        if value is None:
            return None
        total = total * 60 + value
    return total + days * 86400


def scalar(text: str) -> str | int | float | bool | None:
    """A Python, JSON, YAML or command-line scalar → its value; anything else stays text.

    >>> scalar("True"), scalar("1e-05"), scalar("'zero2.json'"), scalar("None"), scalar("4")
    (True, 1e-05, 'zero2.json', None, 4)
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    lowered = text.lower()
    if lowered in ("true", "false"):
        return lowered == "true"
    if lowered in ("none", "null", "~"):
        return None
    if text.lstrip("+-").isdigit() and text.isascii():
        return int(text) if len(text) < 19 else float(text)
    value = number(text) if text[:1] in "+-.0123456789" else None
    return text if value is None or "," in text else value
