"""Chooses which frames of a video make up a clip: index arithmetic only, no file is opened.

Everything is integer arithmetic. A float such as `(i + 0.5) * n / T` can fall just below a whole number, depending on
the order of operations, and would then pick another frame than the same formula written differently.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


def segment_random(num_available: int, num_frames: int, rng: np.random.Generator) -> np.ndarray:
    """Divide a video into `num_frames` equal segments and draw one frame from each (training).

    Segments are `num_available // num_frames` frames long; the remainder at the end is never drawn. The frames of a
    video that is shorter than `num_frames` are spread evenly and repeated.

    Args:
        num_available: Number n of frames of the video, at least 1.
        num_frames: Number T of frames to draw.
        rng: Random generator.

    Returns:
        (T,) int64 indices in 0..n-1, never decreasing.
    """
    length = num_available // num_frames
    if length == 0:  # fewer frames than segments, so there is nothing to choose from
        return np.arange(num_frames) * num_available // num_frames
    # One draw per segment and not one for all: the gaps between frames vary, as if the motion changed its speed.
    return np.arange(num_frames) * length + rng.integers(length, size=num_frames)


def segment_center(num_available: int, num_frames: int) -> np.ndarray:
    """Take the center frame of each of `num_frames` equal segments: floor((i + 1/2) n / T) (evaluation).

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
    """Take several temporal views: view v of V takes the point (v + 1/2) / V of each segment.

    One view is `segment_center`. The same video gives the same frames every time.

    Args:
        num_available: Number n of frames of the video, at least 1.
        num_frames: Number T of frames per view.
        num_views: Number V of views.

    Returns:
        (V, T) int64 indices in 0..n-1.

    Example:
        >>> multi_view(8, 2, num_views=2).tolist()
        [[1, 5], [3, 7]]
    """
    view, segment = np.arange(num_views)[:, None], np.arange(num_frames)[None, :]
    # floor((i + (v + 1/2) / V) n / T), with numerator and denominator multiplied by 2 V to stay in integers.
    return (2 * (segment * num_views + view) + 1) * num_available // (2 * num_views * num_frames)


def multi_view_random(num_available: int, num_frames: int, num_views: int, rng: np.random.Generator) -> np.ndarray:
    """Draw `segment_random` for each view, which is how the released TC-CLIP code evaluates.

    Returns:
        (V, T) int64 indices in 0..n-1.
    """
    return np.stack([segment_random(num_available, num_frames, rng) for _ in range(num_views)])


@dataclass(frozen=True)
class FrameSampler:
    """Samples frames with fixed settings: `sampler(num_available, rng)` returns (V, T) indices.

    A dataclass and not a closure, so that it can be pickled for worker processes.

    Attributes:
        kind: A name in `FRAME_SAMPLINGS`.
        num_frames: Number T of frames per view.
        num_views: Number V of views.
    """

    kind: str
    num_frames: int
    num_views: int = 1

    def __call__(self, num_available: int, rng: np.random.Generator) -> np.ndarray:
        """Sample the frames of one video."""
        return FRAME_SAMPLINGS[self.kind](num_available, self.num_frames, self.num_views, rng)


FRAME_SAMPLINGS: dict[str, Callable[[int, int, int, np.random.Generator], np.ndarray]] = {
    "center": lambda num_available, num_frames, num_views, rng: multi_view(num_available, num_frames, num_views),
    "random": multi_view_random,
}
