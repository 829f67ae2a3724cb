"""Frames through the cache are those of the decoder; what changed, is damaged or does not fit is decoded anew."""

import multiprocessing
import os
import time

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord
from datamodules.transforms.spatial import build_evaluation_crop, build_training_crop
from datamodules.video import frame_cache
from datamodules.video.dataset import VideoDataset
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_cache import BLOCK, FrameCache
from datamodules.video.frame_sampling import FrameSampler
from datamodules.video.frame_store import FrameStore
from datamodules.video.samplers import SampleKey

NUM_FRAMES, SIDE = 12, 8


class Decoder:
    """Decodes made-up frames, and counts."""

    def __init__(self, num_frames=NUM_FRAMES, offset=0):
        self.num_frames, self.offset, self.decoded = num_frames, offset, []

    def __call__(self, choose):
        numbers = choose(self.num_frames)
        self.decoded.append(numbers.size)
        return self.frames(numbers)

    def frames(self, numbers):
        values = torch.from_numpy(numbers).to(torch.uint8) + self.offset
        return values[..., None, None, None] + torch.arange(10 * SIDE * 3, dtype=torch.uint8).view(SIDE, 10, 3)


def wanting(*numbers):
    return lambda num_available: np.array(numbers)


@pytest.fixture
def store(tmp_path):
    store = FrameStore(tmp_path / "cache", 1)
    store.open()
    return store


@pytest.fixture
def clip(tmp_path, videos):
    return str(videos.write(tmp_path / "clip.mp4", NUM_FRAMES))


def cached_files(store):
    return [*store.folder.rglob("*.safetensors")]


def test_a_clip_is_decoded_once(store, clip):
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    for numbers in ([3, 1, 1], [0, 11], [[7, 2], [2, 9]]):
        frames = cache.read(clip, wanting(*numbers), decode)
        assert torch.equal(frames, decode.frames(np.array(numbers)))
    assert decode.decoded == [NUM_FRAMES] and len(cached_files(store)) == 1
    again = FrameCache(store, SIDE, "pyav", whole=False)  # another run, without training
    assert torch.equal(again.read(clip, wanting(5), decode), decode.frames(np.array([5])))
    assert decode.decoded == [NUM_FRAMES]


def test_a_test_clip_keeps_the_frames_of_its_views(store, clip):
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=False)
    for numbers in ([4, 2, 4], [2, 4], [9, 2], [9, 4, 2]):
        assert torch.equal(cache.read(clip, wanting(*numbers), decode), decode.frames(np.array(numbers)))
    assert decode.decoded == [2, 3]  # then the new frame with the two old ones


def test_other_settings_are_other_entries(store, clip):
    for side, decoding in ((SIDE, "pyav"), (SIDE, "decord"), (SIDE // 2, "pyav")):
        decode = Decoder()
        FrameCache(store, side, decoding, whole=True).read(clip, wanting(1), decode)
        assert len(decode.decoded) == 1
    assert len(cached_files(store)) == 3


@pytest.mark.parametrize("grows", [False, True])
def test_a_changed_file_is_decoded_anew_in_its_place(store, clip, grows):
    cache = FrameCache(store, SIDE, "pyav", whole=True)
    cache.read(clip, wanting(1), Decoder())
    modified = os.stat(clip).st_mtime_ns
    os.truncate(clip, os.path.getsize(clip) + grows)
    os.utime(clip, ns=(modified, modified if grows else modified + 1))
    other = Decoder(offset=50)
    for _ in range(2):
        assert torch.equal(cache.read(clip, wanting(1), other), other.frames(np.array([1])))
    assert len(other.decoded) == 1 and len(cached_files(store)) == 1


def flip_byte(file, position):
    content = bytearray(file.read_bytes())
    content[position] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no such format" * 50),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
        lambda file: file.write_bytes(file.read_bytes()[:-200] + bytes(200)),  # as a power failure leaves it
        lambda file: flip_byte(file, -1),
        lambda file: flip_byte(file, -10 * SIDE * 3),
    ],
)
def test_a_damaged_entry_is_never_returned(store, clip, damage):
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    cache.read(clip, wanting(0), decode)
    damage(cached_files(store)[0])
    for number in (11, 10):  # the second time it is whole again
        assert torch.equal(cache.read(clip, wanting(number), decode), decode.frames(np.array([number])))
    assert decode.decoded == [NUM_FRAMES] * 2


def test_an_entry_that_cannot_be_replaced_is_left_alone(store, clip):
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    cache.read(clip, wanting(0), decode)
    (file,) = cached_files(store)
    file.unlink()
    file.mkdir()
    with pytest.warns(UserWarning, match=r"cannot be written \(.+\); see to its disk\. The clips that it lacks are"):
        assert torch.equal(cache.read(clip, wanting(3), decode), decode.frames(np.array([3])))


def test_every_byte_of_an_entry_is_guarded(store, clip):
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    cache.read(clip, wanting(0), decode)
    (file,) = cached_files(store)
    last = lambda num_available: np.array([3, num_available - 1])  # noqa: E731
    for position in range(0, file.stat().st_size, 2):
        flip_byte(file, position)
        assert torch.equal(cache.read(clip, last, decode), decode.frames(np.array([3, NUM_FRAMES - 1])))


class LargeDecoder(Decoder):
    """Frames of two blocks and a rest, whose size is odd."""

    shape = (47, 61, 3)

    def frames(self, numbers):
        pictures = torch.randint(256, (NUM_FRAMES, *self.shape), generator=torch.Generator().manual_seed(0))
        return pictures.to(torch.uint8)[torch.from_numpy(numbers)]


def exchange(first, second, size):
    """Exchange two pieces of a file; positions are counted from its end."""

    def damage(file):
        content = bytearray(file.read_bytes())
        places = [slice(len(content) - place, len(content) - place + size) for place in (first, second)]
        content[places[0]], content[places[1]] = content[places[1]], content[places[0]]
        file.write_bytes(content)

    return damage


FRAME = 47 * 61 * 3


@pytest.mark.parametrize(
    "damage",
    [
        *(lambda file, place=place: flip_byte(file, -place) for place in range(1, FRAME + 1, 1000)),
        exchange(FRAME, FRAME - BLOCK, BLOCK),  # the blocks of the last frame
        exchange(2 * FRAME, FRAME, FRAME),  # the last two frames
        lambda file: file.write_bytes(file.read_bytes()[:-FRAME] + bytes(FRAME)),
    ],
)
def test_damage_in_large_frames_is_noticed(store, clip, damage):
    decode, cache = LargeDecoder(), FrameCache(store, 47, "pyav", whole=True)
    cache.read(clip, wanting(0), decode)
    for times in (1, 2):
        damage(cached_files(store)[0])
        assert torch.equal(cache.read(clip, wanting(4, 11), decode), decode.frames(np.array([4, 11])))
        assert decode.decoded == [NUM_FRAMES] * (1 + times)


def test_a_full_cache_is_said_once_and_decodes_only_what_is_asked_for(store, clip, tmp_path, videos, recwarn):
    store.limit = 3000  # one clip of 2880 bytes and its header do not fit
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    for numbers in ([1, 2], [3, 4], [5, 5]):
        assert torch.equal(cache.read(clip, wanting(*numbers), decode), decode.frames(np.array(numbers)))
    assert decode.decoded == [NUM_FRAMES, 2, 2]
    (warning,) = recwarn
    assert str(warning.message).endswith("The clips that it lacks are decoded every time.")
    assert "is full" in str(warning.message)


def test_a_clip_too_large_for_memory_is_not_decoded_whole(store, clip, monkeypatch, recwarn):
    monkeypatch.setattr(frame_cache, "MAX_WHOLE_BYTES", NUM_FRAMES * 64 * 128 * 3 - 1)  # one byte less than it takes
    decode, cache = Decoder(), FrameCache(store, SIDE, "pyav", whole=True)
    for numbers in ([1, 2], [3, 4]):
        assert torch.equal(cache.read(clip, wanting(*numbers), decode), decode.frames(np.array(numbers)))
    assert decode.decoded == [2, 2] and not cached_files(store)
    (warning,) = recwarn
    assert "clip.mp4 is not cached, but decoded every time: its 12 frames of 128 x 64 exceed" in str(warning.message)


def test_a_wrong_index_is_met_as_without_the_cache(store, clip):
    class Contradicting(Decoder):
        """Trusts an index of 12 frames until all of them are wanted: then there are 11."""

        def __call__(self, choose):
            wanted = choose(12)
            if len(np.unique(wanted)) == 12:
                choose(12)
                wanted = choose(11)
            self.decoded.append(wanted.size)
            return self.frames(wanted)

    decode, cache = Contradicting(), FrameCache(store, SIDE, "pyav", whole=True)
    last = lambda num_available: np.array([num_available - 1])  # noqa: E731
    with pytest.warns(UserWarning, match=r"clip\.mp4 is not cached, but .*: its index of frames is damaged\."):
        for _ in range(2):
            assert torch.equal(cache.read(clip, last, decode), decode.frames(np.array([11])))
    assert decode.decoded == [11, 1, 1] and not cached_files(store)


def test_a_wrong_number_of_packets_is_not_a_wrong_index(store, clip):
    def decode(choose):
        choose(13)
        return Decoder().frames(choose(NUM_FRAMES))

    last = lambda num_available: np.array([num_available - 1])  # noqa: E731
    cache = FrameCache(store, SIDE, "pyav", whole=True)
    for _ in range(2):
        assert torch.equal(cache.read(clip, last, decode), Decoder().frames(np.array([11])))
    assert len(cached_files(store)) == 1


def test_an_unreadable_clip_is_an_error_of_the_decoder(store, tmp_path):
    def decode(choose):
        raise DataError("cannot be decoded")

    (tmp_path / "text.mp4").write_text("text")
    cache = FrameCache(store, SIDE, "pyav", whole=True)
    for name in ("gone.mp4", "text.mp4"):
        with pytest.raises(DataError, match="cannot be decoded"):
            cache.read(str(tmp_path / name), wanting(0), decode)


@pytest.fixture
def records(tmp_path, videos):
    """Larger, smaller and portrait-sized videos, in three containers."""
    sizes = {"large.mp4": (128, 64), "small.mkv": (64, 32), "tall.avi": (64, 128)}
    for name, (width, height) in sizes.items():
        videos.write(tmp_path / name, 30, size=(width, height), codec="mpeg4" if name == "tall.avi" else "libx264")
    return [VideoRecord(str(tmp_path / name), name, label) for label, name in enumerate(sizes)]


def datasets(records, store, crop, frames, whole):
    cache = FrameCache(store, 46, "pyav", whole)
    return [VideoDataset(records, frames, crop, 1), VideoDataset(records, frames, crop, 1, cache=cache)]


@pytest.mark.parametrize(
    ("crop", "frames", "whole"),
    [
        (build_training_crop(40), FrameSampler("random", 5), True),
        (build_evaluation_crop(40, 1), FrameSampler("center", 5, 2), False),
        (v2.Resize(46, antialias=True), FrameSampler("random", 40, 2), True),
    ],
)
def test_clips_equal_the_uncached_ones(records, store, crop, frames, whole):
    plain, cached = datasets(records, store, crop, frames, whole)
    for epoch in range(3):
        keys = [SampleKey(epoch, index) for index in range(len(records))]
        clips = [cached[key] for key in keys]  # all of them before they are compared: they share no memory
        assert all(torch.equal(plain[key].video, clip.video) for key, clip in zip(keys, clips, strict=True))


def test_workers_share_the_cache(records, store, monkeypatch):
    plain, cached = datasets(records, store, build_training_crop(40), FrameSampler("random", 5), True)
    settings = {"batch_size": None, "sampler": [SampleKey(0, index) for index in range(3)], "num_workers": 2}
    first, second = ([clip.video for clip in DataLoader(cached, **settings)] for _ in range(2))
    monkeypatch.setattr("datamodules.video.dataset.decode_frames", None)  # no worker decodes any more
    third = [clip.video for clip in DataLoader(cached, **settings)]
    monkeypatch.undo()
    for clips in zip((plain[index].video for index in range(3)), first, second, third, strict=True):
        assert all(torch.equal(clips[0], clip) for clip in clips)


def test_readers_killed_at_any_moment_leave_nothing_wrong(store, tmp_path):
    paths = [tmp_path / f"{number}.mp4" for number in range(6)]
    for path in paths:
        path.write_bytes(b"clip")

    def read(cache, first):
        for number in range(first, 10**9):
            offset = number % 6
            numbers = np.random.default_rng(number).integers(12, size=3)
            decode = Decoder(offset=offset)
            got = cache.read(str(paths[offset]), lambda num_available, wanted=numbers: wanted, decode)
            assert torch.equal(got, decode.frames(numbers))

    fork = multiprocessing.get_context("fork")
    for attempt in range(8):
        for file in cached_files(store)[::2]:
            flip_byte(file, -1)  # so that there is something to write
        cache = FrameCache(store, SIDE, "pyav", whole=False)
        children = [fork.Process(target=read, args=(cache, first)) for first in (0, 2, 4)]
        for child in children:
            child.start()
        time.sleep(0.02 + 0.01 * attempt)
        for child in children:
            child.kill()
            child.join()
        assert [child.exitcode for child in children] == [-9] * 3  # and not of a failed assertion


def test_decoded_frames_are_what_decode_frames_returns(store, clip):
    cache = FrameCache(store, 64, "pyav", whole=True)
    choose = FrameSampler("center", 4, 2)
    wanted = lambda num_available: choose(num_available, np.random.default_rng(0))  # noqa: E731
    for _ in range(2):
        frames = cache.read(clip, wanted, lambda more: torch.from_numpy(decode_frames(clip, more)))
        assert np.array_equal(frames.numpy(), decode_frames(clip, wanted))
