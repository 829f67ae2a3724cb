"""Video data for any model."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule as VideoDataModule
    from datamodules.batch import VideoBatch as VideoBatch
    from datamodules.errors import DataError as DataError
    from datamodules.hmdb51 import HMDB51DataModule as HMDB51DataModule
    from datamodules.kinetics import Kinetics400DataModule as Kinetics400DataModule
    from datamodules.kinetics import Kinetics600DataModule as Kinetics600DataModule
    from datamodules.splits import TestSet as TestSet
    from datamodules.ssv2 import SSv2DataModule as SSv2DataModule
    from datamodules.synthetic import write_synthetic_dataset as write_synthetic_dataset
    from datamodules.transforms.augmentation import Augmentation as Augmentation
    from datamodules.ucf101 import UCF101DataModule as UCF101DataModule

# Loaded on first use, so that importing the package is quick.
_HOMES = {
    "Augmentation": "datamodules.transforms.augmentation",
    "DataError": "datamodules.errors",
    "HMDB51DataModule": "datamodules.hmdb51",
    "Kinetics400DataModule": "datamodules.kinetics",
    "Kinetics600DataModule": "datamodules.kinetics",
    "SSv2DataModule": "datamodules.ssv2",
    "TestSet": "datamodules.splits",
    "UCF101DataModule": "datamodules.ucf101",
    "VideoBatch": "datamodules.batch",
    "VideoDataModule": "datamodules.base",
    "write_synthetic_dataset": "datamodules.synthetic",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
