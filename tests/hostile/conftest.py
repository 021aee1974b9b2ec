"""What all hostile tests share: bytecode that is there already, and no gigabytes that nobody asked for."""

from __future__ import annotations

import compileall

import pytest

from tests.hostile.running import ROOT


@pytest.fixture(scope="session", autouse=True)
def bytecode() -> None:
    """The commands that are run find bytecode as an installed one does: compiling takes longer than most of these tests."""
    for name in ("analyzer", "parsers", "templates/compiled"):
        if (ROOT / name).is_dir():
            compileall.compile_dir(ROOT / name, quiet=2)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """The inputs at full size are left out unless they are asked for: `pytest tests/hostile -m slow`."""
    if "slow" in (config.option.markexpr or ""):
        return
    here = str(config.rootpath / "tests" / "hostile")
    large = [item for item in items if str(item.path).startswith(here) and item.get_closest_marker("slow")]
    if large:
        config.hook.pytest_deselected(items=large)
        items[:] = [item for item in items if item not in large]
