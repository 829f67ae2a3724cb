"""Finds what splits are drawn from: the standard split of a data module."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.make_splits.plan import DataSource
from datamodules.options import check_settings
from datamodules.splits.protocols import BASE_TO_NOVEL, STANDARD

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule


def read_source(data: VideoDataModule) -> DataSource:
    """Reads the standard split of a data module, whatever its setting and shots.

    Args:
        data: The data module, not set up. Its setting is changed: train with another one.

    Raises:
        DataError: The settings or the annotations are wrong.
    """
    check_settings(data)
    data.setting, data.test_splits = STANDARD, None
    finder = data.split_finder
    return DataSource(
        name=data.name,
        published=data.published,
        halves=data.other_settings.get(BASE_TO_NOVEL, {}),
        split=data.split,
        class_names=finder.class_names,
        train=finder.training_split(None, data.seed),
        test=finder.test_split(),
    )
