"""The notebook runs from top to bottom in a fresh kernel, and is committed without outputs."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from datamodules import write_synthetic_dataset

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "explore_checkpoint.ipynb"
FIGURES = 5  # prediction, seeds and context tokens, [CLS] attention, patch attention, ensembling


@pytest.fixture
def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_runs_top_to_bottom(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    write_synthetic_dataset(tmp_path / "demo" / "data", train_clips=2, test_clips=1, seconds=0.5)
    parameters = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ()))
    parameters.source += "\nEPOCHS = 1"
    folder = tmp_path / "notebooks"
    folder.mkdir()

    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": folder}}).execute()

    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == FIGURES
    assert len(list(tmp_path.glob("outputs/demo/version_0/checkpoints/last.ckpt"))) == 1
    assert not any(folder.iterdir()), "the notebook leaves nothing beside itself"


def test_is_committed_without_outputs(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_every_code_cell_is_short_and_explained(notebook):
    for before, cell in zip(notebook.cells, notebook.cells[1:], strict=False):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            assert len(cell.source.splitlines()) <= 15
