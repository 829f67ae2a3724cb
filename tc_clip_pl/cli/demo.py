"""`tcclip make-demo`: a small dataset of real video files and a tiny CLIP, made on the spot."""

import argparse
import shutil
from collections.abc import Callable
from pathlib import Path


def make_demo(arguments: list[str]) -> None:
    """Write `DIR/data`, laid out like HMDB-51, and `DIR/tiny_clip`; what is there already is kept.

    Args:
        arguments: DIR.
    """
    parser = argparse.ArgumentParser("tcclip make-demo", description=make_demo.__doc__)
    parser.add_argument("dir", type=Path)
    folder = parser.parse_args(arguments).dir
    folder.mkdir(parents=True, exist_ok=True)
    _make_once(folder / "data", _write_videos)
    _make_once(folder / "tiny_clip", _write_tiny_clip)
    print(f"Now: tcclip fit --config demo.yaml --data.root {folder}/data --model.pretrained {folder}/tiny_clip")


def _make_once(target: Path, write: Callable[[Path], None]) -> None:
    """Write beside the target first, so that an interruption never leaves half of it under its name."""
    if target.exists():
        print(f"{target} is there already and is kept.")
        return
    unfinished = target.with_name(f"{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    write(unfinished)
    unfinished.rename(target)
    print(f"{target} written.")


def _write_videos(folder: Path) -> None:
    from datamodules.synthetic.moving_shapes import write_synthetic_dataset

    write_synthetic_dataset(folder)


def _write_tiny_clip(folder: Path) -> None:
    from datamodules.synthetic.moving_shapes import CLASSES
    from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip

    save_tiny_clip(folder, CLASSES)
