"""A small dataset of generated films, laid out like HMDB-51: colored shapes that move and change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

COLORS = {"red": (220, 50, 40), "green": (50, 190, 70), "blue": (60, 90, 230), "yellow": (235, 210, 50)}
FOLDS = (1, 2, 3)
TRAIN, TEST = 1, 2


@dataclass(frozen=True)
class Pose:
    """How a shape stands in a frame: its place and size in shares of the frame's short side, its angle, is it seen."""

    x: float = 0.0
    y: float = 0.0
    size: float = 0.28
    angle: float = 0.0
    visible: bool = True


# Shapes: is the point (x, y) inside the shape of size 1?
SHAPES: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "circle": lambda x, y: x**2 + y**2 < 1,
    "square": lambda x, y: np.maximum(abs(x), abs(y)) < 0.85,
    "triangle": lambda x, y: (y < 0.7) & (y > 1.8 * abs(x) - 1),
    "cross": lambda x, y: (np.minimum(abs(x), abs(y)) < 0.3) & (np.maximum(abs(x), abs(y)) < 1),
}

# Motions: the pose at time t, which runs from 0 to 1 in a film.
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

# The first two differ in nothing but the order of their frames; within each later pair only the motion differs.
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
    """Writes the dataset: `<class>/*.mp4` (H.264, B-frames, several key frames) and split files for three folds.

    Takes some ten seconds on one core. The same arguments give the same files.

    Args:
        root: Directory to write into; made if it is not there.
        train_clips: Training clips of each class in each fold.
        test_clips: Test clips of each class in each fold.
        width: Width of the films in pixels, an even number.
        height: Height, an even number.
        seconds: Length of the films; each is up to a fifth longer or shorter.
        frames_per_second: Frame rate.
        seed: Another seed gives other films.

    Returns:
        The root, ready for `HMDB51DataModule(root=...)`.
    """
    root = Path(root)
    for label, (name, (color, shape, motion)) in enumerate(CLASSES.items()):
        folder = root / name.replace(" ", "_")
        folder.mkdir(parents=True, exist_ok=True)
        clips = [f"{folder.name}_{number:03d}.mp4" for number in range(train_clips + test_clips)]
        for number, clip in enumerate(clips):
            rng = np.random.default_rng([seed, label, number])
            length = round(seconds * frames_per_second * rng.uniform(0.8, 1.2))
            film = draw_film(COLORS[color], SHAPES[shape], MOTIONS[motion], length, (height, width), rng)
            write_video(folder / clip, film, frames_per_second)
        for fold in FOLDS:
            _write_split(root / f"{folder.name}_test_split{fold}.txt", clips, fold, test_clips)
    return root


def draw_film(
    color: tuple[int, int, int],
    shape: Callable[[np.ndarray, np.ndarray], np.ndarray],
    motion: Callable[[float], Pose],
    length: int,
    frame_size: tuple[int, int],
    rng: np.random.Generator,
) -> np.ndarray:
    """Draws a moving shape before a noisy gray ground, with shade, place and size varied at random.

    Returns:
        (length, height, width, 3) uint8.
    """
    height, width = frame_size
    y, x = np.mgrid[:height, :width]
    x, y = (x - width / 2) / height, (y - height / 2) / height
    shift_x, shift_y, scale = rng.uniform(-0.1, 0.1), rng.uniform(-0.1, 0.1), rng.uniform(0.85, 1.15)
    paint = np.clip(np.array(color) * rng.uniform(0.8, 1.1), 0, 255)
    ground = rng.uniform(20, 140) + rng.normal(0, 6, size=(height, width, 1)) + np.zeros(3)
    film = np.empty((length, height, width, 3), dtype=np.uint8)
    for number in range(length):
        pose = motion((number + 0.5) / length)
        size = pose.size * scale
        dx, dy = (x - pose.x - shift_x) / size, (y - pose.y - shift_y) / size
        cos, sin = np.cos(pose.angle), np.sin(pose.angle)
        inside = pose.visible & shape(cos * dx + sin * dy, cos * dy - sin * dx)
        film[number] = np.where(inside[..., None], paint, ground).clip(0, 255)
    return film


def write_video(path: Path | str, frames: np.ndarray, frames_per_second: int = 24) -> None:
    """Writes an H.264 file with B-frames and a key frame every second.

    Args:
        path: The file; its ending names the container.
        frames: (T, H, W, 3) uint8, H and W even.
        frames_per_second: Frame rate.
    """
    with av.open(str(path), "w") as container:
        # One thread and a preset without x264's macroblock tree: with either, the same frames do not always give the
        # same file.
        options = {"preset": "ultrafast", "bf": "2"}
        stream = container.add_stream("libx264", rate=Fraction(frames_per_second), options=options)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        stream.gop_size, stream.thread_count = frames_per_second, 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def _write_split(path: Path, clips: list[str], fold: int, test_clips: int) -> None:
    """Writes a split file in HMDB-51's own form; the test clips move on from fold to fold."""
    first = (fold - 1) * test_clips
    test = {clips[(first + offset) % len(clips)] for offset in range(test_clips)}
    path.write_text("".join(f"{clip} {TEST if clip in test else TRAIN} \n" for clip in clips))
