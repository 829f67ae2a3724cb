"""Video data for any model.

A data module of this package needs nothing of the others. This trains torchvision's video ResNet on one's own videos,
which lie in a folder for each class::

    import torch, torch.nn.functional as F, lightning as L
    from datamodules import FolderDataModule
    from torchvision.models.video import r3d_18

    class VideoResNet(L.LightningModule):
        def __init__(self, num_classes):
            super().__init__()
            self.net = r3d_18(num_classes=num_classes)
        def training_step(self, batch, batch_idx):  # (B, 1, T, 3, H, W) -> (B, 3, T, H, W)
            return F.cross_entropy(self.net(batch.video.squeeze(1).transpose(1, 2)), batch.label)
        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-4)

    data = FolderDataModule("my_videos", num_frames=16, image_size=112)
    L.Trainer(max_epochs=10, use_distributed_sampler=False).fit(VideoResNet(data.num_classes), datamodule=data)
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datamodules.base import VideoDataModule as VideoDataModule
    from datamodules.batch import VideoBatch as VideoBatch
    from datamodules.csv_list import CSVDataModule as CSVDataModule
    from datamodules.errors import DataError as DataError
    from datamodules.evaluation_suite import EvaluationSuite as EvaluationSuite
    from datamodules.folder import FolderDataModule as FolderDataModule
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
    "CSVDataModule": "datamodules.csv_list",
    "DataError": "datamodules.errors",
    "EvaluationSuite": "datamodules.evaluation_suite",
    "FolderDataModule": "datamodules.folder",
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
