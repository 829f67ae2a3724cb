"""Turns decoded frames into RGB pictures, upright and, where asked for, already shrunk to a short side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

# Number of frames in the video -> indices to decode, of any shape.
ChooseFrames = Callable[[int], np.ndarray]


def stack_rgb(found: Mapping[int, VideoFrame], wanted: np.ndarray, short_side: int | None = None) -> np.ndarray:
    """Convert frames to upright RGB in the order of `wanted`, all in the size of the first (it may change midway).

    Args:
        found: Frames by their number.
        wanted: Numbers of frames, in an array of any shape.
        short_side: See `decode_frames`.

    Returns:
        (*shape of wanted, H, W, 3) uint8.
    """
    numbers = wanted.ravel().tolist()
    first = found[numbers[0]]
    size = shrunk_size(first.width, first.height, short_side)
    scale, convert = VideoReformatter(), VideoReformatter()
    images = {}
    for number, frame in found.items():  # once for each frame, however often it is wanted
        # Scaled in their own format and converted afterwards: FFmpeg converts without scaling by faster code than
        # while scaling, and by the very code that converts the full size, so that only the scaling can differ.
        # One thread, since the workers already run in parallel.
        own = _scalable_format(frame.format)
        small = scale.reformat(frame, *size, own, interpolation=Interpolation.BILINEAR, threads=1)
        image = convert.reformat(small, *size, "rgb24", threads=1).to_ndarray()
        # Phones store portrait videos on their side, with a display matrix. FFmpeg leaves turning them to its caller.
        images[number] = np.rot90(image, round(frame.rotation / 90))
    stacked = np.stack([images[number] for number in numbers])
    return stacked.reshape(*wanted.shape, *stacked.shape[1:])


def shrunk_size(width: int, height: int, short_side: int | None) -> tuple[int, int]:
    """Return the width and height that torchvision's `Resize(short_side)` gives, and never a larger one.

    Args:
        width: Width of a picture.
        height: Its height.
        short_side: Short side of the result; None keeps the size.
    """
    short, long = sorted((width, height))
    if short_side is None or short <= short_side:
        return width, height
    long_side = int(short_side * long / short)
    return (short_side, long_side) if width <= height else (long_side, short_side)


def _scalable_format(pixels: VideoFormat) -> str:
    """Return the format to scale a frame in: its own, or RGB where FFmpeg cannot write it, as with palettes."""
    return pixels.name if pixels.is_planar else "rgb24"
