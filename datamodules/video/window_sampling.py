"""Views that cover some seconds of a video instead of all of it, as Open-VCLIP samples them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from datamodules.errors import DataError, describe
from datamodules.video.truncation import open_whole


@dataclass(frozen=True)
class WindowSampler:
    """Samples evenly spaced frames of windows of fixed length: `sampler(num_available, rng, length)` returns (V, T).

    Attributes:
        num_frames: Number T of frames per window.
        seconds: Length of a window.
        num_views: Number V of windows.
        is_random: Whether windows start anywhere; otherwise they are spread from the start of the video to its end, and
            a single one is in the middle.
    """

    num_frames: int
    seconds: float
    num_views: int = 1
    is_random: bool = False

    def __call__(self, num_available: int, rng: np.random.Generator, length: float | None = None) -> np.ndarray:
        """Sample the frames of one video.

        Args:
            num_available: Number n of frames of the video, at least 1.
            rng: Draws the starts of random windows.
            length: Frames in a window, a fraction included; by default all of the video.

        Returns:
            (V, T) int64 indices in 0..n-1, never decreasing. Of a video that is shorter than the window, the last frame
            is repeated.
        """
        length = num_available if length is None else length
        room = max(num_available - length, 0.0)
        if self.is_random:
            starts = rng.uniform(0, room, self.num_views)
        elif self.num_views == 1:
            starts = np.array([room // 2])
        else:
            starts = np.arange(self.num_views) * (room // (self.num_views - 1))
        steps = np.linspace(0, max(length - 1, 0), self.num_frames)
        return np.clip(starts[:, None] + steps, 0, num_available - 1).astype(np.int64)

    def frames_of(self, path: str | Path) -> float:
        """Return how many frames of a video a window takes: by its average frame rate, 25 where it states none.

        Raises:
            DataError: The video cannot be opened.
        """
        try:
            with open_whole(path) as (_, stream):
                return self.seconds * float(stream.average_rate or 25)
        except (av.FFmpegError, OSError) as error:
            raise DataError(f"{path} cannot be opened as a video ({describe(error)}); replace or remove it.") from error
