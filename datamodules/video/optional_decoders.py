"""Decoders of libraries that need not be installed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torchvision.transforms.v2 import functional as F

from datamodules.errors import DataError, describe
from datamodules.video.clip_files import open_clip
from datamodules.video.pictures import ChooseFrames, shrunk_size


def decode_with_decord(path: Path | str, choose: ChooseFrames, short_side: int | None = None) -> np.ndarray:
    """Decode frames with decord."""
    try:
        import decord
    except ImportError as error:
        raise DataError("decord is not installed; use --data.decoder pyav.") from error
    try:
        reader = decord.VideoReader(open_clip(path), num_threads=1)
        wanted = choose(len(reader))
        frames = reader.get_batch(wanted.ravel().tolist()).asnumpy()
    # decord raises its own error for broken files, but RuntimeError for files without frames.
    except (decord.DECORDError, RuntimeError) as error:
        raise DataError(f"decord cannot decode {path} ({describe(error)}); try --data.decoder pyav.") from error
    frames = _shrink(frames, short_side)
    return frames.reshape(*wanted.shape, *frames.shape[1:])


def decode_with_torchcodec(path: Path | str, choose: ChooseFrames, short_side: int | None = None) -> np.ndarray:
    """Decode frames with torchcodec, which finds FFmpeg's shared libraries on the machine."""
    try:
        from torchcodec.decoders import VideoDecoder

        decoder = VideoDecoder(open_clip(path), dimension_order="NHWC", num_ffmpeg_threads=1, seek_mode="exact")
        wanted = choose(len(decoder))
        frames = decoder.get_frames_at(wanted.ravel().tolist()).data.numpy()
    except ImportError as error:
        raise DataError("torchcodec is not installed; install it, or use --data.decoder pyav.") from error
    except RuntimeError as error:
        # It looks for FFmpeg at the first use or import, and lists the failure with each version that it knows.
        if "libtorchcodec" in describe(error):
            raise DataError(
                "torchcodec does not find FFmpeg's shared libraries, or not those of a version that it knows; "
                "install FFmpeg, or use --data.decoder pyav."
            ) from error
        raise DataError(f"torchcodec cannot decode {path} ({describe(error)}); try --data.decoder pyav.") from error
    frames = _shrink(frames, short_side)
    return frames.reshape(*wanted.shape, *frames.shape[1:])


def _shrink(frames: np.ndarray, short_side: int | None) -> np.ndarray:
    """Resize (N, H, W, 3) frames to a short side, if they are larger."""
    height, width = frames.shape[1:3]
    size = shrunk_size(width, height, short_side)
    if size == (width, height):
        return frames
    small = F.resize(torch.from_numpy(frames).movedim(-1, 1), [size[1], size[0]], antialias=True)
    return small.movedim(1, -1).numpy()
