"""Which package may import which: a table, held against the syntax tree of every file."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Folder -> top-level packages that none of its files may import, at any level of indentation.
FORBIDDEN = {
    "datamodules": {"tc_clip_pl", "transformers"},
    "tc_clip_pl/ops": {
        "lightning",
        "transformers",
        "datamodules",
        "tc_clip_pl.modules",
        "tc_clip_pl.training",
        "tc_clip_pl.checkpoints",
        "tc_clip_pl.evaluation",
        "tc_clip_pl.cli",
    },
    "tc_clip_pl/modules": {
        "lightning",
        "datamodules",
        "tc_clip_pl.training",
        "tc_clip_pl.checkpoints",
        "tc_clip_pl.evaluation",
        "tc_clip_pl.cli",
    },
    "tc_clip_pl/checkpoints": {"lightning", "datamodules", "tc_clip_pl.training", "tc_clip_pl.cli"},
    "tc_clip_pl/visualization": {"lightning", "datamodules", "tc_clip_pl.training", "tc_clip_pl.cli"},
    "tc_clip_pl/evaluation": {
        "lightning",
        "datamodules",
        "tc_clip_pl.modules",
        "tc_clip_pl.training",
        "tc_clip_pl.cli",
    },
    "tc_clip_pl/training": {"datamodules", "tc_clip_pl.cli"},
}
# Of datamodules, only what a LightningDataModule needs knows Lightning.
LIGHTNING_IN_DATA = {"base.py", "suite.py"}


def imported_names(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module if node.level == 0 else f"relative import in line {node.lineno}"


def violations(path, forbidden):
    return [
        name for name in imported_names(path) if any(name == bad or name.startswith(f"{bad}.") for bad in forbidden)
    ]


@pytest.mark.parametrize("folder", FORBIDDEN)
def test_package_keeps_to_its_imports(folder):
    files = sorted((ROOT / folder).rglob("*.py"))
    assert len(files) > 1
    found = {str(path.relative_to(ROOT)): violations(path, FORBIDDEN[folder]) for path in files}
    assert not {path: names for path, names in found.items() if names}


def test_lightning_stays_at_the_rim_of_the_data():
    files = [path for path in (ROOT / "datamodules").rglob("*.py") if path.name not in LIGHTNING_IN_DATA]
    assert not {str(path) for path in files if violations(path, {"lightning", "pytorch_lightning"})}


def test_the_walk_sees_nested_imports(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    from lightning.pytorch import Trainer\n    import transformers as t\n")
    assert violations(path, {"lightning", "transformers"}) == ["lightning.pytorch", "transformers"]


def test_importing_the_package_does_no_work():
    heavy = ("torch", "lightning", "transformers")
    code = f"import sys, tc_clip_pl, datamodules; print([name for name in {heavy} if name in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
