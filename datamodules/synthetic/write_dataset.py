"""Writes the generated world as video files, with annotations, and with lists for every setting."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from datamodules.errors import DataError
from datamodules.synthetic.actions import SEEN, UNSEEN, Action
from datamodules.synthetic.film_numbers import check_seed, split_numbers
from datamodules.synthetic.layout import UNSEEN_VIDEOS, VIDEOS, folder_name
from datamodules.synthetic.list_files import annotation_texts, descriptor_texts, published_texts, word_texts
from datamodules.synthetic.video_files import check_codec, write_films


def write_synthetic_dataset(
    root: Path | str,
    actions: Sequence[Action] = SEEN,
    unseen: Sequence[Action] = UNSEEN,
    train_films: int = 64,
    test_films: int = 32,
    size: int = 64,
    world_seed: int = 0,
) -> Path:
    """Write the films of `SyntheticDataModule` as video files; `datamodules.synthetic.layout` says what is where.

    The whole world takes about two minutes on one core, and 90 MB. The same arguments give the same bytes.

    Args:
        root: Output directory. It appears when it is complete: an interrupted run leaves `<root>.unfinished`, which
            the next run removes.
        actions: The actions to train on, in label order; at least one.
        unseen: Other actions, to test on.
        train_films: Training films of each action in a split.
        test_films: Test films of each action in a split.
        size: Height and width in pixels; must be even.
        world_seed: Seed of the world, at least 0.

    Returns:
        The root, for `SyntheticFilesDataModule(root)` or, without the unseen actions, `HMDB51DataModule(root)`;
        `<root>/videos` for `FolderDataModule`.

    Raises:
        DataError: An argument has a wrong value, the root exists and is not empty or cannot be written, or PyAV has no
            H.264 encoder.
    """
    _check_arguments(actions, train_films, test_films, size)
    check_seed("world_seed", world_seed)
    check_codec()
    root = Path(root).expanduser()
    train, test = split_numbers(train_films, test_films, split=1)
    with _appears_when_complete(root) as folder, _one_thread():
        for action in actions:
            write_films(folder / VIDEOS / folder_name(action), action, [*train, *test], size, world_seed)
        for action in unseen:
            write_films(folder / UNSEEN_VIDEOS / folder_name(action), action, test, size, world_seed)
        texts = annotation_texts(actions, train_films, test_films)
        texts |= published_texts(actions, unseen, train_films, test_films) | word_texts(actions)
        texts |= descriptor_texts([*actions, *unseen])
        for file, text in texts.items():
            path = folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    return root


@contextmanager
def _appears_when_complete(root: Path) -> Iterator[Path]:
    """Yield a directory that becomes `root` at the end of the block, and not before."""
    unfinished = root.with_name(f"{root.name}.unfinished")
    try:
        if root.is_dir() and not any(root.iterdir()):
            root.rmdir()  # an empty directory, made by hand, stands for none
        if root.exists():
            raise DataError(f"{root} exists and is not overwritten; remove it, or choose another directory.")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        unfinished.mkdir(parents=True)
        yield unfinished
        unfinished.rename(root)
    except OSError as error:  # PyAV's errors about files are OSErrors too
        raise DataError(f"Cannot write {root} ({error}); choose a directory that can be written to.") from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Draw on one thread: small frames gain nothing from more, which on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _check_arguments(actions: Sequence[Action], train_films: int, test_films: int, size: int) -> None:
    numbers = {"number of actions": len(actions), "train_films": train_films, "test_films": test_films, "size": size}
    for name, value in numbers.items():
        if value < 1:
            raise DataError(f"The {name} is {value}; it must be at least 1.")
    if size % 2:
        raise DataError(f"The size is {size}; it must be even, because H.264 stores colors at half the resolution.")
