"""Writes films as H.264 files."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from datamodules.errors import DataError
from datamodules.synthetic.actions import Action
from datamodules.synthetic.behaviors import LENGTH
from datamodules.synthetic.drawing import draw_frames
from datamodules.synthetic.films import FRAMES_PER_SECOND, draw_film, stack_frames
from datamodules.synthetic.layout import file_name

CODEC = "libx264"
# Every frame a key frame, without B-frames, and with the same quantizer. The quality of a predicted frame tells where
# between two key frames it is: the order of a film would leak into its single frames.
GOP_SIZE, OPTIONS = 1, {"preset": "ultrafast", "qp": "20", "bf": "0"}


def check_codec() -> None:
    """Check that videos can be written.

    Raises:
        DataError: PyAV has been built without the encoder.
    """
    try:
        av.codec.Codec(CODEC, "w")
    except ValueError as error:
        raise DataError(
            f"This PyAV has no H.264 encoder ({CODEC}); install its wheel with `pip install av`."
        ) from error


def write_films(folder: Path, action: Action, numbers: Iterable[int], size: int, world_seed: int) -> None:
    """Write films of an action into a folder, which is created.

    Args:
        folder: Output directory.
        action: The action.
        numbers: Numbers of the films.
        size: Height and width in pixels; must be even.
        world_seed: Seed of the world.
    """
    folder.mkdir(parents=True)
    every = np.arange(LENGTH)[None]
    for number in numbers:
        frames = draw_frames(stack_frames([draw_film(action, world_seed, number)], every), size)
        write_video(folder / file_name(action, number), frames.movedim(1, -1).numpy())  # (T, 3, H, W) -> (T, H, W, 3)


def write_video(path: Path | str, frames: np.ndarray, frames_per_second: int = FRAMES_PER_SECOND) -> None:
    """Write an H.264 file in which every frame is encoded alike; the same frames give the same bytes.

    Args:
        path: Output file; its extension determines the container.
        frames: (T, H, W, 3) uint8, with H and W even (4:2:0 color has half the resolution).
        frames_per_second: Frame rate.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream(CODEC, rate=Fraction(frames_per_second), options=OPTIONS)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        # One thread: with several, the same frames do not always give the same file.
        stream.gop_size, stream.thread_count = GOP_SIZE, 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
