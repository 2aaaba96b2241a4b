"""What `import objstore.store` loads: the classes of the stores, and nothing that takes long to import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import objstore

ROOT = Path(__file__).parent.parent

OURS = {
    "objstore",
    "objstore.exceptions",
    "objstore.interface",
    "objstore.interface.store",
    "objstore.settings",
    "objstore.settings.paths",
    "objstore.store",
    "objstore.stores",
    *(f"objstore.stores.{name}" for name in ("azure", "base", "forks", "gcs", "http", "local", "memory", "s3", "urls")),
    "objstore.version",
}
# os, typing and re, and what these bring; every interpreter has its own few of these.
FEW = {
    *("_collections_abc", "abc", "codecs", "genericpath", "io", "os", "posixpath", "stat"),
    *("__future__", "_typing", "annotationlib", "collections", "contextlib", "copyreg", "enum", "functools"),
    *("importlib", "keyword", "linecache", "operator", "re", "reprlib", "types", "typing", "warnings"),
}
# without `site`, so that nothing comes from what else is installed
PROGRAM = """
import sys
before = set(sys.modules)
sys.path.insert(0, sys.argv[1])
import {module}
print(*sorted(set(sys.modules) - before - set(sys.builtin_module_names)))
"""


def loaded(module: str) -> set[str]:
    """Return what an import loads into an interpreter that has nothing."""
    command = [sys.executable, "-I", "-S", "-c", PROGRAM.format(module=module), str(ROOT)]
    return {*subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()}


@pytest.mark.parametrize("module", ["objstore", "objstore.store"])
def test_an_import_loads_the_stores_and_little_else(module: str) -> None:
    modules = loaded(module)
    assert {name for name in modules if name.split(".")[0] == "objstore"} == OURS
    assert {name.split(".")[0] for name in modules - OURS} <= FEW


def promised() -> dict[str, str]:
    """Return the module that type checkers are told of, by public name of the root."""
    tree = ast.parse((ROOT / "objstore/__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("objstore")
        for alias in node.names
    }


def test_the_root_gives_what_type_checkers_are_told_of() -> None:
    names = promised()
    assert set(objstore.__all__) == {*names, "__version__", "configure", "exceptions", "store"}
    for name, module in names.items():
        assert getattr(objstore, name) is getattr(sys.modules[module], name), name
    assert {*objstore.__all__} <= {*dir(objstore)}
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        objstore.nothing  # type: ignore[attr-defined]  # noqa: B018


def test_a_method_is_the_function_of_its_name() -> None:
    assert objstore.store.S3Store.get is objstore.get
    assert objstore.store.Store.list_async is objstore.list
