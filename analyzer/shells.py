"""`analyze completion SHELL`: made from the commands' own declarations.

The scripts are static: pressing TAB starts no Python. They know commands, options and their words, and the ids that can be
explained; the rest is a file name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

from analyzer.errors import OK, UsageError

if TYPE_CHECKING:
    import typer

SHELLS: Final = ("bash", "zsh", "fish")


@dataclass(frozen=True, slots=True)
class Choice:
    """An option: its spellings, the words it takes (empty where it takes none, or any), whether it takes something, its help."""

    names: tuple[str, ...]
    words: tuple[str, ...]
    takes: bool
    help: str
    metavar: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, its first sentence, its options and its arguments. `is_main`: its name is not typed.

    `words`: what its argument can be; empty where it is a file, or anything.
    """

    name: str
    is_main: bool
    help: str
    options: tuple[Choice, ...]
    arguments: str
    words: tuple[str, ...] = ()


def commands(app: typer.Typer) -> tuple[Command, ...]:
    """All commands, the main job first: read from their functions' annotations, which every version of typer keeps."""
    made = [_command(one) for one in app.registered_commands]
    return tuple(sorted(made, key=lambda one: (not one.is_main, one.name)))


def _command(declared: Any) -> Command:
    function, name = declared.callback, declared.name or declared.callback.__name__
    hints = get_type_hints(function, include_extras=True)
    options, arguments = [], []
    for parameter in inspect.signature(function).parameters.values():
        kind, info = _annotated(hints[parameter.name])
        if type(info).__name__ == "OptionInfo":
            options.append(_option(parameter.name, kind, info))
        else:
            arguments.append(info.metavar or parameter.name.strip("_").upper())
    help_ = (inspect.getdoc(function) or name).split("\n")[0]
    return Command(name, bool(declared.hidden), help_, tuple(options), " ".join(arguments), _words(name))


def _annotated(hint: Any) -> tuple[Any, Any]:
    """The type and what typer is told about it. Python 3.10 wraps a hint in Optional where the default is None."""
    while get_origin(hint) is not Annotated:
        hint = get_args(hint)[0]
    kind, info = get_args(hint)[:2]
    return kind, info


def _words(name: str) -> tuple[str, ...]:
    if name == "completion":
        return SHELLS
    if name != "explain":
        return ()
    from analyzer.cause import load_for_weighing
    from analyzer.rule import load

    return tuple(sorted({*(one.id for one in load()), *(one.id for one in load_for_weighing())}))


def _option(name: str, kind: Any, info: Any) -> Choice:
    written = [one for one in (info.default, *(info.param_decls or ())) if isinstance(one, str) and one.startswith("-")]
    names = [spelt for one in written for spelt in one.split("/")] or [f"--{name.replace('_', '-')}"]
    kinds = [kind, *get_args(kind)]
    words = next((tuple(str(word.value) for word in one) for one in kinds if isinstance(one, type) and issubclass(one, Enum)), ())
    return Choice(
        tuple(names), words, bool not in kinds, info.help or "", info.metavar or "|".join(words) or name.strip("_").upper()
    )


def completion(shell: str, app: typer.Typer) -> int:
    """Prints the script for one shell."""
    if shell not in SHELLS:
        raise UsageError(f"there is no completion for {shell!r}: use bash, zsh or fish.")
    print("\n".join({"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands(app))))
    return OK


def _bash(known: tuple[Command, ...]) -> Iterator[str]:
    names = " ".join(one.name for one in known if not one.is_main)
    yield "# analyze: completion for bash; `analyze completion bash > ~/.local/share/bash-completion/completions/analyze`"
    yield "_analyze() {"
    yield '  local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" job="${COMP_WORDS[1]}" words="" given=""'
    yield '  case "$job" in'
    for one in known:
        pattern = "*" if one.is_main else one.name
        if pattern != "*":
            given = f' given="{" ".join(one.words)}"' if one.words else ""
            yield f'    {pattern}) case "$prev" in {_bash_values(one)} esac; words="{_options(one)}"{given} ;;'
    main = known[0]
    yield f'    *) case "$prev" in {_bash_values(main)} esac; words="{_options(main)}"'
    yield f'       if [ "$COMP_CWORD" -eq 1 ]; then words="$words {names}"; fi ;;'
    yield "  esac"
    yield '  if [ "$COMP_CWORD" -eq 1 ] && [ "${cur#-}" = "$cur" ]; then'
    yield f'    COMPREPLY=($(compgen -W "{names}" -- "$cur") $(compgen -f -- "$cur"))'
    yield '  elif [ "${cur#-}" != "$cur" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur"))'
    yield '  elif [ -n "$given" ]; then COMPREPLY=($(compgen -W "$given" -- "$cur"))'
    yield '  else COMPREPLY=($(compgen -f -- "$cur")); fi'
    yield "}"
    yield "complete -o filenames -F _analyze analyze"


def _options(one: Command) -> str:
    return " ".join((*(name for option in one.options for name in option.names), "--help"))


def _bash_values(one: Command) -> str:
    cases = [
        f'{"|".join(option.names)}) COMPREPLY=($(compgen -W "{" ".join(option.words)}" -- "$cur")); return ;;'
        for option in one.options if option.words
    ]  # fmt: skip
    return " ".join(cases)


def _zsh(known: tuple[Command, ...]) -> Iterator[str]:
    yield "#compdef analyze"
    yield "# analyze: completion for zsh; `analyze completion zsh > ~/.zfunc/_analyze` with ~/.zfunc in $fpath"
    yield "_analyze() {"
    yield "  local -a jobs"
    yield "  jobs=(" + " ".join(f"'{one.name}:{_quoted(one.help)}'" for one in known if not one.is_main) + ")"
    yield "  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then _describe command jobs; _files; return; fi"
    yield "  case $words[2] in"
    for one in (*known[1:], known[0]):
        given = f"'*:{one.arguments.lower()}:({' '.join(one.words)})'" if one.words else "'*:file:_files'"
        yield f"    {'*' if one.is_main else one.name}) _arguments -s {' '.join(_zsh_options(one))} {given} ;;"
    yield "  esac"
    yield "}"
    yield '_analyze "$@"'


def _zsh_options(one: Command) -> Iterator[str]:
    for option in one.options:
        tail = "" if not option.takes else f":value:({' '.join(option.words)})" if option.words else ":value:_files"
        for name in option.names:
            yield f"'{name}[{_quoted(option.help)}]{tail}'"


def _quoted(text: str) -> str:
    return text.replace("'", "’").replace("[", "(").replace("]", ")").replace(":", "\\:")


def _fish(known: tuple[Command, ...]) -> Iterator[str]:
    names = " ".join(one.name for one in known if not one.is_main)
    yield "# analyze: completion for fish; `analyze completion fish > ~/.config/fish/completions/analyze.fish`"
    for one in known:
        seen = f"not __fish_seen_subcommand_from {names}" if one.is_main else f"__fish_seen_subcommand_from {one.name}"
        if not one.is_main:
            yield f"complete -c analyze -n __fish_use_subcommand -a {one.name} -d '{_fish_quoted(one.help)}'"
        if one.words:
            yield f"complete -c analyze -n '{seen}' -f -a '{' '.join(one.words)}'"
        for option in one.options:
            spelt = " ".join(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names)
            tail = f" -x -a '{' '.join(option.words)}'" if option.words else " -r" if option.takes else ""
            yield f"complete -c analyze -n '{seen}' {spelt} -d '{_fish_quoted(option.help)}'{tail}"


def _fish_quoted(text: str) -> str:
    return text.replace("'", "\\'")
