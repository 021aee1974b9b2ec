"""A cause's file as a page one can read: what it is, how it works, what speaks for it, what to do."""

from __future__ import annotations

from analyzer.cause import Cause, ClauseSpec


def page(cause: Cause) -> str:
    """The cause as Markdown."""
    parts = [f"# {cause.id}: {cause.title}", f"{cause.kind}, {cause.status}, {cause.prior}", cause.mechanism]
    if cause.affects:
        parts.append("## Affects\n" + _bullets(f"{entry['package']} {entry['versions']}" for entry in cause.affects))
    if cause.requires:
        gate = [f"{how} of: {', '.join(f'`{when}`' for when in whens)}" for how, whens in cause.requires.items()]
        parts.append("## Only considered with\n" + _bullets(gate))
    parts.append("## Evidence\n" + _bullets(_clause(spec) for spec in cause.evidence))
    parts.append("## What to do\n" + _remedy(cause))
    if cause.experiment:
        parts.append("## What settles it\n" + cause.experiment.strip())
    if cause.rivals:
        parts.append("## Rivals\n" + _bullets(f"`{rival}`" for rival in cause.rivals))
    parts.append("## Sources\n" + _bullets(f"{source['url']} ({source.get('supports', '')})" for source in cause.sources))
    return "\n\n".join(parts)


def _bullets(lines: object) -> str:
    return "\n".join(f"- {line}" for line in lines)  # type: ignore[attr-defined]


def _clause(spec: ClauseSpec) -> str:
    text = spec.text or f" {'and' if spec.join == 'all' else 'or'} ".join(spec.whens)
    other = f", otherwise {spec.otherwise}" if spec.otherwise else ""
    ask = f" (ask: {spec.ask})" if spec.ask else ""
    return f"{text}: {spec.strength}{other}{ask}"


def _remedy(cause: Cause) -> str:
    lines = [f"{number}. {step}" for number, step in enumerate(cause.remedy.get("steps", ()), 1)]
    lines += [f"- ds_config: `{key}` = `{str(value).lower()}`" for key, value in cause.remedy.get("config", {}).items()]
    lines += [f"- install `{package}`" for package in cause.remedy.get("packages", ())]
    lines += [f"- argument `{key}` = `{value}`" for key, value in cause.remedy.get("arguments", {}).items()]
    lines += [f"- {word}: {cause.remedy[word]}" for word in ("discard", "cost") if cause.remedy.get(word)]
    return "\n".join(lines)
