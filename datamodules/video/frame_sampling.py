"""Which frames of a video are looked at: index arithmetic only, no video is opened here."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def segment_random(num_available: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Cuts a video into `num_frames` equal segments and draws one frame from each (training).

    Segments are `num_available // num_frames` frames long. A video with fewer frames than asked for has its frames
    spread evenly and repeated.

    Args:
        num_available: Number n of frames of the video, at least 1.
        num_frames: Number T of frames to draw.
        rng: Where the draws come from.

    Returns:
        (T,) int64 indices in 0..n-1, never decreasing.
    """
    length = num_available // num_frames
    if length == 0:
        return np.arange(num_frames) * num_available // num_frames
    return np.arange(num_frames) * length + rng.integers(length, size=num_frames)


def segment_center(num_available: int, num_frames: int) -> np.ndarray:
    """Takes the center frame of each of `num_frames` equal segments: `int((i + 0.5) * n / T)` (evaluation).

    Args:
        num_available: Number n of frames of the video, at least 1.
        num_frames: Number T of frames to take.

    Returns:
        (T,) int64 indices in 0..n-1, never decreasing.

    Example:
        >>> segment_center(8, 4).tolist()
        [1, 3, 5, 7]
    """
    return multi_view(num_available, num_frames, num_views=1)[0]


def multi_view(num_available: int, num_frames: int, num_views: int) -> np.ndarray:
    """Takes several temporal views: view v of V takes the point (v + 0.5) / V of each segment.

    One view is `segment_center`; the same video gives the same frames every time.

    Args:
        num_available: Number n of frames of the video, at least 1.
        num_frames: Number T of frames of each view.
        num_views: Number V of views.

    Returns:
        (V, T) int64 indices in 0..n-1.

    Example:
        >>> multi_view(8, 2, num_views=2).tolist()
        [[1, 5], [3, 7]]
    """
    # (i + (v + 0.5) / V) * n / T in whole numbers, so that rounding cannot differ between machines.
    view, segment = np.arange(num_views)[:, None], np.arange(num_frames)[None, :]
    return (2 * (segment * num_views + view) + 1) * num_available // (2 * num_views * num_frames)


def multi_view_random(num_available: int, num_frames: int, num_views: int, rng: np.random.Generator) -> np.ndarray:
    """Draws `segment_random` once for each view, as TC-CLIP's released code does in evaluation.

    Returns:
        (V, T) int64 indices in 0..n-1.
    """
    return np.stack([segment_random(num_available, num_frames, rng) for _ in range(num_views)])


@dataclass(frozen=True)
class FrameSampler:
    """A way of sampling with its settings, as a dataset calls it: `sampler(num_available, rng)` gives (V, T) indices.

    Attributes:
        kind: A name in `FRAME_SAMPLINGS`.
        num_frames: Number T of frames of a view.
        num_views: Number V of views.
    """

    kind: str
    num_frames: int
    num_views: int = 1

    def __call__(self, num_available: int, rng: np.random.Generator) -> np.ndarray:
        """Samples the frames of one video."""
        return FRAME_SAMPLINGS[self.kind](num_available, self.num_frames, self.num_views, rng)


FRAME_SAMPLINGS: dict[str, Callable[[int, int, int, np.random.Generator], np.ndarray]] = {
    "center": lambda num_available, num_frames, num_views, rng: multi_view(num_available, num_frames, num_views),
    "random": multi_view_random,
}
