"""A user's own rules (`--rules DIR`): every `*.py` of a folder that the user names, loaded for one call.

A file that cannot be loaded is a Failure under the id that its rule would have had; the others are loaded. Files whose
names begin with an underscore are left alone. Nothing is written into the folder, and nothing of it stays importable.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Final

from analyzer.errors import UsageError
from analyzer.model import Failure
from analyzer.rule import Rule, collecting, load

_PACKAGE: Final = "nanalyze_own_rules"


class _Loader(SourceFileLoader):
    """Loads a file and keeps no bytecode: the folder is the user's, and a file may change within a second."""

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        """The file's code, compiled from what it holds now."""
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def load_folders(folders: Sequence[Path], strict: bool = False) -> tuple[tuple[Rule, ...], tuple[Failure, ...]]:
    """The rules of some folders by id, and the files that could not be loaded (re-raised when `strict`).

    Raises UsageError where a folder is missing or holds no rule's file, and where a rule has the id of another one.
    """
    rules: dict[str, Rule] = {one.id: one for one in load()} if folders else {}
    shipped = set(rules)
    failures: list[Failure] = []
    for folder in folders:
        for path in files(folder):
            try:
                found = _load_file(path)
            except (Exception, SystemExit) as error:
                if strict:
                    raise error if isinstance(error, Exception) else RuntimeError(f"{path} ends the program") from None
                failures.append(Failure(path.stem.replace("_", "-"), f"{path.name} cannot be loaded: {_said(error)}"))
                continue
            for one in found:
                if one.id in rules:
                    raise UsageError(f"{path} is a second rule {one.id!r}: give the file another name.")
                rules[one.id] = one
    return tuple(rules[id_] for id_ in sorted(set(rules) - shipped)), tuple(failures)


def files(folder: Path) -> list[Path]:
    """The files of a folder that should hold a rule each. Raises UsageError where there is none."""
    if not folder.is_dir():
        raise UsageError(f"--rules {folder}: there is no such folder.")
    found = sorted(path for path in folder.glob("*.py") if not path.name.startswith("_"))
    if not found:
        raise UsageError(f"--rules {folder}: no file *.py in it, so no rule.")
    return found


def _load_file(path: Path) -> list[Rule]:
    name = f"{_PACKAGE}.{path.stem}"
    loader = _Loader(name, str(path))
    module = importlib.util.module_from_spec(ModuleSpec(name, loader, origin=str(path)))
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up there
    try:
        with collecting() as found:
            loader.exec_module(module)
    finally:
        sys.modules.pop(name, None)
    if len(found) != 1:
        raise ValueError(f"{len(found)} functions in it are decorated with @rule, and one is wanted")
    return found


def _said(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
