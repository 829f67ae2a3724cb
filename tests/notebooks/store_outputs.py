"""Runs notebooks and stores their outputs in them: `make notebooks`, or this script with some of their paths."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
DIGEST = "code_sha256"
"""Key of the notebook's metadata: which code made the stored outputs."""


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the cells that run."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def digest(notebook: NotebookNode) -> str:
    """Return the SHA-256 of the code of a notebook."""
    return hashlib.sha256("\n".join(cell.source for cell in code_cells(notebook)).encode()).hexdigest()


def execute(notebook: NotebookNode, folder: Path, timeout: int = 1800) -> NotebookNode:
    """Run a notebook from top to bottom in a fresh kernel.

    Args:
        notebook: The notebook, which gets the outputs.
        folder: Where it runs; its own folder, `notebooks`, in what is stored.
        timeout: Seconds for each cell.
    """
    # `!tcclip` is the one of this environment, whether or not the shell has activated it.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    metadata = dict(notebook.metadata)  # without the version of Python that it ran in
    where = {"metadata": {"path": folder}}
    client = NotebookClient(notebook, timeout=timeout, record_timing=False, coalesce_streams=True, resources=where)
    client.execute(env={**os.environ, "COLUMNS": "100"})
    notebook.metadata = NotebookNode(metadata)
    return notebook


def shrink(png: str) -> str:
    """Return a picture, base64-encoded, with 256 colors: films have grain, which takes most of a file."""
    image = Image.open(io.BytesIO(base64.b64decode(png))).convert("RGB")
    # MAXCOVERAGE keeps every color within a few steps, where the default would give all of them to the films; k-means
    # then moves the colors to where the pixels are, or gray backgrounds of films would become green and pink.
    image = image.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=4, dither=Image.Dither.NONE)
    buffer = io.BytesIO()
    image.save(buffer, "png", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()


def store(path: Path) -> None:
    """Run a notebook and write it back with its outputs."""
    notebook = execute(nbformat.read(path, as_version=4), path.parent)
    for output in (output for cell in code_cells(notebook) for output in cell.outputs):
        if "image/png" in output.get("data", {}):
            output.data["image/png"] = shrink(output.data["image/png"])
    notebook.metadata[DIGEST] = digest(notebook)
    nbformat.write(notebook, path)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    for notebook_path in [Path(argument).resolve() for argument in sys.argv[1:]] or NOTEBOOKS:
        store(notebook_path)
