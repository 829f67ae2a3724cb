"""Datasets and loaders follow the clip options and the number of processes."""

import itertools
import multiprocessing
from dataclasses import replace

import pytest
import torch

from datamodules.errors import DataError
from datamodules.loading import (
    Process,
    build_evaluation_loader,
    build_test_dataset,
    build_training_dataset,
    build_training_loader,
    build_validation_dataset,
    find_clips,
)
from datamodules.options import ClipOptions
from datamodules.splits.split import Entry, Split, VideoRecord
from datamodules.video.loaders import default_workers

OPTIONS = ClipOptions(
    num_frames=2, image_size=32, batch_size=2, num_workers=0, num_temporal_views=2, num_spatial_views=3
)


@pytest.fixture
def records(videos, tmp_path):
    videos.write(tmp_path / "a.mp4", 8)
    return [VideoRecord(str(tmp_path / "a.mp4"), f"{n}.mp4", n) for n in range(5)]


@pytest.mark.parametrize(
    ("build", "num_views"), [(build_training_dataset, 1), (build_validation_dataset, 1), (build_test_dataset, 6)]
)
def test_number_of_views(records, build, num_views):
    assert build(records, OPTIONS)[0].video.shape == (num_views, 2, 3, 32, 32)


@pytest.mark.parametrize("num_spatial_views", [1, 3])
@pytest.mark.parametrize("build", [build_training_dataset, build_validation_dataset, build_test_dataset])
def test_the_decoder_shrinks_to_the_size_of_the_transform_unless_told_otherwise(records, build, num_spatial_views):
    options = replace(OPTIONS, num_spatial_views=num_spatial_views)
    seen = {}
    for exact in (False, True):
        dataset = build(records, replace(options, exact_decoding=exact))
        resize, *crops = dataset.transform.transforms
        dataset.transform = lambda frames, resize=resize, exact=exact: seen.setdefault(exact, (frames, resize(frames)))[
            1
        ]
        dataset[0]
    (shrunk, resized), (full, expected) = seen[False], seen[True]
    assert full.shape[-2:] == (64, 128) and shrunk.shape == expected.shape and crops
    assert torch.equal(shrunk, resized)


def test_clips_come_from_the_cache(records, tmp_path, monkeypatch):
    options = replace(OPTIONS, cache=str(tmp_path / "cache"), num_spatial_views=1)
    for build, exact in itertools.product((build_training_dataset, build_test_dataset), (False, True)):
        settings = replace(options, exact_decoding=exact)
        decoded = build(records, settings)[0].video
        with monkeypatch.context() as patch:
            patch.setattr("datamodules.video.dataset.decode_frames", None)
            assert torch.equal(build(records, settings)[0].video, decoded)
    assert len([*(tmp_path / "cache").rglob("*.safetensors")]) == 2  # exact and not, each for training and test


def test_cache_that_cannot_be_used_is_said_before_the_run(records, tmp_path):
    with pytest.raises(DataError, match=r"a\.mp4 is not a folder"):
        build_training_dataset(records, replace(OPTIONS, cache=str(tmp_path / "a.mp4")))
    with pytest.raises(DataError, match=r"--data\.cache_gb is 0; it must be at least 1\."):
        replace(OPTIONS, cache_gb=0).check()


def test_processes_share_the_clips(records):
    dataset = build_validation_dataset(records, OPTIONS)
    batches = [
        batch for rank in range(2) for batch in build_evaluation_loader(dataset, OPTIONS, Process(rank, world_size=2))
    ]
    counted = [name for batch in batches for name, y in zip(batch.video_id, batch.label, strict=True) if y >= 0]
    assert sorted(counted) == [f"{n}.mp4" for n in range(5)]  # each once, whatever the padding
    keep = replace(OPTIONS, remainder="keep")
    loaders = [build_training_loader(dataset, keep, Process(rank, world_size=2)) for rank in range(2)]
    trained = [name for loader in loaders for batch in loader for name in batch.video_id]
    assert len(trained) == len(set(trained)) == 5


def test_default_workers_share_the_cores(records, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 12)
    options = ClipOptions(num_frames=2)
    dataset = build_validation_dataset(records, options)
    assert build_evaluation_loader(dataset, options, Process(num_local=4)).num_workers == 3
    assert build_evaluation_loader(dataset, OPTIONS, Process(num_local=4)).num_workers == 0


def test_missing_and_unreadable_clips_are_refused_or_skipped(tmp_path):
    (tmp_path / "a.avi").write_bytes(b"RIFF\0")
    (tmp_path / "page.avi").write_text("<html>not found</html>")
    files = (tmp_path / "list.txt",)
    split = Split([Entry(name, 0) for name in ("a.avi", "page.avi", "gone.avi")], files)
    with pytest.raises(DataError, match="1 of the 3 clips"):
        find_clips(split, tmp_path, ["run"], OPTIONS)
    with pytest.raises(DataError, match="a text file"):
        find_clips(Split(split.entries[:2], files), tmp_path, ["run"], OPTIONS)
    with pytest.warns(UserWarning, match=r"gone\.avi"):
        records, missing = find_clips(split, tmp_path, ["run"], replace(OPTIONS, on_bad_video="skip"))
    assert [record.video_id for record in records] == ["a.avi", "page.avi"] and missing == [
        "gone.avi"
    ]  # the dataset reports the second


def test_workers_end_with_the_last_batch_unless_the_loader_is_read_again(records):
    dataset, options = build_validation_dataset(records, OPTIONS), replace(OPTIONS, num_workers=1)

    def count_workers(**settings):
        loader = build_evaluation_loader(dataset, options, Process(), **settings)
        before = len(multiprocessing.active_children())
        assert len([*loader]) == 3
        return len(multiprocessing.active_children()) - before

    assert count_workers() == 0
    kept = build_evaluation_loader(dataset, options, Process(), keep_workers=True)
    assert kept.persistent_workers and build_training_loader(dataset, options, Process()).persistent_workers


@pytest.mark.parametrize(("cores", "processes", "workers"), [(64, 1, 8), (64, 16, 4), (2, 4, 0), (None, 1, 1)])
def test_default_workers(cores, processes, workers, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert default_workers(processes) == workers
