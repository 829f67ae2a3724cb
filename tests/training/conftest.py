"""A tiny model and data made of noise, to train and test in seconds."""

from dataclasses import dataclass, field
from functools import partial

import pytest
import torch
from lightning.pytorch import LightningDataModule, Trainer
from torch.optim import AdamW
from torch.utils.data import DataLoader, Dataset, SequentialSampler

from tc_clip_pl import TCCLIP
from tc_clip_pl.checkpoints.tiny_clip import save_tiny_clip
from tc_clip_pl.training import TCCLIPModule
from tc_clip_pl.training.schedule import ReleasedSchedule

CLASS_NAMES = ["wave", "jump", "brush hair"]


@dataclass
class Batch:
    """The fields that training reads."""

    video: torch.Tensor
    label: torch.Tensor
    video_id: list[str]
    skipped: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class EvaluationSet:
    """A test set as a data module describes it."""

    dataset: str
    part: str
    class_names: list[str]

    @property
    def name(self):
        return f"{self.dataset}/{self.part}"


class Noise(Dataset):
    """Videos of noise around a mean that depends on their class."""

    def __init__(self, num_clips, num_classes, num_views):
        self.num_clips, self.num_classes, self.num_views = num_clips, num_classes, num_views

    def __len__(self):
        return self.num_clips

    def __getitem__(self, index):
        label = index % self.num_classes
        generator = torch.Generator().manual_seed(index)
        return torch.randn(self.num_views, 4, 3, 32, 32, generator=generator) + label - 1, label, str(index)


def collate(items):
    videos, labels, names = zip(*items, strict=True)
    return Batch(torch.stack(videos), torch.tensor(labels), list(names))


class NoiseDataModule(LightningDataModule):
    """12 training clips in batches of 4, and one or several test sets of different classes."""

    def __init__(self, test_sets=(), global_batch_size=None, batch_size=4, num_clips=12, num_views=2):
        super().__init__()
        self.class_names, self.test_sets = CLASS_NAMES, list(test_sets)
        self.batch_size, self.global_batch_size = batch_size, global_batch_size
        self.num_clips, self.num_views = num_clips, num_views

    def _loader(self, num_classes, num_views):
        data = Noise(self.num_clips, num_classes, num_views)
        return DataLoader(data, batch_size=self.batch_size, sampler=SequentialSampler(data), collate_fn=collate)

    def train_dataloader(self):
        return self._loader(3, num_views=1)

    def val_dataloader(self):
        return self._loader(3, num_views=1)

    def test_dataloader(self):
        return [self._loader(len(s.class_names), self.num_views) for s in self.test_sets] or self._loader(
            3, self.num_views
        )

    predict_dataloader = test_dataloader


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    return save_tiny_clip(tmp_path_factory.mktemp("clip"), [*CLASS_NAMES, "run", "walk"], image_size=32)


@pytest.fixture
def make_model(tiny_clip):
    def make(**overrides):
        torch.manual_seed(0)
        return TCCLIP.from_pretrained(tiny_clip, num_frames=4, num_context_tokens=4, merges_per_round=4, **overrides)

    return make


@pytest.fixture
def make_module(make_model):
    def make(learning_rate=1e-3, warmup_epochs=0, **recipe):
        optimizer = partial(AdamW, lr=learning_rate)
        lr_scheduler = partial(ReleasedSchedule, warmup_epochs=warmup_epochs, final_lr=min(2e-8, learning_rate))
        return TCCLIPModule(make_model(), **{"optimizer": optimizer, "lr_scheduler": lr_scheduler, **recipe})

    return make


@pytest.fixture
def make_data():
    return NoiseDataModule


@pytest.fixture
def make_test_set():
    return EvaluationSet


@pytest.fixture
def make_trainer(tmp_path):
    def make(*callbacks, **options):
        quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        return Trainer(
            default_root_dir=tmp_path,
            callbacks=list(callbacks),
            enable_model_summary=False,
            use_distributed_sampler=False,
            **{"accelerator": "cpu", "max_epochs": 1, "num_sanity_val_steps": 0, **quiet, **options},
        )

    return make
