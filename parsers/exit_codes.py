"""Exit codes and signals as launchers, shells and schedulers print them."""

from __future__ import annotations

from typing import Final

SIGNALS: Final = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 9: "SIGKILL",
    10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM", 24: "SIGXCPU",
}  # fmt: skip
NUMBERS: Final = {name: number for number, name in SIGNALS.items()}


def signal_of(exit_code: int) -> str:
    """The signal behind an exit code (−9, 137 and 247 are SIGKILL), or '' where it is a plain exit."""
    if exit_code < 0:
        return SIGNALS.get(-exit_code, f"signal {-exit_code}")
    if 128 < exit_code <= 160:
        return SIGNALS.get(exit_code - 128, "")
    return SIGNALS.get(256 - exit_code, "") if 240 <= exit_code < 256 else ""


def is_terminated(exit_code: int) -> bool:
    """Whether a child ended because somebody asked it to (−15, 143): mostly its launcher, after another one failed."""
    return exit_code in (-15, 143)
