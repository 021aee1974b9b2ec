"""The runs as they stand, in a few lines below the findings: step, speed, what is left, curves, what was found and when."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from analyzer.live.ledger import Entry
from analyzer.live.session import Session
from analyzer.output.plain import clip, neutral
from analyzer.output.sparkline import sparkline
from analyzer.output.strings import Strings, catalogue
from parsers import Run, Series

CURVES: Final = ("loss", "eval_loss", "grad_norm", "lr", "loss_scale", "throughput_samples", "throughput_tokens")
SHOWN: Final = 3
STANDING: Final = 5
"""Curves and findings of a run that are shown."""
RECENT: Final = 400
"""Last points of a curve that a sparkline shows."""
NAME: Final = 4
"""Of so many columns one is for a run's name, of which the end is shown: the step must stay on the screen."""

Line = tuple[str, str]
"""A style (`critical`, `warning`, `head`, `dim` or '') and a text."""


def screen(sessions: Sequence[Session], now: float, width: int, height: int, s: Strings | None = None) -> list[Line]:
    """Lines for all runs, at most `height`, each shorter than `width`. Several runs: those with findings first, briefly."""
    s = s or catalogue()
    if len(sessions) == 1:
        lines = status(sessions[0], now, width, s)
    else:
        loud = sorted(sessions, key=lambda one: not one.ledger.standing)
        lines = [line for one in loud for line in brief(one, now, width, s)]
    if len(lines) > height:
        lines = [*lines[: height - 1], ("dim", s("live.more_lines", n=len(lines) - height + 1))]
    return [(style, clip(text, width - 1)) for style, text in lines]


def status(session: Session, now: float, width: int, s: Strings) -> list[Line]:
    """One run in full."""
    standing = [_standing(entry, s) for entry in session.ledger.standing]
    more = [("dim", "  " + s("live.more", n=len(standing) - STANDING))] if len(standing) > STANDING else []
    curves = _curves(session.run, width) if session.run is not None else []
    return [("head", head(session, now, width, s)), *(("", curve) for curve in curves), *standing[:STANDING], *more]


def brief(session: Session, now: float, width: int, s: Strings) -> list[Line]:
    """One of several runs: a line, and its first finding."""
    return [("head", head(session, now, width, s)), *(_standing(entry, s) for entry in session.ledger.standing[:1])]


def head(session: Session, now: float, width: int, s: Strings) -> str:
    """Step, speed, time left, silence."""
    run, name = session.run, _name(session.root, max(12, width // NAME))
    if run is None:
        return f"{name}: {s('live.reading' if session.follower.exists else 'live.waiting')}"
    planned = f"/{run.planned_steps}" if run.planned_steps else ""
    words = [s("live.no_step") if run.last_step is None else s("live.step", step=f"{run.last_step}{planned}")]
    speed = session.rhythm.speed
    if speed:
        words.append(s("live.steps_s", x=f"{speed:.3g}") if speed >= 1 else s("live.s_step", x=f"{1 / speed:.3g}"))
        if run.planned_steps and run.last_step is not None and run.planned_steps > run.last_step:
            words.append(s("live.left", time=duration((run.planned_steps - run.last_step) / speed)))
    words.append(s("live.ago", time=duration(session.rhythm.silence(now))))
    if session.follower.behind > 1e5:
        words.append(s("live.behind", mb=f"{session.follower.behind / 1e6:.1f}"))
    return f"{name}: {' · '.join(words)}"


def duration(seconds: float) -> str:
    """Seconds as people say them: 12 s, 5 min, 3 h 20 min, 2 d 4 h."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def _name(root: str, size: int) -> str:
    text = neutral(root)
    return text if len(text) <= size else "…" + text[1 - size :]


def _curves(run: Run, width: int) -> list[str]:
    chosen = [series for name in CURVES if (series := run.series(name)) is not None and len(series)][:SHOWN]
    return [f"  {series.metric:<10} {_spark(series, max(10, width - 26))} {series.values[-1]:.4g}" for series in chosen]


def _spark(series: Series, width: int) -> str:
    steps, values = list(series.steps[-RECENT:]), list(series.values[-RECENT:])
    return sparkline(steps, values, width, (min(steps), max(steps)), 0 if series.metric == "loss" else None)


def _standing(entry: Entry, s: Strings) -> Line:
    finding = entry.finding
    since = "" if finding.first_step is None else s("live.since", step=finding.first_step)
    rule = s("live.sign", rule=finding.rule) if entry.is_early else finding.rule
    clock = time.strftime("%H:%M:%S", time.localtime(entry.at))
    text = s("live.standing", severity=s(f"severity.{finding.severity}"), rule=rule, since=since, clock=clock)
    return finding.severity, f"  ● {text}"
