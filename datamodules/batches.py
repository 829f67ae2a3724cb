"""From datasets of clips to batches on the device: loaders, then augmentation and normalization."""

from dataclasses import replace

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.loading import Process, build_evaluation_loader, build_training_loader
from datamodules.options import ClipOptions
from datamodules.transforms.augmentation import Augmentation, augment_clips, normalize
from datamodules.transforms.mixing import build_mixers, mix_pairs
from datamodules.video.batch import VideoBatch
from datamodules.video.dataset import VideoDataset


class BatchDataModule(LightningDataModule):
    """The batches of a data module; `VideoDataModule` finds the clips, and sets these attributes.

    Attributes:
        options: How clips are sampled, decoded and batched.
        augmentation: Augmentation of training clips.
        horizontal_flip: Whether training clips are mirrored.
        num_classes: Number Y of classes.
        datasets: `train` and `val`, once prepared.
        test_datasets: One for each test set.
    """

    options: ClipOptions
    augmentation: Augmentation
    horizontal_flip: bool
    num_classes: int
    datasets: dict[str, VideoDataset]
    test_datasets: list[VideoDataset]

    @property
    def batch_size(self) -> int:
        """Videos per batch on one device."""
        return self.options.batch_size

    @property
    def global_batch_size(self) -> int | None:
        """Videos per optimizer step; None means no accumulation."""
        return self.options.global_batch_size

    def train_dataloader(self) -> DataLoader[VideoBatch]:
        """Return a loader of the shuffled training clips, one view each."""
        return build_training_loader(self.datasets["train"], self.options, self._process())

    def val_dataloader(self) -> DataLoader[VideoBatch]:
        """Return a loader of the first of `test_sets`, one center view per clip."""
        return build_evaluation_loader(self.datasets["val"], self.options, self._process(), keep_workers=True)

    def test_dataloader(self) -> DataLoader[VideoBatch] | list[DataLoader[VideoBatch]]:
        """Return a loader of all views for each of `test_sets`; if there is only one, without a list."""
        process = self._process()
        loaders = [build_evaluation_loader(dataset, self.options, process) for dataset in self.test_datasets]
        return loaders if len(loaders) > 1 else loaders[0]

    def predict_dataloader(self) -> DataLoader[VideoBatch]:
        """Return a loader of the first of `test_sets`, with all views."""
        return build_evaluation_loader(self.test_datasets[0], self.options, self._process())

    def on_after_batch_transfer(self, batch: VideoBatch, dataloader_idx: int) -> VideoBatch:
        """Turn the uint8 videos of a batch on its device into float32: augmented in training, always normalized."""
        # An empty batch (all its clips were skipped) has nothing to mix.
        if self.trainer is not None and self.trainer.training and len(batch.label):
            return self.augment(batch)
        return self.normalize(batch)

    def normalize(self, batch: VideoBatch) -> VideoBatch:
        """Return a batch with its uint8 videos as models expect them: float32, less the mean, over the deviation."""
        return replace(batch, video=normalize(batch.video, self.options.mean, self.options.std))

    def augment(self, batch: VideoBatch) -> VideoBatch:
        """Flip, jitter, normalize and mix the clips of a training batch; each clip's own seed decides the draws."""
        settings = self.augmentation
        video = batch.video.squeeze(1)  # (B, 1, T, 3, H, W) -> (B, T, 3, H, W)
        video = augment_clips(video, batch.seed, settings, self.horizontal_flip)
        video = normalize(video, self.options.mean, self.options.std)
        label, mixers = batch.label, build_mixers(settings.mixup_alpha, settings.cutmix_alpha, self.num_classes)
        if mixers and settings.mix_probability > 0:
            video, label = mix_pairs(video, label, batch.seed, mixers, settings.mix_probability, self.num_classes)
        return replace(batch, video=video.unsqueeze(1), label=label)  # (B, T, 3, H, W) -> (B, 1, T, 3, H, W)

    def _process(self) -> Process:
        trainer = self.trainer
        return Process(trainer.global_rank, trainer.world_size, trainer.num_devices) if trainer else Process()
