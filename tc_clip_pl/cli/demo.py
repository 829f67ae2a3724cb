"""`tcclip make-demo`: a small dataset of generated video files, and a tiny CLIP."""

import argparse
from collections.abc import Callable
from pathlib import Path

from tc_clip_pl.cli.whole_folder import written_whole

HELP = """\
tcclip make-demo DIR:
write a small dataset and a tiny CLIP, to try every command on

  tcclip make-demo demo
  tcclip fit --config demo.yaml

Writes DIR/data, video files of eight actions in the layout of HMDB-51, and
DIR/tiny_clip, a CLIP with random weights. Existing folders are kept."""


def make_demo(argv: list[str]) -> None:
    """Write `DIR/data`, in the layout of HMDB-51, and `DIR/tiny_clip`; existing folders are kept.

    Args:
        argv: DIR.
    """
    parser = argparse.ArgumentParser("tcclip make-demo", add_help=False)
    parser.add_argument("dir", type=Path)
    folder = parser.parse_args(argv).dir
    _make_once(folder / "data", _write_videos)
    _make_once(folder / "tiny_clip", _write_tiny_clip)
    print(f"Next: tcclip fit --config demo.yaml --data.root {folder}/data --model.pretrained {folder}/tiny_clip")


def _make_once(target: Path, write: Callable[[Path], None]) -> None:
    """Write a folder, unless it exists."""
    if target.exists():
        print(f"{target} exists and is kept.")
        return
    write(target)
    print(f"Wrote {target}.")


def _write_videos(folder: Path) -> None:
    from datamodules.synthetic.actions import DEMO
    from datamodules.synthetic.write_dataset import write_synthetic_dataset

    write_synthetic_dataset(folder, DEMO, unseen=(), train_films=24, test_films=8)


def _write_tiny_clip(folder: Path) -> None:
    from datamodules.synthetic.actions import DEMO
    from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
    from tc_clip_pl.cli.library_logging import silence_library_logs

    silence_library_logs()  # transformers draws a bar for a file of one megabyte
    with written_whole(folder) as unfinished:
        save_tiny_clip(unfinished, [action.name for action in DEMO])
