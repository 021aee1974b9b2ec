"""Puts a bill of materials (CycloneDX 1.6, PEP 770) and the compiled templates into the wheel.

The wheel holds no code of others; what it depends on is named with the ranges of pyproject.toml, as the versions are chosen
where it is installed. The same tree gives the same bytes: no time and no random number stands in it.
"""

from __future__ import annotations

import json
import sys
import tempfile
import uuid
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "nanalyze.cdx.json"


class SbomHook(BuildHookInterface[Any]):
    """Asked by hatchling for each wheel."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Writes the document and hands it over."""
        if self.target_name != "wheel":
            return
        if version == "editable":
            self._compiled(Path(self.root) / "templates" / "compiled")
            return
        self._folder = tempfile.TemporaryDirectory(prefix="nanalyze-sbom-")
        path = Path(self._folder.name) / NAME
        path.write_text(json.dumps(self._document(), indent=2, sort_keys=True) + "\n", "utf-8")
        build_data["sbom_files"].append(str(path))
        for module in self._compiled(Path(self._folder.name) / "compiled"):
            build_data["force_include"][str(module)] = f"analyzer/templates/compiled/{module.name}"

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


def _component(text: str) -> dict[str, Any]:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    wanted = Requirement(text)
    purl = f"pkg:pypi/{canonicalize_name(wanted.name)}"
    return {
        "type": "library", "bom-ref": purl, "name": canonicalize_name(wanted.name), "purl": purl, "scope": "required",
        "properties": [{"name": "nanalyze:requires", "value": str(wanted)}],
    }  # fmt: skip
