"""A map-style dataset: record -> frames -> crops, as uint8 on the CPU.

uint8 takes a quarter of the memory of float32 on the way from the workers to the device, where clips become float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.errors import DataError
from datamodules.splits.split import VideoRecord
from datamodules.transforms.seeding import seeded
from datamodules.video.batch import PADDING_LABEL, Clip
from datamodules.video.decoding import decode_frames
from datamodules.video.frame_cache import FrameCache
from datamodules.video.pictures import ChooseFrames
from datamodules.video.samplers import SampleKey, clip_seed
from datamodules.video.stages import stage
from datamodules.video.window_sampling import WindowSampler

# (number of frames in the video, the clip's random generator) -> (V, T) frame indices
SampleFrames = Callable[[int, np.random.Generator], np.ndarray]
# (V, T, 3, H, W) uint8 of any size -> (V, T, 3, H', W') uint8, with spatial crops as further views
Transform = Callable[[Tensor], Tensor]


class VideoDataset(Dataset[Clip]):
    """Reads the clips of a list of records, each reproducible from (seed, epoch, index) alone.

    Args:
        records: The clips.
        sample_frames: Chooses the frames of each temporal view.
        transform: Resizes and crops them. It draws from torch's global generator, which is seeded for each clip.
        seed: Seed of the data.
        decoder: A name in `datamodules.video.decoding.DECODERS`.
        on_bad_video: `raise`, or `skip`: an unreadable clip is returned as a black one with its `error` set.
        short_side: Short side to which the decoder shrinks larger frames; None leaves it to the transform.
        cache: Keeps the decoded frames; None decodes them every time.
    """

    def __init__(
        self,
        records: Sequence[VideoRecord],
        sample_frames: SampleFrames,
        transform: Transform,
        seed: int,
        decoder: str = "auto",
        on_bad_video: str = "raise",
        short_side: int | None = None,
        cache: FrameCache | None = None,
    ) -> None:
        self.records, self.cache = records, cache
        self.sample_frames, self.transform = sample_frames, transform
        self.seed, self.decoder, self.on_bad_video = seed, decoder, on_bad_video
        self.short_side = short_side

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, key: SampleKey | int) -> Clip:
        """Read one clip; a plain index means the first epoch.

        Raises:
            DataError: The clip cannot be decoded, and `on_bad_video` is `raise`.
        """
        key = SampleKey(0, key) if isinstance(key, int) else key
        record = self.records[key.index]
        seed = clip_seed(self.seed, key.epoch, key.index)
        try:
            video, message = self._read(record, seed), None
        except DataError as error:
            if self.on_bad_video == "raise":
                raise
            video, message = self._black_clip(seed), f"{record.video_id}: {error}"
        label = PADDING_LABEL if key.is_padding else record.label
        return Clip(video, label, record.video_id, seed, message)

    def _read(self, record: VideoRecord, seed: int) -> Tensor:
        sample_frames = self.sample_frames
        if isinstance(sample_frames, WindowSampler):
            sample_frames = partial(sample_frames, length=sample_frames.frames_of(record.path))

        def choose(num_available: int) -> np.ndarray:
            # A new generator for each call: the decoder may ask twice, and must get the same frames.
            return sample_frames(num_available, np.random.default_rng(seed))

        def decode(choose: ChooseFrames) -> Tensor:
            with stage("decode"):
                return torch.from_numpy(decode_frames(record.path, choose, self.decoder, self.short_side))

        if self.cache is None:
            frames = decode(choose)
        else:
            with stage("cache"):
                frames = self.cache.read(record.path, choose, decode)
        with stage("resize"), seeded(seed):
            video = self.transform(frames.movedim(-1, -3))  # (V, T, H, W, 3) -> (V, T, 3, H, W)
            # A crop alone is a view: of whole frames, which would stay in memory, or of what the cache will overwrite.
            is_view = video.untyped_storage().data_ptr() == frames.untyped_storage().data_ptr()
            return _copy(video) if is_view else video

    def _black_clip(self, seed: int) -> Tensor:
        """Return a black clip of the usual shape."""
        # Its shape follows from sampler and transform (which may add views), so it passes through both.
        views, frames = self.sample_frames(1, np.random.default_rng(seed)).shape
        return self.transform(torch.zeros(views, frames, 3, 32, 32, dtype=torch.uint8))


def _copy(video: Tensor) -> Tensor:
    """Copy pictures whose channels lie together in memory, and stay so."""
    return video.movedim(-3, -1).clone(memory_format=torch.contiguous_format).movedim(-1, -3)
