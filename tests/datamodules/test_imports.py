"""The modules of `datamodules` import each other in one direction, also inside functions and for type checking."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import datamodules

ROOT = Path(datamodules.__file__).parent
FACADE = ROOT / "__init__.py"


def module_name(path):
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(path): path for path in ROOT.rglob("*.py")}


def imported_modules(source):
    """The modules of this package that a source imports anywhere; `from package import module` names the module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.partition(".")[0] == "datamodules")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "datamodules":
            submodules = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in submodules)


def graph():
    return {name: set(imported_modules(path.read_text())) for name, path in MODULES.items() if path != FACADE}


def test_no_cycles():
    assert len(graph()) > 30
    list(TopologicalSorter(graph()).static_order())  # raises CycleError


def test_nothing_inside_imports_the_facade():
    assert [name for name, imports in graph().items() if "datamodules" in imports] == []


@pytest.mark.parametrize("package", ["datamodules.splits", "datamodules.make_splits"])
def test_splits_know_no_data_module_and_no_video(package):
    allowed = (*(f"datamodules.{name}" for name in ("errors", "options", "shards", "splits")), package)
    for name, imports in graph().items():
        if name.startswith(package):
            assert [found for found in imports if not found.startswith(allowed)] == [], name


def test_the_walk_sees_hidden_imports():
    source = "if TYPE_CHECKING:\n    from datamodules import base\ndef f():\n    import datamodules.suite\n"
    assert list(imported_modules(source)) == ["datamodules.base", "datamodules.suite"]
    with pytest.raises(CycleError):
        TopologicalSorter({"a": {"b"}, "b": {"a"}}).prepare()
