"""The notebook runs from top to bottom in a fresh kernel, and is committed without outputs."""

import json
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from datamodules import write_synthetic_dataset
from datamodules.synthetic.actions import DEMO
from tc_clip_pl.cli import main

NOTEBOOK = Path(__file__).parent.parent / "notebooks" / "explore_checkpoint.ipynb"
NUM_FIGURES = 5  # prediction, seed and context tokens, [CLS] attention, patch attention, ensembling


@pytest.fixture
def notebook(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return nbformat.read(NOTEBOOK, as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook, folder, timeout):
    folder.mkdir()
    NotebookClient(notebook, timeout=timeout, resources={"metadata": {"path": folder}}).execute()


def test_runs_top_to_bottom(notebook, tmp_path):
    demo, folder = tmp_path / "demo", tmp_path / "notebooks"
    write_synthetic_dataset(demo / "data", DEMO, unseen=(), train_films=2, test_films=1)
    argv = ["--data.root", f"{demo}/data", "--data.num_workers", "0", "--trainer.max_epochs", "1"]
    assert main(["fit", "--config", "demo.yaml", *argv, "--output_dir", f"{demo}/runs/tc_clip"]) == 0

    execute(notebook, folder, timeout=120)

    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == NUM_FIGURES
    assert not any(folder.iterdir()), "the notebook writes files into its own folder"


@pytest.mark.slow
def test_demo_learns_what_the_notebook_shows(notebook, tmp_path):
    """Runs the notebook as committed: the whole demo, all epochs."""
    notebook.cells.append(nbformat.v4.new_code_cell("import json; print(json.dumps(accuracies))"))
    execute(notebook, tmp_path / "notebooks", timeout=1200)
    accuracies = json.loads(code_cells(notebook)[-1].outputs[0].text)
    assert len(accuracies) == 11
    assert accuracies[-1] > 0.65, "fine-tuned; 0.6 is expected of a model that scores each frame alone"
    assert accuracies[0] < accuracies[-1], "CLIP's encoders have not learned it"


def test_is_committed_without_outputs(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_code_cells_are_short_and_follow_an_explanation(notebook):
    for before, cell in pairwise(notebook.cells):
        if cell.cell_type == "code":
            assert before.cell_type == "markdown"
            assert len(cell.source.splitlines()) <= 15
