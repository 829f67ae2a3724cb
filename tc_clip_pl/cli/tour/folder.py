"""The folder of the demo and the videos in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from datamodules.synthetic.actions import DEMO
from datamodules.synthetic.list_files import annotation_texts
from datamodules.synthetic.write_dataset import write_synthetic_dataset
from tc_clip_pl.cli.errors import UserError

TRAIN_FILMS, TEST_FILMS = 96, 48
"""Films of each action."""
WORLD = 1
"""Seed of the films; the settings of `demo.yaml` were chosen on other films, those of seed 0."""
PARTS = {"data", "data.unfinished", "runs", "report.html", "report.unfinished"}
"""What the demo itself writes into its folder."""


def check_folder(folder: Path) -> None:
    """Create the folder of a demo, or check that an existing one has nothing but a demo, before minutes are spent.

    Raises:
        UserError: It cannot be written, has other files, or its `data` are not the videos of this demo.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        others = sorted(path.name for path in folder.iterdir() if path.name not in PARTS and path.name[0] != ".")
    except OSError as error:
        raise UserError(f"{folder} cannot be written ({error.strerror}): name another folder.") from error
    if others:
        raise UserError(f"{folder} has {others[0]}, which is not of the demo: name another folder.")
    data = folder / "data"
    if data.exists() and not _is_of_this_demo(data):
        raise UserError(f"{data} has other videos than this demo: remove it, or name another folder.")


def write_missing_videos(folder: Path) -> Path:
    """Write the videos of the demo unless they are there, whole or not at all.

    Returns:
        Their root.
    """
    data = folder / "data"
    if data.exists():
        print(f"{data} exists and is kept.")
        return data
    print(f"Writing {len(DEMO) * (TRAIN_FILMS + TEST_FILMS)} videos, half a minute ...", flush=True)
    write_synthetic_dataset(data, DEMO, unseen=(), train_films=TRAIN_FILMS, test_films=TEST_FILMS, world_seed=WORLD)
    print(f"Wrote {data}.")
    return data


def _is_of_this_demo(data: Path) -> bool:
    """Return whether a dataset has the annotations of this demo; a missing video is named by the check of `fit`."""
    texts = annotation_texts(DEMO, TRAIN_FILMS, TEST_FILMS)
    return all((data / file).is_file() and (data / file).read_text() == text for file, text in texts.items())
