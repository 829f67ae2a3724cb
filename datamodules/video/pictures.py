"""Turns decoded frames into RGB pictures, upright and, where asked for, already shrunk to a short side."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation, VideoReformatter

from datamodules.video.stages import stage

# Number of frames in the video -> indices to decode, of any shape.
ChooseFrames = Callable[[int], np.ndarray]
# Short side from which on color at half of it is enough: the mean difference from torchvision is under 2 grey levels.
LEAST_HALF_COLOR = 112


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
    convert = RGBConverter()
    with stage("convert"):
        # Once for each frame, however often it is wanted.
        images = {number: convert(frame, size) for number, frame in found.items()}
        stacked = np.stack([images[number] for number in numbers])
    return stacked.reshape(*wanted.shape, *stacked.shape[1:])


class RGBConverter:
    """Converts frames one by one; FFmpeg's tables stay for the next frame."""

    def __init__(self) -> None:
        self._scale, self._convert = VideoReformatter(), VideoReformatter()

    def __call__(self, frame: VideoFrame, size: tuple[int, int]) -> np.ndarray:
        """Return a frame as (H, W, 3) uint8 RGB, upright.

        Args:
            frame: The frame.
            size: Width and height before it is turned.
        """
        # One thread, since the workers already run in parallel.
        kind = _scaled_format(frame.format, min(size))
        small = self._scale.reformat(frame, *size, kind, interpolation=Interpolation.BILINEAR, threads=1)
        image = self._convert.reformat(small, *size, "rgb24", threads=1).to_ndarray()
        # Phones store portrait videos on their side, with a display matrix. FFmpeg leaves turning them to its caller.
        return np.rot90(image, round(frame.rotation / 90))


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


def _scaled_format(pixels: VideoFormat, short_side: int) -> str:
    """Return the format to scale a frame to, before it becomes RGB: its own if that does, else RGB at once.

    FFmpeg converts pictures faster without scaling, and by the code that converts the full size. But then the color has
    half the resolution of the result, which small pictures show; and some formats, as those with palettes, it cannot
    write.
    """
    return pixels.name if pixels.is_planar and short_side >= LEAST_HALF_COLOR else "rgb24"
