"""Checks of what a user asked for, before any file is touched."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.transforms.spatial import EVALUATION_CROPS
from datamodules.video.dataset import ON_BAD_VIDEO
from datamodules.video.decoding import DECODERS
from datamodules.video.frame_sampling import FRAME_SAMPLINGS

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule

COUNTS = ("num_shots", "split", "num_frames", "image_size", "batch_size", "num_temporal_views")
CHOICES: dict[str, Collection[object]] = {
    "decoder": DECODERS,
    "on_bad_video": ON_BAD_VIDEO,
    "frame_sampling": FRAME_SAMPLINGS,
    "num_spatial_views": EVALUATION_CROPS,
}


def check_settings(data: VideoDataModule) -> None:
    """Checks the settings of a data module that a value can break.

    Raises:
        DataError: One is none of the known ones, or too small.
    """
    check_positive(**{name: getattr(data, name) for name in COUNTS})
    for name, known in CHOICES.items():
        check_choice(name, getattr(data, name), known)


def check_positive(**settings: int | None) -> None:
    """Checks that whole-number settings are at least 1; None stands for "not set".

    Raises:
        DataError: One is 0 or less.
    """
    for name, value in settings.items():
        if value is not None and value < 1:
            raise DataError(f"--data.{name} is {value}; it must be at least 1.")


def check_choice(name: str, value: object, known: Collection[object]) -> None:
    """Checks that a setting is one of the known ones.

    Raises:
        DataError: It is not; the message names those that are.
    """
    if value not in known:
        raise DataError(f"--data.{name} is {value!r}; choose one of {', '.join(map(str, known))}.")
