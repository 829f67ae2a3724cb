"""The generated world read from video files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from datamodules.datasets.hmdb51 import HMDB51DataModule
from datamodules.splits.protocols import Parts
from datamodules.synthetic.layout import OTHER_SETTINGS, PUBLISHED
from datamodules.synthetic.world_parts import NAME


class SyntheticFilesDataModule(HMDB51DataModule):
    """The video files that `datamodules.write_synthetic_dataset` has written, in every setting.

    Clips are never mirrored, because class names distinguish left from right.

    Args:
        root: Directory of the dataset.
        splits_dir: Directory of its lists; None for those that were written with the videos, under the root.
        **options: As in `VideoDataModule`.
    """

    name = NAME
    flips = False
    published = PUBLISHED
    other_settings: ClassVar[Mapping[str, Parts]] = OTHER_SETTINGS

    def __init__(self, root: str, splits_dir: str | None = None, **options: Any) -> None:
        super().__init__(root, splits_dir or root, **options)
