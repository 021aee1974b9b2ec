"""The templates as Python modules: to parse and compile them takes longer than to fill them.

They are written when a wheel is built or the clone is installed in editable form (`hatch_build.py`), into `compiled/` beside
the templates. They count only while the templates are the same to the byte and so is Jinja's version; else the templates are
compiled as ever. What they hold is Jinja's own output for our own templates; nothing of it is written or read elsewhere.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from jinja2 import BaseLoader, Environment

FOLDER: Final = "compiled"
STAMP: Final = "stamp.txt"
"""What the modules were made from, in one line."""


def loader(folders: Iterable[Path]) -> BaseLoader:
    """Loads the compiled templates of the first folder that there is, where they are in step, else the templates."""
    from jinja2 import FileSystemLoader, ModuleLoader

    there = [folder for folder in folders if folder.is_dir()]
    for folder in there[:1]:
        stamp = folder / FOLDER / STAMP
        if stamp.is_file() and stamp.read_text("utf-8") == fingerprint(folder):
            return ModuleLoader(str(folder / FOLDER))
    return FileSystemLoader([str(folder) for folder in there])


def fingerprint(templates: Path) -> str:
    """Jinja's version and the templates' names and bytes as one digest."""
    import jinja2

    found = hashlib.sha256()
    for path in sorted(templates.glob("**/*.j2")):
        data = path.read_bytes()
        found.update(f"{path.relative_to(templates).as_posix()} {len(data)}\n".encode() + data)
    return f"jinja2 {jinja2.__version__}, templates {found.hexdigest()}\n"


def write(environment: Environment, templates: Path, folder: Path) -> list[Path]:
    """Compiles the templates into a folder, which is made; what was written. The same templates give the same bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in (*folder.glob("tmpl_*.py"), *folder.glob(STAMP)):
        old.unlink()
    environment.compile_templates(str(folder), extensions=["j2"], zip=None, ignore_errors=False)
    (folder / STAMP).write_text(fingerprint(templates), "utf-8")
    return sorted(path for path in folder.iterdir() if path.is_file())
