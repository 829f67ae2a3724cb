"""Video data for any model.

The data modules work with any LightningModule. This example trains torchvision's video ResNet on your own videos, one
folder per class::

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

from importlib import import_module
from typing import Any

from datamodules.datasets import DATASETS

# Each name loads on first use, so that importing the package is quick.
_HOMES = {
    "Augmentation": "datamodules.transforms.augmentation",
    "DataError": "datamodules.errors",
    "EvaluationSet": "datamodules.splits.split",
    "EvaluationSuite": "datamodules.suite",
    "SyntheticDataModule": "datamodules.synthetic.data_module",
    "SyntheticFilesDataModule": "datamodules.synthetic.files_data_module",
    "VideoBatch": "datamodules.video.batch",
    "VideoDataModule": "datamodules.base",
    "write_synthetic_dataset": "datamodules.synthetic.write_dataset",
    **{name: f"datamodules.datasets.{file}" for name, file in DATASETS.items()},
}
__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
