"""Builds the extension and puts it, a bill of materials (CycloneDX 1.6, PEP 770) and the compiled templates into the wheel.

The extension (`parsers/_lines.c`) makes reading large logs several times as fast and is not needed: where there is no
compiler, or `NANALYZE_PURE` is set, the wheel is one of pure Python. It uses the stable ABI, so one build serves every Python.

The wheel holds no code of others; what it depends on is named with the ranges of pyproject.toml, as the versions are chosen
where it is installed. The same tree gives the same bytes: no time and no random number stands in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "nanalyze.cdx.json"
EXTENSION = "parsers/_lines.abi3.so"


class SbomHook(BuildHookInterface[Any]):
    """Asked by hatchling for each wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the document and hands it over."""
        if self.target_name != "wheel":
            return
        if version == "editable":
            self._compiled(Path(self.root) / "templates" / "compiled")
            self._extension(Path(self.root) / EXTENSION)
            return
        self._folder = tempfile.TemporaryDirectory(prefix="nanalyze-sbom-")
        path = Path(self._folder.name) / NAME
        path.write_text(json.dumps(self._document(), indent=2, sort_keys=True) + "\n", "utf-8")
        build_data["sbom_files"].append(str(path))
        for module in self._compiled(Path(self._folder.name) / "compiled"):
            build_data["force_include"][str(module)] = f"analyzer/templates/compiled/{module.name}"
        built = Path(self._folder.name) / Path(EXTENSION).name
        if self._extension(built):
            build_data["force_include"][str(built)] = EXTENSION
            build_data["pure_python"] = False
            build_data["tag"] = f"cp310-abi3-{_platform()}"

    def _extension(self, target: Path) -> bool:
        """Compiles the extension; False where that cannot be done here."""
        if os.environ.get("NANALYZE_PURE"):
            return False
        with tempfile.TemporaryDirectory(prefix="nanalyze-build-") as folder, _at(self.root):
            try:
                made = _compiled_extension(folder)
                target.unlink(missing_ok=True)  # one that is in use must not be written over
                shutil.copyfile(made, target)
            except Exception as error:  # no compiler, no headers, no right to write: all of it works without
                self.app.display_warning(f"The extension is not built, large logs are read more slowly ({error}).")
                return False
        return True

    def _compiled(self, folder: Path) -> list[Path]:
        """The templates as Python modules: a report is drawn without compiling them."""
        sys.path.insert(0, self.root)
        try:
            from analyzer.output.html import compile_templates
        finally:
            sys.path.remove(self.root)
        return compile_templates(folder)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Takes the document away again."""
        folder = getattr(self, "_folder", None)
        if folder is not None:
            folder.cleanup()

    def _document(self) -> dict[str, Any]:
        core = self.metadata.core
        ours = f"pkg:pypi/nanalyze@{self.metadata.version}"
        components = [_component(text) for text in sorted(core.dependencies)]
        document = {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "version": 1,
            "metadata": {
                "component": {
                    "type": "application", "bom-ref": ours, "name": "nanalyze", "version": self.metadata.version, "purl": ours,
                    "licenses": [{"expression": core.license_expression}], "description": core.description,
                },
                "tools": {"components": [{"type": "application", "name": "hatch_build.py of nanalyze"}]},
            },
            "components": components,
            "dependencies": [
                {"ref": ours, "dependsOn": [one["bom-ref"] for one in components]},
                *({"ref": one["bom-ref"]} for one in components),
            ],
        }  # fmt: skip
        digest = json.dumps(document, sort_keys=True)
        return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, digest)}"}


def _compiled_extension(folder: str) -> str:
    """The extension, compiled in a folder; raises whatever is in the way."""
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    flags = [] if os.name == "nt" else ["-std=c11", "-O2", "-g0"]
    one = Extension("_lines", [str(Path("parsers/_lines.c"))], extra_compile_args=flags, py_limited_api=True)
    command = build_ext(Distribution({"name": "nanalyze", "ext_modules": [one]}))
    command.build_lib, command.build_temp = folder, folder
    command.ensure_finalized()
    command.run()
    return str(command.get_ext_fullpath("_lines"))


@contextlib.contextmanager
def _at(folder: str) -> Iterator[None]:
    """Works in a folder, so that no path of this machine gets into what is compiled."""
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _platform() -> str:
    """The platform's own tag; which other systems a wheel serves is for `auditwheel` and its like to say."""
    from packaging.tags import platform_tags

    if sys.platform == "darwin":  # the oldest system that it is compiled for, not the one that it is compiled on
        return sysconfig.get_platform().replace("-", "_").replace(".", "_")
    return next(tag for tag in platform_tags() if "manylinux" not in tag and "musllinux" not in tag)


def _component(text: str) -> dict[str, Any]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = Requirement(text)
    purl = f"pkg:pypi/{canonicalize_name(wanted.name)}"
    return {
        "type": "library", "bom-ref": purl, "name": canonicalize_name(wanted.name), "purl": purl, "scope": "required",
        "properties": [{"name": "nanalyze:requires", "value": str(wanted)}],
    }  # fmt: skip
