"""Shards give a data module what the same videos give as files: the same clips, frames and order, also from a URL."""

import re
import shutil

import fsspec
import pytest
import torch

from datamodules import DataError, FolderDataModule, HMDB51DataModule
from datamodules.loading import Process, build_evaluation_loader, build_training_loader

SMALL = dict(num_frames=4, image_size=32, batch_size=4, num_workers=0)


def module(root, kind=HMDB51DataModule, **settings):
    data = kind(str(root), **{**SMALL, **settings})
    data.setup()
    return data


def epoch(data, number, rank=0, world_size=1):
    """The training batches of a process in an epoch."""
    loader = build_training_loader(data.datasets["train"], data.options, Process(rank, world_size))
    loader.sampler.set_epoch(number)
    return list(loader)


def names(batches):
    return [name for batch in batches for name in batch.video_id]


def assert_equal(batches, expected):
    assert names(batches) == names(expected) and len(batches) == len(expected)
    for batch, other in zip(batches, expected, strict=True):
        for field in ("video", "label", "seed"):
            assert torch.equal(getattr(batch, field), getattr(other, field))


@pytest.fixture(scope="module")
def files(copies):
    return module(copies / "tree")


@pytest.fixture(scope="module")
def shards(copies):
    assert len(list((copies / "shards").glob("shard-*.tar"))) > 2
    return module(copies / "shards")


@pytest.fixture
def url(copies):
    """The shards in a bucket, as it were."""
    store = fsspec.filesystem("memory")
    store.put(f"{copies}/shards", "/bucket/hmdb_shards", recursive=True)
    yield "memory://bucket/hmdb_shards"
    store.rm("/bucket", recursive=True)


def test_every_clip_once_in_the_same_order_in_each_epoch(files, shards):
    assert "#bytes=" in shards.datasets["train"].records[0].path
    # Any epoch begins alike, whether after others or in a resumed run: the order follows from its number.
    for number in (0, 1, 7):
        batches = epoch(shards, number)
        assert_equal(batches, epoch(files, number))
        assert len(set(names(batches))) == len(names(batches)) == 40
    assert names(epoch(shards, 0)) != names(epoch(shards, 1))
    assert_equal(list(shards.test_dataloader()), list(files.test_dataloader()))


def test_processes_share_the_clips(shards):
    own = [names(epoch(shards, 1, rank, 2)) for rank in range(2)]
    assert sorted(own[0] + own[1]) == sorted(names(epoch(shards, 1))) and not {*own[0]} & {*own[1]}
    loaders = [build_evaluation_loader(shards.test_datasets[0], shards.options, Process(rank, 2)) for rank in range(2)]
    counted = [name for loader in loaders for batch in loader for name in batch.video_id]
    assert sorted(counted) == sorted(names(shards.test_dataloader()))


def test_a_url_reads_like_a_folder(url, shards):
    remote = module(url)
    assert_equal(epoch(remote, 0), epoch(shards, 0))
    assert remote.datasets["train"].records[0].path.startswith("memory://bucket/hmdb_shards/shard-")
    assert remote.summary() == shards.summary()
    assert_equal(epoch(module(url + "/"), 0), epoch(shards, 0))


def test_workers_read_from_a_server(serve, copies, shards):
    remote = module(serve(copies / "shards"), num_workers=2)
    for number in range(2):
        assert_equal(epoch(remote, number), epoch(shards, number))


@pytest.mark.parametrize("decoder", ["pyav", "decord"])
def test_decoders(files, shards, copies, decoder):
    settings = {"decoder": decoder}
    assert_equal(
        list(module(copies / "shards", **settings).val_dataloader()),
        list(module(copies / "tree", **settings).val_dataloader()),
    )


def test_class_folders_in_shards(synthetic_root, copy, tmp_path):
    copy(synthetic_root / "videos", tmp_path / "shards", shard_bytes=10**6)
    data, files = module(tmp_path / "shards", FolderDataModule), module(synthetic_root / "videos", FolderDataModule)
    assert data.class_names == files.class_names
    assert names(epoch(data, 0)) == names(epoch(files, 0))
    unlabeled = FolderDataModule(str(tmp_path / "shards"), classes="a, b", **SMALL)
    unlabeled.setup("predict")
    assert len(names(unlabeled.predict_dataloader())) == 60


@pytest.fixture
def broken(copies, tmp_path):
    """A copy of the shards to break, and its first shard."""
    shutil.copytree(copies / "shards", tmp_path / "shards")
    return tmp_path / "shards", tmp_path / "shards" / "shard-000000.tar"


def test_a_changed_byte_is_an_error_that_names_the_shard(broken):
    root, shard = broken
    content = bytearray(shard.read_bytes())
    for position in range(0, len(content), 512):
        content[position + 100] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DataError, match=r"shard-000000\.tar#bytes=\d+-\d+,crc32=\w+ has changed or is damaged; fetch"):
        epoch(module(root), 0)


def test_clips_of_a_damaged_shard_are_skipped_on_request(broken, shards):
    root, shard = broken
    paths = [record.path for record in module(root).datasets["train"].records]
    first, last = map(int, re.search(rf"{shard.name}#bytes=(\d+)-(\d+)", " ".join(paths)).groups())
    content = bytearray(shard.read_bytes())
    content[(first + last) // 2] ^= 1
    shard.write_bytes(content)
    batches = epoch(module(root, on_bad_video="skip"), 0)
    (skipped,) = [line for batch in batches for line in batch.skipped]
    assert "has changed or is damaged" in skipped and skipped.startswith("videos/")
    assert sorted([*names(batches), skipped.partition(": ")[0]]) == sorted(names(epoch(shards, 0)))


@pytest.mark.parametrize("damage", ["missing", "short"])
def test_a_missing_or_short_shard_is_found_before_the_training(broken, damage, shards):
    root, shard = broken
    if damage == "missing":
        shard.unlink()
    else:
        with shard.open("r+b") as file:
            file.truncate(600)
    with pytest.raises(DataError, match=r"of the 40 clips cannot be videos \(the first is unreadable \(.*shard-000000"):
        module(root)
    batches = epoch(module(root, on_bad_video="skip"), 0)
    skipped = [line.partition(": ")[0] for batch in batches for line in batch.skipped]
    assert skipped and sorted([*names(batches), *skipped]) == sorted(names(epoch(shards, 0)))


def test_raises_on_an_unfinished_copy(broken):
    root, _ = broken
    manifest = root / "shards.jsonl"
    manifest.write_text(manifest.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(DataError, match=r"^The shards in .* are not complete; run the `tcclip transcode`"):
        module(root)


def test_raises_on_a_url_of_something_else(url):
    with pytest.raises(DataError, match=r"hmdb_shards2/shards\.jsonl cannot be read .* needs the shards\.jsonl that"):
        module(url + "2")


def test_annotations_of_a_url_are_those_of_the_url(url):
    data = HMDB51DataModule(url, split=4, **SMALL)
    with pytest.raises(DataError, match=r"There are no files .* under memory://bucket/hmdb_shards; put"):
        data.setup()


def test_the_cache_keeps_clips_of_shards(copies, url, shards, tmp_path):
    for root in (copies / "shards", url):
        data = module(root, cache=str(tmp_path / "frames"))
        for number in (0, 1, 0):
            assert_equal(epoch(data, number), epoch(shards, number))
    assert list((tmp_path / "frames").rglob("*.safetensors"))
