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
    from datamodules.datasets.csv_list import CSVDataModule as CSVDataModule
    from datamodules.datasets.folder import FolderDataModule as FolderDataModule
    from datamodules.datasets.hmdb51 import HMDB51DataModule as HMDB51DataModule
    from datamodules.datasets.kinetics import Kinetics400DataModule as Kinetics400DataModule
    from datamodules.datasets.kinetics import Kinetics600DataModule as Kinetics600DataModule
    from datamodules.datasets.ssv2 import SSv2DataModule as SSv2DataModule
    from datamodules.datasets.ucf101 import UCF101DataModule as UCF101DataModule
    from datamodules.errors import DataError as DataError
    from datamodules.splits.split import TestSet as TestSet
    from datamodules.suite import EvaluationSuite as EvaluationSuite
    from datamodules.synthetic.moving_shapes import write_synthetic_dataset as write_synthetic_dataset
    from datamodules.transforms.augmentation import Augmentation as Augmentation
    from datamodules.video.batch import VideoBatch as VideoBatch

# Loaded on first use, so that importing the package is quick.
_HOMES = {
    "Augmentation": "datamodules.transforms.augmentation",
    "CSVDataModule": "datamodules.datasets.csv_list",
    "DataError": "datamodules.errors",
    "EvaluationSuite": "datamodules.suite",
    "FolderDataModule": "datamodules.datasets.folder",
    "HMDB51DataModule": "datamodules.datasets.hmdb51",
    "Kinetics400DataModule": "datamodules.datasets.kinetics",
    "Kinetics600DataModule": "datamodules.datasets.kinetics",
    "SSv2DataModule": "datamodules.datasets.ssv2",
    "TestSet": "datamodules.splits.split",
    "UCF101DataModule": "datamodules.datasets.ucf101",
    "VideoBatch": "datamodules.video.batch",
    "VideoDataModule": "datamodules.base",
    "write_synthetic_dataset": "datamodules.synthetic.moving_shapes",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'datamodules' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
