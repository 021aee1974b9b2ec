"""What the terminal shows, as lines of styled spans: identity, verdict, curves, findings, why, what to do.

One screen: each part is cut to what decides, the rest is in the report. Styles are names; `terminal.py` paints them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from analyzer.model import Curve, Diagnosis, Finding, Match
from analyzer.output import story
from analyzer.output.plain import cells, clip, clip_left, neutral, number, pad, place, wrap
from analyzer.output.sparkline import sparkline
from analyzer.output.strings import Strings

MAX_FATES: Final = 3
MAX_FINDINGS: Final = 4
MAX_LEDGER: Final = 3
MAX_STEPS: Final = 4
MAX_CURVES: Final = 3
_PREFERRED: Final = ("loss", "grad_norm", "loss_scale", "lr", "eval_loss")
_OF_RULE: Final = {"loss": "loss", "grad": "grad_norm", "lr": "lr", "scale": "loss_scale", "overflow": "loss_scale"}

Span = tuple[str, str]
"""A text and the name of its style; no style where it is empty."""
Line = list[Span]


def _fitted(line: Line, width: int) -> Line:
    """The line cut to the window where even its shortest form does not fit."""
    left = width
    out: Line = []
    for text, style in line:
        if cells(text) > left:
            return [*out, (clip(text, left), style)] if left > 1 else out
        out.append((text, style))
        left -= cells(text)
    return out


def _rows(text: str, width: int, limit: int) -> list[str]:
    """The text in at most `limit` lines, `…` where it is cut."""
    rows = wrap(text, width)
    return rows if len(rows) <= limit else [*rows[: limit - 1], clip(" ".join(rows[limit - 1 :]), width)]


class Summary:
    """The parts of the screen, top to bottom; each returns lines of styled spans."""

    def __init__(self, diagnosis: Diagnosis, s: Strings, width: int, bars: bool) -> None:
        self.diagnosis, self.s, self.width, self.bars = diagnosis, s, width, bars

    def lines(self) -> list[Line]:
        """All parts, with an empty line between them."""
        parts = (
            self.identity(),
            self.verdict(),
            self.curves(),
            self.findings(),
            self.ranks(),
            self.why(),
            self.do(),
            self.foot(),
        )
        out: list[Line] = []
        for part in parts:
            if part:
                out += [*([[("", "")]] if out else []), *part]
        return [_fitted(line, self.width) for line in out]

    def identity(self) -> list[Line]:
        """File, framework and versions; how far it came, at the right where there is room."""
        name = clip_left(story.source_name(self.diagnosis), self.width // 3)
        right = story.progress(self.diagnosis, self.s)
        middle = " · ".join(story.identity(self.diagnosis, self.s))
        room = self.width - 6 - cells(name) - cells(right)
        if cells(middle) <= room:
            gap = " " * (self.width - 4 - cells(name) - cells(middle) - cells(right))
            return [[(" ", ""), (name, "bold"), ("   ", ""), (middle, ""), (gap, ""), (right, "dim")]]
        lines: list[Line] = [[(" ", ""), (name, "bold"), ("   ", ""), (right, "dim")]]
        return lines + [[(f" {line}", "dim")] for line in wrap(middle, self.width - 2)]

    def verdict(self) -> list[Line]:
        """The verdict word and the sentence."""
        word = f" {self.s('verdict.' + self.diagnosis.verdict)} "
        text = wrap(story.headline(self.diagnosis, self.s), self.width - cells(word) - 3)
        first: Line = [(word, self.diagnosis.verdict), ("  ", ""), (text[0], "bold")]
        return [first, *([(" " * (cells(word) + 2), ""), (line, "bold")] for line in text[1:])]

    def curves(self) -> list[Line]:
        """The metrics that matter: first value, bars, last value, where it turned bad."""
        chosen = self._chosen()
        if not chosen:
            return []
        names = {one.metric: clip(neutral(one.metric), 18) for one in chosen}
        steps = [step for one in chosen for step in (one.steps or (0,))]
        span = (min(steps), max(steps))
        wide = max(cells(name) for name in names.values())
        firsts, lasts = max(len(number(one.first)) for one in chosen), max(len(number(one.last)) for one in chosen)
        bars = max(8, min(34, self.width - wide - firsts - lasts - 32)) if self.bars else 0
        return [self._curve_line(one, pad(names[one.metric], wide), span, (firsts, lasts, bars)) for one in chosen]

    def _curve_line(self, one: Curve, name: str, span: tuple[int, int], sizes: tuple[int, int, int]) -> Line:
        firsts, lasts, bars = sizes
        zero_from, onset = self._onset(one)
        drawn = f" {sparkline(one.steps, one.values, bars, span, zero_from)} " if bars else " → "
        line: Line = [(f" {name}  ", ""), (number(one.first).ljust(firsts), ""), (drawn, "info")]
        line.append((number(one.last).ljust(lasts), "bold"))
        room = self.width - sum(cells(text) for text, _ in line) - 3
        return [*line, ("   ", ""), (clip(onset, room), "critical")] if onset and room > 8 else line

    def _onset(self, one: Curve) -> tuple[int | None, str]:
        """(step from which exact zeros stand for a lost loss, words for the first value that is not a number)."""
        zero = next((f for f in self.diagnosis.findings if f.rule == "loss-zero"), None) if one.metric == "loss" else None
        bad = next((i for i, value in enumerate(one.values) if not math.isfinite(value)), None)
        if bad is not None:
            what = "NaN" if math.isnan(one.values[bad]) else "inf"
            return None, self.s("curve.first_bad", step=number(one.steps[bad]), what=what)
        if zero is not None and zero.first_step is not None:
            return zero.first_step, self.s("curve.first_bad", step=number(zero.first_step), what="0")
        return None, ""

    def _chosen(self) -> list[Curve]:
        """The loss, then what the findings speak of, then the usual ones."""
        wanted = ["loss"]
        wanted += [_OF_RULE.get(f.rule.split("-")[0], "") for f in self.diagnosis.findings]
        wanted += _PREFERRED[:2]
        curves = {one.metric: one for one in self.diagnosis.run.curves if one.points > 1}
        return [curves[metric] for metric in dict.fromkeys(wanted) if metric in curves][:MAX_CURVES]

    def findings(self) -> list[Line]:
        """The first findings with severity and place; then what they do not mean."""
        found = self.diagnosis.findings
        lines: list[Line] = []
        sizes = [max((cells(text) for text in column), default=0) for column in zip(*map(self._head, found), strict=True)]
        for index, finding in enumerate(found[:MAX_FINDINGS]):
            lines += self._finding(index + 1, finding, sizes)
        if len(found) > MAX_FINDINGS:
            lines.append([("    ", ""), (self.s("term.more", n=len(found) - MAX_FINDINGS), "dim")])
        for note in self.diagnosis.notes[:1]:
            lines += [[("    ", ""), (line, "dim")] for line in wrap(neutral(note.title), self.width - 5)]
        return lines

    def _head(self, finding: Finding) -> tuple[str, str, str]:
        ref = finding.evidence[0].ref
        return self.s("severity." + finding.severity), finding.rule, clip_left(place(ref.file, ref.line), 26)

    def _finding(self, index: int, finding: Finding, sizes: Sequence[int]) -> list[Line]:
        severity, rule, where = self._head(finding)
        start = f" {index:<2} "
        left: Line = [(start, ""), (pad(severity, sizes[0]), finding.severity), (f"  {pad(rule, sizes[1])}  ", "")]
        used = sum(cells(text) for text, _ in left)
        room = self.width - used - sizes[2] - 3
        summary = story.finding_text(finding)
        if room < 24:
            under = wrap(summary, self.width - 6)
            return [[*left, (where, "dim")], *([("    ", ""), (line, "")] for line in under)]
        texts = _rows(summary, room, 3)
        first: Line = [*left, (pad(texts[0], room), ""), ("  ", ""), (where, "dim")]
        return [first, *([(" " * used, ""), (line, "")] for line in texts[1:])]

    def ranks(self) -> list[Line]:
        """How the ranks fared, the first cause's first; those that fared alike are one line."""
        lines: list[Line] = []
        for fate in self.diagnosis.ranks[:MAX_FATES]:
            step = "" if fate.last_step is None else self.s("curve.at_step", step=number(fate.last_step))
            told = " · ".join(neutral(text) for text in (step, fate.error, fate.end) if text)
            name = clip(self.s("ui.rank", rank=fate.ranks), self.width // 3)
            lines.append([("    ", ""), (name, "bold"), ("  ", ""), (clip(told, self.width - cells(name) - 8), "dim")])
        more = story.aftermath(self.diagnosis)
        return lines + ([[("    ", ""), (line, "dim")] for line in _rows(more, self.width - 5, 3)] if more else [])

    def why(self) -> list[Line]:
        """The leading cause with its ledger, and its rivals."""
        causes, head = self.diagnosis.causes, self._label("term.why")
        if not story.is_told(self.diagnosis):
            return []
        if not causes:
            return [[(head, "head"), (self.s("term.no_cause"), "")]]
        best = causes[0]
        title = wrap(f"{neutral(best.title)} ({self.s('cause.' + best.verdict)})", self.width - cells(head) - 1)
        lines: list[Line] = [[(head if not i else " " * cells(head), "head"), (text, "bold")] for i, text in enumerate(title)]
        lines += self._ledger(best)
        if len(causes) > 1:
            rivals = " · ".join(neutral(one.title) for one in causes[1:4])
            lines += self._labelled(self.s("term.rivals"), "dim", [rivals], MAX_LEDGER)
        return lines

    def _ledger(self, match: Match) -> list[Line]:
        parts = story.ledger(match)
        lines: list[Line] = []
        for name, clauses in (("for", parts.supports), ("against", parts.opposes)):
            rows = []
            for clause in clauses[:MAX_LEDGER]:
                ref = clause.evidence[0].ref if clause.evidence else None
                where = f"   {place(ref.file, ref.line)}" if ref and ref.line else ""
                rows.append(story.clause_text(clause, self.s) + where)
            lines += self._labelled(self.s("state." + name), name, rows, len(rows))
        asked = [story.clause_name(clause) + (f"  [{neutral(clause.ask)}]" if clause.ask else "") for clause in parts.unknown]
        return lines + self._labelled(self.s("state.unknown"), "unknown", asked[:MAX_LEDGER], MAX_LEDGER)

    def _labelled(self, label: str, style: str, rows: Sequence[str], limit: int) -> list[Line]:
        """Rows of text behind a label; each row wraps to at most two lines."""
        lines: list[Line] = []
        for row in rows[:limit]:
            texts = wrap(row, self.width - 18)
            texts = [*texts[:1], clip(" ".join(texts[1:]), self.width - 18)] if len(texts) > 2 else texts
            for text in texts:
                lines.append([("      ", ""), (pad("" if lines else label, 10), style), (" ", ""), (text, "")])
        return lines

    def _label(self, key: str) -> str:
        return " " + pad(self.s(key), 5)

    def do(self) -> list[Line]:
        """The steps in order, what must be thrown away, and the run that settles it."""
        if not story.is_told(self.diagnosis):
            return []
        head = self._label("term.do")
        if not self.diagnosis.causes:
            rule = story.leading(self.diagnosis)
            look = f"analyze explain {rule.rule}" if rule else ""
            text = self.s("term.no_cause_do", place=story.origin(self.diagnosis), command=look)
            rows = wrap(text, self.width - cells(head) - 1)
            return [[(head if not i else " " * cells(head), "head"), (row, "")] for i, row in enumerate(rows)]
        best = self.diagnosis.causes[0]
        texts = self._steps(best)
        lines: list[Line] = []
        for index, text in enumerate(texts[:MAX_STEPS]):
            for part, row in enumerate(_rows(text, self.width - cells(head) - 4, 4)):
                number_ = f"{index + 1}. " if not part else "   "
                lines.append([(" " * cells(head) if lines else head, "head"), (number_, "dim"), (row, "")])
        settle = self.s("term.settle", text=neutral(best.confirm_by)) if best.confirm_by else ""
        for row in _rows(settle, self.width - cells(head) - 4, 4) if settle else []:
            lines.append([(" " * (cells(head) + 3), ""), (row, "dim")])
        return lines

    def _steps(self, match: Match) -> list[str]:
        """One text a step; settings that a sentence names already are not said twice."""
        texts: list[str] = []
        said = " ".join(step.text for step in story.steps(self.diagnosis, match, self.s) if not step.code)
        for step in story.steps(self.diagnosis, match, self.s):
            if not step.code:
                texts.append(step.text)
                continue
            added = [line[1:].strip() for line in step.code.split("\n") if step.kind != "diff" or line.startswith("+")]
            if step.kind == "shell":
                added = step.code.split("\n")
            if not all(part.split(":")[0].strip('"-').split(" ")[0] in said for part in added):
                texts.append(f"{step.text} {', '.join(added)}")
        return texts

    def foot(self) -> list[Line]:
        """What could not be judged, our own failures, and the commands that go on from here."""
        lines: list[Line] = []
        skips = self.diagnosis.skips
        if skips:
            missing = ", ".join(dict.fromkeys(story.missing_name(name, self.s) for skip in skips for name in skip.missing))
            told = wrap(self.s("term.unjudged", n=len(skips), missing=missing), self.width - 2)
            lines += [[(" ", ""), (line, "dim")] for line in told[:2]]
        for text in story.thinned(self.diagnosis)[:1]:
            lines += [[(" ", ""), (line, "dim")] for line in wrap(text, self.width - 2)]
        unread = [(ref, reason) for ref, reader, reason in self.diagnosis.problems if reader != story.THINNED]
        if unread:
            ref, reason = unread[0]
            text = self.s("term.unread", n=len(unread), place=place(ref.file, ref.line), reason=neutral(reason))
            lines += [[(" ", ""), (line, "dim")] for line in wrap(text, self.width - 2)]
        ignored = story.ignored(self.diagnosis, self.s)
        lines += [[(" ", ""), (line, "dim")] for line in wrap(ignored, self.width - 2)] if ignored else []
        if self.diagnosis.failures:
            lines.append([(" ", ""), (self.s("term.failure", n=len(self.diagnosis.failures)), "warning")])
        commands = [story.command(self.diagnosis, "html")]
        finding = story.leading(self.diagnosis)
        page = self.diagnosis.causes[0].id if self.diagnosis.causes else finding.rule if finding else ""
        commands += [f"analyze explain {neutral(page)}"] if page else []
        together = " · ".join(commands)
        rows = [together] if cells(together) <= self.width - 2 else commands
        rows += wrap(self._answer(), self.width - 2) if self._answer() else []
        return [*lines, *([(" ", ""), (row, "code")] for row in rows)]

    def _answer(self) -> str:
        """How to answer what the leading cause asks; '' where it asks nothing."""
        causes = self.diagnosis.causes
        if not causes or not self.diagnosis.loud() or not story.ledger(causes[0]).unknown:
            return ""
        command = f"analyze {story.source_name(self.diagnosis)} --fact deepspeed=0.14.0 --env freeze.txt"
        return self.s("term.answer", command=command)
