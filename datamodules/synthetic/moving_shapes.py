"""A small dataset of generated videos, laid out like HMDB-51: colored shapes that move and change.

Classes come in pairs of one color and shape, so that color and shape alone leave two candidates: motion decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COLORS = {"red": (220, 50, 40), "green": (50, 190, 70), "blue": (60, 90, 230), "yellow": (235, 210, 50)}
SPLITS = (1, 2, 3)
TRAIN, TEST = 1, 2  # flags in HMDB-51's split files


@dataclass(frozen=True)
class Pose:
    """How a shape appears in a frame.

    Attributes:
        x: Horizontal position relative to the center of the frame, in units of the frame's height.
        y: Vertical position, likewise.
        size: Half of the shape's extent, likewise.
        angle: Rotation in radians.
        visible: Whether it is drawn.
    """

    x: float = 0.0
    y: float = 0.0
    size: float = 0.28
    angle: float = 0.0
    visible: bool = True


# Shape -> whether points (x, y) are inside the shape of size 1.
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda x, y: x**2 + y**2 < 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.85,
    "triangle": lambda x, y: (y < 0.7) & (y > 1.8 * abs(x) - 1),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 1),
}

# Motion -> pose at time t, which runs from 0 to 1 over a video.
MOTIONS: dict[str, Callable[[float], Pose]] = {
    "moving left": lambda t: Pose(x=0.5 - t),
    "moving right": lambda t: Pose(x=t - 0.5),
    "standing still": lambda t: Pose(),
    "growing": lambda t: Pose(size=0.08 + 0.4 * t),
    "bouncing up and down": lambda t: Pose(y=0.3 * float(np.cos(4 * np.pi * t))),
    "swinging sideways": lambda t: Pose(x=0.3 * float(np.cos(4 * np.pi * t))),
    "blinking": lambda t: Pose(visible=int(8 * t) % 2 == 0),
    "turning": lambda t: Pose(angle=2 * np.pi * t),
}

# Class -> color, shape, motion. The first two classes differ in the order of their frames only, so they also need the
# direction of time. Within each later pair, only the motion differs.
CLASSES: dict[str, tuple[str, str, str]] = {
    "red circle moving left": ("red", "circle", "moving left"),
    "red circle moving right": ("red", "circle", "moving right"),
    "green square standing still": ("green", "square", "standing still"),
    "green square growing": ("green", "square", "growing"),
    "blue triangle bouncing up and down": ("blue", "triangle", "bouncing up and down"),
    "blue triangle swinging sideways": ("blue", "triangle", "swinging sideways"),
    "yellow cross blinking": ("yellow", "cross", "blinking"),
    "yellow cross turning": ("yellow", "cross", "turning"),
}


def write_synthetic_dataset(
    root: Path | str,
    train_clips: int = 16,
    test_clips: int = 8,
    width: int = 80,
    height: int = 64,
    seconds: float = 3.0,
    frames_per_second: int = 24,
    seed: int = 0,
) -> Path:
    """Write the dataset: `<class>/*.mp4` (H.264 with B-frames and several key frames) and files for three splits.

    Takes about ten seconds on one core. The same arguments give the same files, byte for byte.

    Args:
        root: Output directory, created if missing.
        train_clips: Training clips per class and split.
        test_clips: Test clips per class and split.
        width: Width of the videos in pixels; must be even.
        height: Height of the videos in pixels; must be even.
        seconds: Mean duration of the videos; each is up to 20 % longer or shorter.
        frames_per_second: Frame rate.
        seed: Seed of all random draws.

    Returns:
        The root, ready for `HMDB51DataModule(root=...)`.
    """
    root = Path(root)
    for label, (name, (color, shape, motion)) in enumerate(CLASSES.items()):
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        clips = [f"{folder.name}_{number:03d}.mp4" for number in range(train_clips + test_clips)]
        for number, clip in enumerate(clips):
            rng = np.random.default_rng([seed, label, number])  # so more clips do not change the ones before
            length = round(seconds * frames_per_second * rng.uniform(0.8, 1.2))
            video = draw_video(COLORS[color], SHAPES[shape], MOTIONS[motion], length, (height, width), rng)
            write_video(folder / clip, video, frames_per_second)
        for split in SPLITS:
            _write_split(root / f"{folder.name}_test_split{split}.txt", clips, split, test_clips)
    return root


def draw_video(
    color: tuple[int, int, int],
    shape: Callable[[np.ndarray, np.ndarray], np.ndarray],
    motion: Callable[[float], Pose],
    length: int,
    frame_size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw a moving shape on a noisy gray background, with random shade, position and size.

    Args:
        color: Red, green and blue in 0..255.
        shape: One of `SHAPES`.
        motion: One of `MOTIONS`.
        length: Number of frames.
        frame_size: Height and width in pixels.
        rng: Random generator.

    Returns:
        (length, height, width, 3) uint8.
    """
    height, width = frame_size
    y, x = np.mgrid[:height, :width]
    x, y = (x - width / 2) / height, (y - height / 2) / height  # one unit for both, or circles would be ellipses
    shift_x, shift_y, scale = rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.85, 1.15)
    paint = np.clip(np.array(color) * rng.uniform(0.8, 1.1), 0, 255)
    # Drawn once for all frames: noise that changes would be motion of its own.
    background = rng.uniform(20, 140) + rng.normal(0, 6, size=(height, width, 1)) + np.zeros(3)
    video = np.empty((length, height, width, 3), dtype=np.uint8)
    for number in range(length):
        pose = motion((number + 0.5) / length)
        size = pose.size * scale
        # The inverse of the pose maps each pixel into the shape's own coordinates.
        dx, dy = (x - pose.x - shift_x) / size, (y - pose.y - shift_y) / size
        cos, sin = np.cos(pose.angle), np.sin(pose.angle)
        inside = pose.visible & shape(cos * dx + sin * dy, cos * dy - sin * dx)
        video[number] = np.where(inside[..., None], paint, background).clip(0, 255)
    return video


def write_video(path: Path | str, frames: np.ndarray, frames_per_second: int = 24) -> None:
    """Write an H.264 file with B-frames and a key frame every second.

    Args:
        path: Output file; its extension determines the container.
        frames: (T, H, W, 3) uint8, with H and W even (4:2:0 color has half the resolution).
        frames_per_second: Frame rate.
    """
    with av.open(str(path), "w") as container:
        # One thread, and a preset without x264's macroblock tree: with several threads or the tree, the same frames do
        # not always give the same file.
        options = {"preset": "ultrafast", "bf": "2"}
        stream = container.add_stream("libx264", rate=Fraction(frames_per_second), options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.gop_size, stream.thread_count = frames_per_second, 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))  # the frames that the encoder holds back to choose its B-frames


def _write_split(path: Path, clips: list[str], split: int, test_clips: int) -> None:
    """Write a split file in HMDB-51's format; each split tests the next `test_clips` clips, in a cycle."""
    first = (split - 1) * test_clips
    test = {clips[(first + offset) % len(clips)] for offset in range(test_clips)}
    path.write_text("".join(f"{clip} {TEST if clip in test else TRAIN} \n" for clip in clips))
