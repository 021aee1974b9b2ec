"""The rows of the lab: one run each, read from `rows/*.toml`; a row's name is the folder of its sample."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE: Final = Path(__file__).parent
ROWS: Final = HERE / "rows"


@dataclass(frozen=True)
class Row:
    """A run: what is started where, which fault, and what must be found.

    `at` is the 0-based step of the injection; None where no step is meant. `then` is a command that follows in the same
    log. `shell` stands for the whole command where a launcher, a limit or a mount comes before the program.
    `causes`: of these one must be among the first three; `first` says that the log decides and it must be the first.
    `misses`: what a reader who knew the program would wish for and the log does not tell, and `why_missed`.
    `inputs`: files of the sample's own folder that the program reads; `keep`: patterns of files that the sample holds
    besides its log. `cut` is the number of seconds after which the run is killed from outside, for hangs.
    """

    name: str
    program: str = ""
    root_cause: str = ""
    environment: str = "cpu"
    arguments: str = ""
    launcher: str = "python"
    fault: str = "none"
    at: int | None = None
    healthy: bool = False
    then: str = ""
    shell: str = ""
    inputs: tuple[str, ...] = ()
    expected: tuple[str, ...] = ()
    expected_any: tuple[str, ...] = ()
    causes: tuple[str, ...] = ()
    first: bool = False
    tolerated: tuple[str, ...] = ()
    misses: tuple[str, ...] = ()
    why_missed: str = ""
    keep: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    cut: float = 0.0

    @property
    def command(self) -> str:
        """What the user would type before `2>&1 | tee run.log`."""
        if self.shell:
            return self.shell
        fault = "" if self.fault == "none" else f"--fault {self.fault}" + (f" --at {self.at}" if self.at else "")
        settings = "".join(f"{name}={value} " for name, value in sorted(self.variables.items()))
        line = " ".join(word for word in (settings + self.launcher, self.program, self.arguments, fault) if word)
        return f"{line}; {settings}{self.launcher} {self.program} {self.then}" if self.then else line


def rows(folder: Path = ROWS) -> dict[str, Row]:
    """All rows by name. A key that no row has raises TypeError, a name used twice ValueError."""
    found: dict[str, Row] = {}
    for path in sorted(folder.glob("*.toml")):
        for name, given in table_of(path).items():
            if name in found:
                raise ValueError(f"{name} twice")
            found[name] = row(name, given)
    return found


def row(name: str, given: dict[str, Any]) -> Row:
    """A row from its table."""
    fields: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    return Row(name, **fields)


def versions() -> dict[str, dict[str, Any]]:
    """The matrix of versions: environment → `device`, `packages`."""
    return table_of(HERE / "versions.toml")


def table_of(path: Path) -> dict[str, Any]:
    """What a TOML file holds."""
    return tomllib.loads(path.read_text("utf-8"))
