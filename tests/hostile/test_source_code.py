"""Nothing in the code unpickles, evaluates, parses YAML, starts a shell or unpacks an archive by the names in it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(path for name in ("analyzer", "parsers") for path in (ROOT / name).rglob("*.py"))
IMPORTS = {"yaml", "ruamel", "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "jsonpickle",
           "torch", "xml.etree", "xml.dom", "lxml", "tarfile", "telnetlib", "code", "codeop", "pty", "ctypes"}  # fmt: skip
NAMES = {"eval", "exec", "compile", "__import__", "breakpoint", "input"}
ATTRIBUTES = {
    ("os", "system"), ("os", "popen"), ("tempfile", "mktemp"), ("pickle", "loads"), ("pickle", "load"), ("numpy", "load"),
    ("np", "load"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput"), ("asyncio", "create_subprocess_shell"),
}  # fmt: skip
UNPACKING = {"extract", "extractall", "exec_module", "unpack_archive", "from_string", "allow_pickle"}
ALLOWED = {
    "analyzer/own_rules.py": {"exec_module"},  # the folder that the user names with --rules
    "analyzer/callbacks/transformers_callback.py": {"torch"},
    "analyzer/callbacks/surroundings.py": {"torch"},
    "analyzer/callbacks/lightning_callback.py": {"torch"},
    "analyzer/callbacks/monitor.py": {"torch"},  # inside a training program, which has it already
}


def offences(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if is_one(alias.name))
        elif isinstance(node, ast.ImportFrom) and is_one(node.module or ""):
            yield node.module or ""
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in NAMES:
                yield node.func.id
            elif isinstance(node.func, ast.Attribute):
                owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
                if (owner, node.func.attr) in ATTRIBUTES or node.func.attr in UNPACKING:
                    yield node.func.attr
            for keyword in node.keywords:
                is_true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                is_false = isinstance(keyword.value, ast.Constant) and keyword.value.value is False
                if keyword.arg in ("shell", "allow_pickle") and is_true:
                    yield keyword.arg
                if keyword.arg in ("verify", "autoescape") and is_false:
                    yield f"{keyword.arg}=False"


def is_one(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in IMPORTS)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_does_what_hostile_data_could_use(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    found = set(offences(ast.parse(path.read_text("utf-8"))))
    assert not found - ALLOWED.get(name, set())


def test_the_network_is_used_where_it_was_asked_for_only() -> None:
    """`--webhook`, `--listen` and URLs to scan: each in one module."""
    users = {"analyzer/live/webhook.py", "analyzer/live/prometheus.py", "analyzer/batch/remote.py", "analyzer/batch/cluster.py"}
    modules = {"socket", "http", "urllib.request", "urllib3", "requests", "ssl", "ftplib", "smtplib", "fsspec", "ray", "asyncio"}
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        named = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        named |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        found = {name for name in named if any(name == one or name.startswith(f"{one}.") for one in modules)}
        assert not found or str(path.relative_to(ROOT)) in users, (path, found)
