"""A data module from files to batches, with and without workers and a Trainer."""

import shutil
from pathlib import Path

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from datamodules import DataError, HMDB51DataModule
from datamodules.options import ClipOptions
from datamodules.synthetic.actions import DEMO

CLASSES = sorted(action.name for action in DEMO)

SMALL = dict(num_frames=4, image_size=32, batch_size=4, num_workers=0)


def module(root, **settings):
    data = HMDB51DataModule(str(root), **{**SMALL, **settings})
    data.setup()
    return data


def drain(loader):
    batches = list(loader)
    return (
        torch.cat([batch.label for batch in batches]),
        [name for batch in batches for name in batch.video_id],
        batches,
    )


def test_loaders(synthetic_root):
    data = module(synthetic_root, num_temporal_views=3, num_spatial_views=3)
    assert data.class_names == CLASSES and data.num_classes == 10
    assert [(t.dataset, t.part, t.class_names) for t in data.test_sets] == [("hmdb51", "split1", CLASSES)]
    label, names, batches = drain(data.train_dataloader())
    assert sorted(label.tolist()) == sorted(list(range(10)) * 4) and len(set(names)) == 40
    assert batches[0].video.shape == (4, 1, 4, 3, 32, 32) and batches[0].video.dtype == torch.uint8
    label, names, batches = drain(data.test_dataloader())
    assert sorted(label.tolist()) == sorted(list(range(10)) * 2) and batches[0].video.shape == (4, 9, 4, 3, 32, 32)
    assert all(
        data.class_names[i].replace(" ", "_") == name.split("/")[1] for i, name in zip(label, names, strict=True)
    )
    assert next(iter(data.val_dataloader())).video.shape == (4, 1, 4, 3, 32, 32)
    assert len(data.predict_dataloader()) == len(data.test_dataloader())


def test_validation_uses_center_frames_even_if_the_test_draws_random_ones(synthetic_root):
    fixed, drawn = (module(synthetic_root, frame_sampling=kind) for kind in ("center", "random"))
    videos = {
        (kind, part): next(iter(getattr(data, f"{part}_dataloader")())).video
        for kind, data in (("center", fixed), ("random", drawn))
        for part in ("val", "test")
    }
    assert torch.equal(videos["center", "val"], videos["random", "val"])
    assert not torch.equal(videos["center", "test"], videos["random", "test"])


def test_options_are_keyword_arguments_of_every_data_module(synthetic_root):
    data = HMDB51DataModule(str(synthetic_root), num_frames=4, batch_size=2, global_batch_size=8, seed=3)
    assert data.options == ClipOptions(num_frames=4, batch_size=2, global_batch_size=8, seed=3)
    assert (data.batch_size, data.global_batch_size, data.request.seed) == (2, 8, 3)
    with pytest.raises(TypeError, match="num_frame"):
        HMDB51DataModule(str(synthetic_root), num_frame=4)


def test_with_options_leaves_the_original_alone(synthetic_root):
    data = module(synthetic_root, num_shots=2)
    changed = data.with_options(ClipOptions(num_frames=2, seed=7), Path("lists"))
    assert (changed.options.num_frames, changed.request.seed, changed.request.splits_dir) == (2, 7, Path("lists"))
    assert (changed.request.root, changed.request.num_shots) == (data.request.root, 2)
    assert not changed.datasets and not changed.test_sets
    assert data.options.num_frames == 4 and data.request.splits_dir is None and len(data.datasets["train"]) == 20
    unlisted = data.with_options(ClipOptions(**SMALL, seed=7))
    unlisted.setup()
    first, second = (d.datasets["train"].records for d in (data, unlisted))
    assert len(second) == 20 and first != second  # another seed, another draw
    listed = data.with_options(ClipOptions(), Path("a"))
    assert listed.with_options(ClipOptions(), Path("b")).request.splits_dir == Path("a")


class Probe(LightningModule):
    """Writes down what the Trainer hands over."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.seen = {"train": [], "val": [], "test": []}

    def _see(self, stage, batch):
        self.seen[stage].append(batch)

    def training_step(self, batch, batch_idx):
        self._see("train", batch)
        return self.weight * batch.video.mean() if len(batch.label) else None

    def validation_step(self, batch, batch_idx):
        self._see("val", batch)

    def test_step(self, batch, batch_idx):
        self._see("test", batch)

    def predict_step(self, batch, batch_idx):
        return batch.video_id

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def run(data, epochs=1):
    quiet = dict(logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False)
    probe, trainer = Probe(), Trainer(max_epochs=epochs, accelerator="cpu", use_distributed_sampler=False, **quiet)
    trainer.fit(probe, datamodule=data)
    trainer.test(probe, datamodule=data, verbose=False)
    return probe.seen, trainer.predict(probe, datamodule=data)


@pytest.mark.filterwarnings("ignore")
def test_under_a_trainer(synthetic_root):
    seen, predicted = run(HMDB51DataModule(str(synthetic_root), num_shots=2, **SMALL), epochs=2)
    assert all(batch.video.dtype == torch.float32 for stage in seen.values() for batch in stage)
    assert seen["train"][0].label.shape == (4, 10) and seen["val"][0].label.shape == (4,)
    first, second = ([b.video_id for b in seen["train"][half : half + 4]] for half in (0, 4))
    assert len(seen["train"]) == 10 and first != second  # a new order in the second epoch
    assert seen["test"][0].video.shape[1] == 2 and sum(map(len, predicted)) == 20


@pytest.fixture
def broken_root(synthetic_root, tmp_path):
    root = tmp_path / "broken"
    shutil.copytree(synthetic_root, root)
    for name in ("a_star_moving_left_1000000.mp4", "a_star_moving_left_3.mp4"):  # a test and a training clip
        (root / "videos" / "a_star_moving_left" / name).write_bytes(b"\0 no video")
    return root


@pytest.mark.parametrize("workers", [0, 1])
def test_bad_clip_raises_one_sentence(broken_root, workers):
    with pytest.raises(DataError) as error:
        drain(module(broken_root, num_workers=workers).train_dataloader())
    assert "a_star_moving_left_3.mp4 cannot be decoded" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore")
def test_bad_clips_are_skipped_and_reported(broken_root):
    data = HMDB51DataModule(str(broken_root), **{**SMALL, "batch_size": 1}, on_bad_video="skip")
    seen, _ = run(data)
    for stage, clip in {"train": "3", "val": "1000000", "test": "1000000"}.items():
        reports = [report for batch in seen[stage] for report in batch.skipped]
        assert reports and all(f"a_star_moving_left_{clip}.mp4: " in report for report in reports)
    assert sum(len(batch.label) for batch in seen["train"]) == 39
    assert sum(int((batch.label >= 0).sum()) for batch in seen["test"]) == 19


def test_text_files_are_found_before_the_first_epoch(broken_root):
    (broken_root / "videos" / "a_star_moving_left" / "a_star_moving_left_3.mp4").write_text("text")
    with pytest.raises(DataError, match=r"1 of the 40 clips cannot be videos.*a text file.*left_3\.mp4"):
        module(broken_root)
    module(broken_root, on_bad_video="skip")


def test_raises_on_wrong_options_before_any_video_is_opened(synthetic_root, tmp_path):
    (tmp_path / "a.avi").touch()
    for settings, sentence in {
        (("num_shots", 5),): "4 training clips, fewer than the 5 shots",
        (("split", 4),): r"no files <class>_test_split4\.txt",
        (("split", 0),): "split is 0",
        (("batch_size", 0),): "batch_size is 0",
        (("num_shots", 0),): "num_shots is 0",
        (("decoder", "opencv"),): "'opencv'; choose one of auto, pyav, decord, torchcodec",
        (("num_spatial_views", 2),): "choose one of 1, 3",
        (("frame_sampling", "uniform"),): "choose one of center, random",
        (("on_bad_video", "ignore"),): "choose one of raise, skip",
        (("root", str(tmp_path)),): "put HMDB-51's split files there",
        (("root", str(tmp_path / "gone")),): "does not exist",
    }.items():
        with pytest.raises(DataError, match=sentence):
            module(**{"root": synthetic_root, **dict(settings)})


def test_summary_records_what_was_read(synthetic_root):
    summary = module(synthetic_root, num_shots=2).summary()
    assert summary["dataset"] == "hmdb51" and summary["num_shots"] == 2 and summary["num_classes"] == 10
    assert summary["splits"]["train"]["num_clips"] == 20 and len(summary["splits"]["hmdb51/split1"]["sha256"]) == 64
