"""A suite under a Trainer, from YAML, and with nothing but test data."""

import json
from dataclasses import fields

import pytest
import torch
from jsonargparse import ArgumentParser
from lightning.pytorch import LightningDataModule, LightningModule, Trainer

from datamodules import DataError, EvaluationSuite, FolderDataModule, HMDB51DataModule, VideoDataModule
from datamodules.options import ClipOptions
from datamodules.transforms.augmentation import Augmentation

SMALL = dict(num_frames=2, image_size=32, batch_size=8, num_workers=0, num_temporal_views=1)


def suite(root, train=True, **settings):
    folder = FolderDataModule(f"{root}/videos", num_shots=2) if train else None
    tests = {
        "hmdb51": HMDB51DataModule(str(root), test_splits=[1, 3]),
        "own": FolderDataModule(f"{root}/videos", 0.1, split=4),
    }
    return EvaluationSuite(tests, folder, **{**SMALL, **settings})


class Probe(LightningModule):
    """Counts the clips of each loader, and keeps the shapes of the batches."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen, self.shapes = {}, set()

    def _see(self, name, batch):
        self.seen[name] = self.seen.get(name, 0) + len(batch.label)
        self.shapes.add((batch.video.dtype, *batch.video.shape[1:]))

    def training_step(self, batch, batch_idx):
        self._see("train", batch)
        assert batch.label.shape[1:] == (10,)  # mixed
        return self.weight * batch.video.mean()

    def validation_step(self, batch, batch_idx):
        self._see("val", batch)

    def test_step(self, batch, batch_idx, dataloader_idx=0):
        self._see(self.trainer.datamodule.test_sets[dataloader_idx].name, batch)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.filterwarnings("ignore")
def test_trains_on_one_and_tests_on_several(synthetic_root):
    data, probe = suite(synthetic_root, global_batch_size=16), Probe()
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    trainer = Trainer(max_epochs=1, accelerator="cpu", use_distributed_sampler=False, num_sanity_val_steps=0, **quiet)
    trainer.fit(probe, datamodule=data)
    assert probe.seen == {"train": 8 * 2, "val": 10 * 1} and data.num_classes == 10
    trainer.test(probe, datamodule=data, verbose=False)
    tests = {"hmdb51/split1": 10 * 2, "hmdb51/split3": 10 * 2, "folder/split4": 10 * 1}
    assert probe.seen == {"train": 8 * 2, "val": 10 * 1, **tests}
    assert [entry.name for entry in data.test_sets] == list(tests)
    assert probe.shapes == {(torch.float32, 1, 2, 3, 32, 32)}
    summary = json.loads(json.dumps(data.summary()))
    assert summary["tests"]["hmdb51"]["splits"]["hmdb51/split3"]["num_clips"] == 20
    assert summary["train"]["splits"]["train"]["num_clips"] == 20  # the test does not hide what was trained on
    assert (data.batch_size, data.global_batch_size) == (8, 16)


def test_a_test_needs_no_training_data(synthetic_root, tmp_path):
    for train in (None, FolderDataModule(str(tmp_path / "gone"))):
        data = EvaluationSuite({"hmdb51": HMDB51DataModule(str(synthetic_root))}, train, **SMALL)
        data.setup("test")
        assert data.num_classes == 10 and len(data.test_dataloader()) == 1 and len(data.predict_dataloader()) == 3
        with pytest.raises(DataError, match=r"give --data\.train|gone does not exist"):
            data.setup("fit")


CONFIG = """
data:
  class_path: datamodules.EvaluationSuite
  init_args:
    num_frames: 4
    num_workers: 0
    splits_dir: LISTS
    train:
      class_path: datamodules.Kinetics400DataModule
      init_args: {root: k400, horizontal_flip: false}
    tests:
      hmdb51:
        class_path: datamodules.HMDB51DataModule
        init_args: {root: hmdb51, test_splits: [1, 2, 3]}
      kinetics600:
        class_path: datamodules.Kinetics600DataModule
        init_args: {root: k600, setting: zero_shot, test_splits: [1, 2, 3], splits_dir: OTHER}
      own:
        class_path: datamodules.CSVDataModule
        init_args: {root: own, labels: names.csv, test_list: test.txt}
"""


@pytest.fixture
def parse(tmp_path):
    """Builds the suite of the configuration with some options changed."""

    def parse(*argv):
        (tmp_path / "config.yaml").write_text(CONFIG)
        parser = ArgumentParser(exit_on_error=False)
        parser.add_argument("--config", action="config")
        parser.add_subclass_arguments(LightningDataModule, "data")
        config = parser.parse_args(["--config", str(tmp_path / "config.yaml"), *argv])
        return getattr(parser, "instantiate", parser.instantiate_classes)(config).data

    return parse


def test_from_yaml_with_the_root_of_one_test_changed(parse):
    data = parse("--data.tests.hmdb51.root", "X", "--data.image_size", "96")
    assert [type(child).__name__ for child in data.tests.values()] == [
        "HMDB51DataModule",
        "Kinetics600DataModule",
        "CSVDataModule",
    ]
    members = (data.train, *data.tests.values())
    assert {(child.options.num_frames, child.options.image_size) for child in members} == {(4, 96)}
    assert str(data.tests["hmdb51"].request.root) == "X" and data.tests["hmdb51"].request.test_splits == (1, 2, 3)
    assert [str(child.request.splits_dir) for child in members] == ["LISTS", "LISTS", "OTHER", "LISTS"]


def test_every_option_is_a_described_key_with_the_same_default():
    for kind in (EvaluationSuite, VideoDataModule, FolderDataModule):
        parser = ArgumentParser(exit_on_error=False)
        keys = parser.add_class_arguments(kind)
        described = " ".join(parser.format_help().split())
        for field in fields(ClipOptions):
            assert field.name in keys and parser.get_default(field.name) == field.default
            assert f"--{field.name} " in described
        for description in ("Frames of an evaluation view:", "Temporal views per test video."):
            assert described.count(description) == 1


def test_raises_on_contradictions_and_repeated_names(synthetic_root):
    hmdb = HMDB51DataModule(str(synthetic_root), num_frames=32)
    sentence = r"^hmdb51 has num_frames 32, but the suite 16; set it once, with --data\.num_frames\.$"
    with pytest.raises(DataError, match=sentence):
        EvaluationSuite({"hmdb51": hmdb}).setup("test")
    with pytest.raises(DataError, match=sentence):
        EvaluationSuite({"hmdb51": hmdb}).requests  # what `tcclip check` reads
    assert EvaluationSuite({"hmdb51": hmdb}, num_frames=32).tests["hmdb51"].options.num_frames == 32
    twice = EvaluationSuite({name: HMDB51DataModule(str(synthetic_root)) for name in "ab"})
    with pytest.raises(DataError, match="has hmdb51/split1, hmdb51/split1"):
        twice.setup("test")
    with pytest.raises(DataError, match="has none"):
        EvaluationSuite({}).setup("test")


@pytest.mark.parametrize(
    ("argv", "sentence"),
    [
        (("--data.tests.hmdb51.seed", "5"), "hmdb51 has seed 5, but the suite 1024; set it once, with --data.seed."),
        (("--data.batch_size", "0"), "--data.batch_size is 0; it must be at least 1."),
    ],
)
def test_wrong_options_from_yaml_are_one_sentence(parse, argv, sentence):
    data = parse(*argv)  # an error here would be buried in jsonargparse's own
    with pytest.raises(DataError) as error:
        data.setup("test")
    assert str(error.value) == sentence


def test_members_are_copies(synthetic_root):
    hmdb = HMDB51DataModule(str(synthetic_root))
    data = EvaluationSuite({"hmdb51": hmdb}, hmdb, splits_dir="lists", **SMALL)
    assert data.train is not hmdb and data.tests["hmdb51"] is not hmdb and data.train is not data.tests["hmdb51"]
    assert hmdb.options == ClipOptions() and hmdb.request.splits_dir is None
    assert [(str(r.splits_dir), r.is_test_only) for r in data.requests] == [("lists", False), ("lists", True)]


def test_augmentation_of_the_suite_is_that_of_its_training(synthetic_root):
    plain, other = Augmentation(mix_probability=0.0), Augmentation(mix_probability=0.5)
    assert suite(synthetic_root).train.augmentation == Augmentation()
    assert suite(synthetic_root, augmentation=plain).train.augmentation == plain
    tests = {"hmdb51": HMDB51DataModule(str(synthetic_root), test_splits=[1])}
    twice = EvaluationSuite(
        tests, FolderDataModule(f"{synthetic_root}/videos", augmentation=other), augmentation=plain, **SMALL
    )
    with pytest.raises(DataError, match=r"different augmentations; set one, with --data\.augmentation"):
        twice.setup("fit")
